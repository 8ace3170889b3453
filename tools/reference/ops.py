#!/usr/bin/env python3
"""Golden values of every op, from PyTorch in double precision.

    python3 tools/reference/ops.py --seed 1 --out tests/golden/ops.safetensors

Each case stores its inputs (NAME.in.K), the result (NAME.out), a fixed weight of the result (NAME.w) and the gradients of
sum(w * out) for the inputs (NAME.grad.K). The settings of each case are repeated in the test that reads it.
Needs torch and safetensors.
"""
import argparse
import math

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from recipe import attend, dino_loss, interpolate, weight_norm_linear


class Cases:
    def __init__(self, seed):
        self.random = torch.Generator().manual_seed(seed)
        self.tensors = {}

    def randn(self, *shape):
        return torch.randn(*shape, generator=self.random, dtype=torch.float64)

    def add(self, name, f, *inputs):
        leaves = [x.clone().requires_grad_(True) for x in inputs]
        out = f(*leaves)
        weight = self.randn(*out.shape) if out.dim() else torch.ones((), dtype=torch.float64)
        (weight * out).sum().backward()
        self.tensors[f"{name}.out"] = out.detach().reshape(-1 if out.dim() == 0 else out.shape).contiguous()
        self.tensors[f"{name}.w"] = weight.reshape(-1 if out.dim() == 0 else weight.shape).contiguous()
        for k, leaf in enumerate(leaves):
            self.tensors[f"{name}.in.{k}"] = leaf.detach().contiguous()
            grad = leaf.grad if leaf.grad is not None else torch.zeros_like(leaf)
            self.tensors[f"{name}.grad.{k}"] = grad.contiguous()


def attention(qkv, heads, groups):
    """Packed rows: for each (images, tokens) group, the attention of the recipe without its projections."""
    rows, first = [], 0
    for images, tokens in groups:
        x = qkv[first:first + images * tokens].reshape(images, tokens, -1)
        rows.append(attend(x, heads)[0].flatten(0, 1))
        first += images * tokens
    return torch.cat(rows)


def tokens(patches, cls, table, grid, groups):
    rows, first = [], 0
    for images, height, width in groups:
        n = height * width
        x = patches[first:first + images * n].reshape(images, n, -1)
        x = torch.cat([cls.reshape(1, 1, -1).expand(images, 1, -1), x], dim=1)
        position = torch.cat([table[0, :1], interpolate(table[0, 1:], grid, height, width)])
        rows.append((x + position).reshape(images * (n + 1), -1))
        first += images * n
    return torch.cat(rows)


def write_cases(c):
    r = c.randn
    c.add("layernorm", lambda x, g, b: F.layer_norm(x, (19,), g, b, 1e-6), r(7, 19), r(19), r(19))
    c.add("linear", lambda x, w, b: F.linear(x, w, b), r(7, 19), r(11, 19), r(11))
    c.add("mlp", lambda x, w1, b1, w2, b2: F.linear(F.gelu(F.linear(x, w1, b1)), w2, b2),
          r(5, 7), r(13, 7), r(13), r(7, 13), r(7))
    c.add("gelu", F.gelu, 3 * r(6, 9))
    c.add("relu", F.relu, r(6, 9))
    c.add("softmax", lambda x: F.softmax(x / 0.5, dim=-1), r(5, 17))
    c.add("normalize", lambda x: F.normalize(x, dim=-1, p=2), r(5, 13))
    c.add("weight_norm_linear", weight_norm_linear, r(5, 7), r(11, 7), r(11, 1))
    c.add("attention", lambda x: attention(x, 2, [(2, 5), (3, 3)]), r(19, 3 * 8))
    c.add("attention_long", lambda x: attention(x, 1, [(1, 197)]), 0.5 * r(197, 3 * 4))
    c.add("patchify", lambda x, w, b: F.conv2d(x, w, b, stride=4).flatten(2).transpose(1, 2).reshape(-1, 6),
          r(2, 3, 8, 12), r(6, 3, 4, 4), r(6))
    groups = [(2, 4, 4), (3, 2, 2), (1, 2, 5)]
    patches = sum(images * h * w for images, h, w in groups)
    c.add("tokens", lambda p, cls, t: tokens(p, cls, t, 4, groups), r(patches, 3), r(1, 1, 3), r(1, 17, 3))
    c.add("dino_loss", lambda s: dino_loss(s, c.tensors["dino_loss.teacher"], c.tensors["dino_loss.center"], 5, 0.1, 0.04),
          *dino_inputs(c, 5, 3, 23))
    c.add("batchnorm", lambda x, g, b: F.batch_norm(x, None, None, g, b, True, 0.1, 1e-5), r(9, 6), r(6), r(6))
    c.add("sum", lambda x: x.sum(), r(4, 5))
    c.add("mean", lambda x: x.mean(), r(4, 5))


def dino_inputs(c, views, images, outputs):
    c.tensors["dino_loss.teacher"] = 0.3 * c.randn(2 * images, outputs)
    c.tensors["dino_loss.center"] = 0.1 * c.randn(outputs)
    return [c.randn(views * images, outputs) / math.sqrt(outputs)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", required=True)
    args = parser.parse_args()
    cases = Cases(args.seed)
    write_cases(cases)
    about = {"format": "pt", "source": "tools/reference/ops.py", "torch": torch.__version__, "seed": str(args.seed)}
    save_file(cases.tensors, args.out, metadata=about)
    print(args.out, len(cases.tensors), "tensors")


if __name__ == "__main__":
    main()
