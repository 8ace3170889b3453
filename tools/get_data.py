#!/usr/bin/env python3
"""Fetches CIFAR-10, CIFAR-100 and ImageNet-1k into the folders that the programs read; see docs/datasets.md.

    tools/get_data.py cifar-10
    tools/get_data.py imagenet-1k --dest data/imagenet

CIFAR needs the standard library alone, ImageNet huggingface_hub and pyarrow. The work is done in tools/get_data/.
"""

import os
import sys

if sys.version_info < (3, 9):
    sys.exit("error: Python 3.9 or newer is needed, this is " + sys.version.split()[0])

from get_data.command import main  # the folder beside this file; a package comes before a module of the same name

if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(code)  # sys.exit would wait for the downloads that an interrupted run has left in its threads
