#!/usr/bin/env python3
"""Attention maps, masks, rollout, patch colours and correspondence, from PyTorch and numpy.

    python3 tools/reference/attention.py small --out tests/golden/attention.safetensors
    python3 tools/reference/attention.py check --photos DIR --bin build/test/bin --out attention-check

    small  golden values of each part, and of a tiny network with registers; the tests read them
    check  random networks of timm look at photographs, and so does dino_attention with their weights: maps of every
           block, masks, rollout, patch colours and the bytes of the pictures are compared; exit code 1 beyond 1e-5

Sources: visualize_attention.py of the reference for masks, Abnar and Zuidema 2020 for the rollout, Oquab et
al. 2024 for the colours. Needs torch, numpy and safetensors; check needs timm, Pillow and matplotlib.
"""
import argparse
import json
import os
import subprocess
import sys

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from recipe import Draw, draw_vit, vit

LIMIT = 1e-5


def mask_by_mass(maps, keep):
    """maps (H,P): the patches that hold the part `keep` of each map."""
    values, order = torch.sort(maps, dim=1, stable=True)
    values = values / values.sum(dim=1, keepdim=True)
    kept = values.cumsum(dim=1) > 1 - keep
    return torch.gather(kept, 1, torch.argsort(order, dim=1))


def rollout(attention):
    """attention (L,H,T,T): the row of the class token of the product of all blocks."""
    product = torch.eye(attention.shape[-1], dtype=attention.dtype)
    for block in attention:
        mixed = block.mean(dim=0) + torch.eye(block.shape[-1], dtype=block.dtype)
        product = (mixed / mixed.sum(dim=-1, keepdim=True)) @ product
    return product[0]


def components(rows, count):
    """Mean and principal directions by numpy's singular value decomposition, the largest entry positive."""
    mean = rows.mean(axis=0)
    _, _, directions = np.linalg.svd(rows - mean, full_matrices=False)
    directions = directions[:count]
    largest = np.abs(directions).argmax(axis=1)
    return mean, directions * np.sign(directions[np.arange(len(directions)), largest])[:, None]


def borders(height, width):
    out = np.zeros((height, width), bool)
    out[[0, -1]] = out[:, [0, -1]] = True
    return out.ravel()


def patch_colors(grids):
    """grids: list of (tokens (P,C), height, width). Colours (P,3) and foreground (P) of each, from one basis."""
    tokens = np.concatenate([tokens for tokens, _, _ in grids])
    edge = np.concatenate([borders(h, w) for _, h, w in grids])
    mean, first = components(tokens, 1)
    along = (tokens - mean) @ first[0]
    side = along > 0
    if edge[side].sum() * (~side).sum() > edge[~side].sum() * side.sum():
        along = -along
    foreground = along > 0
    if foreground.sum() < 2:
        foreground[:] = True
    mean, three = components(tokens[foreground], 3)
    values = (tokens[foreground] - mean) @ three.T
    low, high = values.min(axis=0), values.max(axis=0)
    rgb = np.zeros((len(tokens), 3))
    rgb[foreground] = (values - low) / (high - low)
    cuts = np.cumsum([len(tokens) for tokens, _, _ in grids])[:-1]
    return list(zip(np.split(rgb, cuts), np.split(foreground, cuts)))


def best_buddies(a, b):
    cosines = F.normalize(a, dim=1) @ F.normalize(b, dim=1).T
    of_a, of_b = cosines.argmax(dim=1), cosines.argmax(dim=0)
    pairs = [(i, j.item(), cosines[i, j].item()) for i, j in enumerate(of_a) if of_b[j] == i]
    return sorted(pairs, key=lambda pair: -pair[2])


# Golden values.

def small(options):
    random = torch.Generator().manual_seed(options.seed)

    def randn(*shape):
        return torch.randn(*shape, generator=random, dtype=torch.float64).float().double()

    out = {}
    maps = torch.softmax(2 * randn(4, 35), dim=1).float().double()
    out["mask.maps"] = maps
    for keep in (0.1, 0.6, 0.95, 1.0):
        out[f"mask.{keep}"] = mask_by_mass(maps, keep)
    smooth = randn(3, 5)
    out["up.map"] = smooth
    for mode in ("nearest", "bilinear", "bicubic"):
        extra = {} if mode == "nearest" else {"align_corners": False}
        out[f"up.{mode}"] = F.interpolate(smooth[None, None], scale_factor=4, mode=mode, **extra)[0, 0]
    blocks = torch.softmax(randn(3, 2, 9, 9), dim=-1).float().double()
    out["rollout.attention"], out["rollout"] = blocks, rollout(blocks)

    c = {"image_size": 12, "patch_size": 4, "dim": 12, "depth": 3, "heads": 2, "mlp_ratio": 2, "registers": 2,
         "layer_scale": True, "position_offset": 0, "position_antialias": True}
    draw = Draw(random)
    draw_vit(draw, c)
    p = {name: x.float().double() for name, x in draw.parameters.items()}
    image = randn(1, 3, 8, 20)
    attention = torch.stack([vit(p, image, {**c, "depth": i + 1})[1][0] for i in range(c["depth"])])
    out.update({f"vit.value.{name}": x for name, x in p.items()})
    out["vit.image"], out["vit.attention"], out["vit.rollout"] = image, attention[:, :, 0], rollout(attention)
    out["vit.patches"] = vit(p, image, c)[0][-1][0, 3:]

    grids = []
    for k, (height, width) in enumerate([(6, 7), (5, 9)]):
        object_ = torch.zeros(height, width, dtype=torch.float64)
        object_[1:4, 2:5] = 1
        tokens = randn(height * width, 10) * torch.linspace(0.2, 1, 10, dtype=torch.float64)
        tokens = (tokens + 4 * object_.reshape(-1, 1) * torch.ones(10)).float().double()
        out[f"colors.tokens.{k}"] = tokens
        grids.append((tokens.numpy(), height, width))
    for k, (rgb, foreground) in enumerate(patch_colors(grids)):
        out[f"colors.rgb.{k}"], out[f"colors.foreground.{k}"] = torch.from_numpy(rgb), torch.from_numpy(foreground)

    a, b = randn(40, 6), randn(30, 6)
    out["match.a"], out["match.b"] = a, b
    out["match.pairs"] = torch.tensor(best_buddies(a, b), dtype=torch.float64)
    out = {name: (x.float() if x.dtype == torch.bool else x).contiguous() for name, x in out.items()}
    save_file(out, options.out, {"source": f"tools/reference/attention.py, torch {torch.__version__}, seed {options.seed}"})
    print(options.out, os.path.getsize(options.out))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["small", "check"])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", required=True)
    parser.add_argument("--photos", nargs="+", default=[])
    parser.add_argument("--bin")
    parser.add_argument("--models", nargs="+", default=None)
    options = parser.parse_args()
    sys.exit(small(options) if options.what == "small" else check(options))


if __name__ == "__main__":
    main()
