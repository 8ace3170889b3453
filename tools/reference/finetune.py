#!/usr/bin/env python3
"""Golden values of fine-tuning, from timm: mixed images, boxes of cutmix and of random erasing, rates of layers.

    python3 tools/reference/finetune.py --out tests/golden/finetune.safetensors

Needs torch, timm and safetensors.
"""
import argparse
import math
import random
from unittest import mock

import numpy as np
import timm
import torch
from safetensors.torch import save_file
from timm.data.mixup import Mixup, rand_bbox
from timm.data.random_erasing import RandomErasing
from timm.optim import param_groups_layer_decay


def mixed(images, share, box):
    """The batch as timm's Mixup leaves it, with its draws given. box: top, bottom, left, right."""
    mixer = Mixup(mixup_alpha=0.8, cutmix_alpha=1.0)
    mixer._params_per_batch = lambda: (share, box is not None)
    out = images.clone()
    with mock.patch("timm.data.mixup.cutmix_bbox_and_lam", lambda *_, **__: (box, share)):
        mixer._mix_batch(out)
    return out


def cutmix_boxes():
    """Rows of share, x, y, width, height and the box: left, top, right, bottom."""
    rows = []
    for share, x, y, width, height in [(0.5, 16, 16, 32, 32), (0.9, 0, 31, 32, 32), (0.01, 5, 5, 32, 32), (0.37, 7, 3, 21, 13),
                                       (0.64, 0, 0, 224, 224), (0.999, 10, 10, 32, 32), (0.2, 223, 100, 224, 196)]:
        with mock.patch("numpy.random.randint", side_effect=[np.int64(y), np.int64(x)]):
            top, bottom, left, right = rand_bbox((3, height, width), share)
        rows.append([share, x, y, width, height, left, top, right, bottom])
    return torch.tensor(rows, dtype=torch.float64)


def erased_sizes():
    """Rows of side, part of the area, ratio, and the width and height that timm erases."""
    rows = []
    for size, part, ratio in [(32, 0.02, 0.3), (32, 0.1, 1.0), (32, 0.3, 3.2), (224, 0.3333, 0.5), (224, 0.05, 2.5), (33, 0.125, 0.5)]:
        image = torch.ones(3, size, size)
        draws = [0.0, part, math.log(ratio)]
        with mock.patch("random.random", lambda: draws[0]), mock.patch("random.uniform", side_effect=draws[1:]), \
                mock.patch("random.randint", lambda low, high: low):
            RandomErasing(probability=1, mode="const", device="cpu")(image)
        erased = image[0] == 0
        rows.append([size, part, math.exp(draws[2]), erased.any(0).sum(), erased.any(1).sum()])
    return torch.tensor(rows, dtype=torch.float64)


def layer_rates(decay):
    """The factor of each parameter of timm's ViT-Ti/16, in the order of the names of a plain ViT."""
    model = timm.create_model("vit_tiny_patch16_224")
    names = {id(p): name for name, p in model.named_parameters()}
    rates = {}
    for group in param_groups_layer_decay(model, layer_decay=decay):
        for parameter in group["params"]:
            rates[names[id(parameter)]] = group["lr_scale"]
    return rates


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True)
    args = parser.parse_args()
    images = torch.sin(0.37 * torch.arange(5 * 3 * 4 * 6)).reshape(5, 3, 4, 6)
    tensors = {"images": images, "mixup.out": mixed(images, 0.3, None), "cutmix.out": mixed(images, 0.75, (1, 3, 2, 5)),
               "cutmix.boxes": cutmix_boxes(), "erasing.sizes": erased_sizes()}
    for name, rate in layer_rates(0.65).items():
        tensors["rate." + name] = torch.tensor([rate], dtype=torch.float64)
    about = {"format": "pt", "source": "tools/reference/finetune.py", "timm": timm.__version__, "torch": torch.__version__}
    save_file({name: x.contiguous() for name, x in tensors.items()}, args.out, metadata=about)
    print(args.out, len(tensors), "tensors")


if __name__ == "__main__":
    main()
