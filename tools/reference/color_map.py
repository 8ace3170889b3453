#!/usr/bin/env python3
"""Golden values of the colour maps, from matplotlib.

    python3 tools/reference/color_map.py --seed 1 --out tests/golden/color_map.safetensors

Tensors: positions (P), doubles: the middle and both ends of every entry, the numbers next to those ends, drawn ones, ones
outside [0,1], NaN; and for every map NAME.colours (P,3), bytes of Colormap.__call__(positions, bytes=True), as
floats; matrix (H,W) and NAME.picture (H,W,3), the bytes that imsave writes for it, as floats too.
Needs matplotlib and safetensors.  --tables prints the tables of include/dino/io/color_map.hpp.
"""
import argparse
import io

import matplotlib
import matplotlib.image
import numpy as np
from safetensors.numpy import save_file

MAPS = ("viridis", "inferno", "magma", "plasma", "coolwarm", "gray")


def colours(name, positions):
    return matplotlib.colormaps[name](positions, bytes=True)[..., :3]


def positions(random):
    ends = np.arange(257) / 256
    return np.concatenate([ends, ends[:-1] + 1 / 512, np.nextafter(ends, -1), np.nextafter(ends, 2), random.random(500),
                           [-0.0, -1e-300, -0.5, -np.inf, 1.5, 1e300, np.inf, np.nan]])


def saved(matrix, name):
    file = io.BytesIO()
    matplotlib.image.imsave(file, matrix, cmap=name, format="png")
    file.seek(0)
    picture = matplotlib.image.imread(file, format="png")  # as shares of 255
    return np.rint(255 * picture[..., :3]).astype(np.uint8)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", default="tests/golden/color_map.safetensors")
    parser.add_argument("--tables", action="store_true")
    args = parser.parse_args()
    if args.tables:
        for name in MAPS:
            text = colours(name, (np.arange(256) + 0.5) / 256).tobytes().hex()
            print(name, *(f'    "{text[i:i + 96]}"' for i in range(0, len(text), 96)), sep="\n")
        return
    random = np.random.default_rng(args.seed)
    at, matrix = positions(random), (random.standard_normal((23, 31)) * 1e-3 + 0.1).astype(np.float32)
    tensors = {"positions": at, "matrix": matrix}
    for name in MAPS:
        tensors[name + ".colours"] = np.ascontiguousarray(colours(name, at), dtype=np.float32)
        tensors[name + ".picture"] = saved(matrix, name).astype(np.float32)
    save_file(tensors, args.out, metadata={"source": "tools/reference/color_map.py", "seed": str(args.seed),
                                           "matplotlib": matplotlib.__version__})
    print(args.out, len(tensors), "tensors, seed", args.seed)


if __name__ == "__main__":
    main()
