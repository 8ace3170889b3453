#!/usr/bin/env python3
"""Golden values of the backbone of DINOv2, from PyTorch in double precision.

    python3 tools/reference/dinov2.py --seed 1 --out tests/golden/dinov2.safetensors [--compare transformers]

Tiny models with and without layer scale, registers and gated perceptrons, each over groups of images: one on the stored
grid, two on others that are not square. Stored for each: CASE.images.K, CASE.value.NAME (all parameters under the names
of torch hub), CASE.out (all tokens after the final norm, row after row), CASE.weight, and CASE.grad.NAME, the gradients
of sum(weight * out). Inputs are numbers that float holds. The settings are repeated in tests/nn/test_dinov2.cpp;
parity.py writes files that need no such repetition, for models of any size.
--compare first holds outputs and gradients against the models of transformers, which must agree to 1e-10.
Needs torch and safetensors.
"""
import argparse

import torch
from safetensors.torch import save_file

from other_models import transformers_tokens
from recipe import Draw, gated, hidden_width, vit

MODEL = {"image_size": 6, "patch_size": 2, "dim": 6, "depth": 2, "heads": 2, "mlp_ratio": 3}
SIZES = [(2, 3, 3), (1, 2, 5), (1, 1, 2)]                # images, height and width in patches
SCALED = {**MODEL, "layer_scale": True}
EXACT = {"position_offset": 0, "position_antialias": True}
CASES = {"plain": MODEL, "layer_scale": SCALED, "registers": {**SCALED, **EXACT, "registers": 3},
         "swiglu": {**SCALED, **EXACT, "registers": 2, "mlp": "swiglu"}}


def draw_parameters(random, c):
    """In the order of the modules, where draw_vit of recipe.py has that of its files."""
    draw, dim, cells = Draw(random), c["dim"], (c["image_size"] // c["patch_size"]) ** 2
    draw.add("cls_token", 1, 1, dim, scale=0.3)
    draw.add("pos_embed", 1, 1 + cells, dim, scale=0.3)
    if c.get("registers"):
        draw.add("register_tokens", 1, c["registers"], dim, scale=0.3)
    draw.weight("patch_embed.proj.weight", dim, 3, c["patch_size"], c["patch_size"])
    draw.add("patch_embed.proj.bias", dim, scale=0.1)
    first, last = ("w12", "w3") if gated(c) else ("fc1", "fc2")
    for i in range(c["depth"]):
        block = f"blocks.{i}"
        draw.norm(f"{block}.norm1", dim)
        draw.linear(f"{block}.attn.qkv", 3 * dim, dim)
        draw.linear(f"{block}.attn.proj", dim, dim)
        draw.norm(f"{block}.norm2", dim)
        draw.linear(f"{block}.mlp.{first}", hidden_width(c) * (2 if gated(c) else 1), dim)
        draw.linear(f"{block}.mlp.{last}", dim, hidden_width(c))
        if c.get("layer_scale"):
            draw.add(f"{block}.ls1.gamma", dim, scale=0.5, offset=0.2)
            draw.add(f"{block}.ls2.gamma", dim, scale=0.5, offset=0.2)
    draw.norm("norm", dim)
    return {name: x.float().double() for name, x in draw.parameters.items()}


def run(tokens, parameters, images, weights):
    """All rows, and the gradients of sum(weight * out)."""
    leaves = {name: x.clone().requires_grad_(True) for name, x in parameters.items()}
    rows = torch.cat([tokens(leaves, group).flatten(0, 1) for group in images])
    (weights * rows).sum().backward()
    return rows.detach(), {name: x.grad for name, x in leaves.items()}


def error(a, b):
    return ((a - b).abs().max() / b.abs().max()).item()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", required=True)
    parser.add_argument("--compare", choices=["transformers"])
    options = parser.parse_args()
    torch.set_num_threads(1)
    random = torch.Generator().manual_seed(options.seed)
    tensors = {}
    for case, c in CASES.items():
        values = draw_parameters(random, c)
        size, count = c["patch_size"], sum(n * (1 + c.get("registers", 0) + h * w) for n, h, w in SIZES)

        def draw(*shape):
            return torch.randn(*shape, generator=random, dtype=torch.float64).float().double()

        images = [draw(n, 3, size * h, size * w) for n, h, w in SIZES]
        weights = draw(count, c["dim"])
        out, grads = run(lambda p, x: vit(p, x, c)[0][-1], values, images, weights)
        if options.compare:
            their_out, their_grads = run(lambda p, x: transformers_tokens(p, x, c)[0], values, images, weights)
            worst = max(error(grads[name], their_grads[name]) for name in grads)
            print(f"{case}: outputs differ by {error(out, their_out):.1e}, gradients by {worst:.1e}")
            assert error(out, their_out) <= 1e-10 and worst <= 1e-10
        tensors |= {f"{case}.images.{k}": x.float() for k, x in enumerate(images)}
        tensors |= {f"{case}.value.{name}": x.float() for name, x in values.items()}
        tensors |= {f"{case}.grad.{name}": x for name, x in grads.items()}
        tensors |= {f"{case}.out": out, f"{case}.weight": weights.float()}
    tensors = {name: x.contiguous() for name, x in tensors.items()}
    about = {"source": f"tools/reference/dinov2.py --seed {options.seed}", "torch": torch.__version__}
    save_file(tensors, options.out, about)
    print(options.out, len(tensors), "tensors")


if __name__ == "__main__":
    main()
