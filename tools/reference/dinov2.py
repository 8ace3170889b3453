#!/usr/bin/env python3
"""Golden values of the backbone of DINOv2, from PyTorch in double precision.

    python3 tools/reference/dinov2.py --seed 1 --out tests/golden/dinov2.safetensors [--compare transformers]

Tiny models with and without layer scale, registers and gated perceptrons, each over groups of images: one on the stored
grid, two on others that are not square. Stored for each: CASE.images.K, CASE.value.NAME (all parameters under the names
of torch hub), CASE.out (all tokens after the final norm, row after row), CASE.weight, and CASE.grad.NAME, the gradients
of sum(weight * out). Inputs are numbers that float holds. The settings are repeated in tests/nn/test_dinov2.cpp.
--compare first holds outputs and gradients against the models of transformers (5.24), which must agree to 1e-10. Those
resample positions in float; here they are given the positions of this script, in double.
Needs torch and safetensors.
"""
import argparse

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from recipe import Draw, attend

DIM, DEPTH, HEADS, RATIO, PATCH, GRID = 6, 2, 2, 3, 2, 3
SIZES = [(2, 3, 3), (1, 2, 5), (1, 1, 2)]                # images, height and width in patches
CASES = {"plain": {}, "layer_scale": {"layer_scale": True}, "registers": {"layer_scale": True, "registers": 3},
         "swiglu": {"layer_scale": True, "registers": 2, "swiglu": True}}


def hidden(c):
    """Width of the perceptron; gated, two thirds of it as a multiple of 8."""
    return (DIM * RATIO * 2 // 3 + 7) // 8 * 8 if c.get("swiglu") else DIM * RATIO


def draw_parameters(random, c):
    draw = Draw(random)
    draw.add("cls_token", 1, 1, DIM, scale=0.3)
    draw.add("pos_embed", 1, 1 + GRID * GRID, DIM, scale=0.3)
    if c.get("registers"):
        draw.add("register_tokens", 1, c["registers"], DIM, scale=0.3)
    draw.weight("patch_embed.proj.weight", DIM, 3, PATCH, PATCH)
    draw.add("patch_embed.proj.bias", DIM, scale=0.1)
    for i in range(DEPTH):
        block = f"blocks.{i}"
        draw.norm(f"{block}.norm1", DIM)
        draw.linear(f"{block}.attn.qkv", 3 * DIM, DIM)
        draw.linear(f"{block}.attn.proj", DIM, DIM)
        draw.norm(f"{block}.norm2", DIM)
        draw.linear(f"{block}.mlp.w12" if c.get("swiglu") else f"{block}.mlp.fc1",
                    hidden(c) * (2 if c.get("swiglu") else 1), DIM)
        draw.linear(f"{block}.mlp.w3" if c.get("swiglu") else f"{block}.mlp.fc2", DIM, hidden(c))
        if c.get("layer_scale"):
            draw.add(f"{block}.ls1.gamma", DIM, scale=0.5, offset=0.2)
            draw.add(f"{block}.ls2.gamma", DIM, scale=0.5, offset=0.2)
    draw.norm("norm", DIM)
    return {name: x.float().double() for name, x in draw.parameters.items()}


def positions(table, c, height, width):
    """The patches' part of a table (1,1+g*g,C) for another grid: exact and antialiased in models with registers."""
    if (height, width) == (GRID, GRID):
        return table[:, 1:]
    image = table[:, 1:].reshape(1, GRID, GRID, -1).permute(0, 3, 1, 2)
    if c.get("registers"):
        out = F.interpolate(image, size=(height, width), mode="bicubic", antialias=True)
    else:
        out = F.interpolate(image, scale_factor=((height + 0.1) / GRID, (width + 0.1) / GRID), mode="bicubic")
    assert out.shape[-2:] == (height, width)
    return out.permute(0, 2, 3, 1).reshape(1, height * width, -1)


def backbone(p, c, images):
    """All tokens after the final norm, (B,N,C): class token, registers, patches."""
    def norm(name, x):
        return F.layer_norm(x, (DIM,), p[f"{name}.weight"], p[f"{name}.bias"], 1e-6)

    def linear(name, x):
        return F.linear(x, p[f"{name}.weight"], p[f"{name}.bias"])

    x = F.conv2d(images, p["patch_embed.proj.weight"], p["patch_embed.proj.bias"], stride=PATCH)
    height, width = x.shape[2:]
    first = p["cls_token"] + p["pos_embed"][:, :1]
    patches = x.flatten(2).transpose(1, 2) + positions(p["pos_embed"], c, height, width)
    registers = [p["register_tokens"]] if c.get("registers") else []
    x = torch.cat([t.expand(len(images), -1, -1) for t in [first, *registers, patches]], dim=1)
    for i in range(DEPTH):
        block = f"blocks.{i}"
        scale1, scale2 = (p.get(f"{block}.{name}.gamma", 1.0) for name in ("ls1", "ls2"))
        attention, _ = attend(linear(f"{block}.attn.qkv", norm(f"{block}.norm1", x)), HEADS)
        x = x + scale1 * linear(f"{block}.attn.proj", attention)
        y = norm(f"{block}.norm2", x)
        if c.get("swiglu"):
            gate, value = linear(f"{block}.mlp.w12", y).chunk(2, dim=-1)
            y = linear(f"{block}.mlp.w3", F.silu(gate) * value)
        else:
            y = linear(f"{block}.mlp.fc2", F.gelu(linear(f"{block}.mlp.fc1", y)))
        x = x + scale2 * y
    return norm("norm", x)


def transformers_backbone(p, c):
    """The same as a model of transformers whose parameters are made of p, so that gradients flow back into it."""
    from transformers import Dinov2Config, Dinov2Model, Dinov2WithRegistersConfig, Dinov2WithRegistersModel

    settings = dict(hidden_size=DIM, num_hidden_layers=DEPTH, num_attention_heads=HEADS, mlp_ratio=RATIO,
                    patch_size=PATCH, image_size=PATCH * GRID, use_swiglu_ffn=bool(c.get("swiglu")),
                    layer_norm_eps=1e-6)
    if c.get("registers"):
        model = Dinov2WithRegistersModel(Dinov2WithRegistersConfig(num_register_tokens=c["registers"], **settings))
    else:
        model = Dinov2Model(Dinov2Config(**settings))
    model = model.double().eval()
    names = {"embeddings.cls_token": p["cls_token"], "embeddings.position_embeddings": p["pos_embed"],
             "embeddings.patch_embeddings.projection.weight": p["patch_embed.proj.weight"],
             "embeddings.patch_embeddings.projection.bias": p["patch_embed.proj.bias"],
             "layernorm.weight": p["norm.weight"], "layernorm.bias": p["norm.bias"]}
    if c.get("registers"):
        names["embeddings.register_tokens"] = p["register_tokens"]
    for i in range(DEPTH):
        block, layer = f"blocks.{i}", f"encoder.layer.{i}"
        for k in (1, 2):
            names[f"{layer}.layer_scale{k}.lambda1"] = p.get(f"{block}.ls{k}.gamma", torch.ones(DIM).double())
        for part in ("weight", "bias"):
            for name in ("norm1", "norm2"):
                names[f"{layer}.{name}.{part}"] = p[f"{block}.{name}.{part}"]
            for name, rows in zip("qkv", p[f"{block}.attn.qkv.{part}"].chunk(3)):
                names[f"{layer}.attention.{name}_proj.{part}"] = rows
            names[f"{layer}.attention.o_proj.{part}"] = p[f"{block}.attn.proj.{part}"]
            if c.get("swiglu"):
                gate, up = p[f"{block}.mlp.w12.{part}"].chunk(2)
                names[f"{layer}.mlp.gate_proj.{part}"], names[f"{layer}.mlp.up_proj.{part}"] = gate, up
                names[f"{layer}.mlp.down_proj.{part}"] = p[f"{block}.mlp.w3.{part}"]
            else:
                for name in ("fc1", "fc2"):
                    names[f"{layer}.mlp.{name}.{part}"] = p[f"{block}.mlp.{name}.{part}"]
    unused = {name for name, _ in model.named_parameters()} - set(names) - {"embeddings.mask_token"}
    assert not unused, unused

    def run(images):
        def resampled(_, height, width):
            cells = positions(p["pos_embed"], c, height // PATCH, width // PATCH)
            return torch.cat([p["pos_embed"][:, :1], cells], dim=1)

        model.embeddings.interpolate_pos_encoding = resampled
        return torch.func.functional_call(model, names, (images,)).last_hidden_state

    return run


def run(f, parameters, images, weights):
    """All rows, and the gradients of sum(weight * out)."""
    for x in parameters.values():
        x.grad = None
    rows = torch.cat([f(group).flatten(0, 1) for group in images])
    (weights * rows).sum().backward()
    return rows.detach(), {name: x.grad for name, x in parameters.items()}


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
        leaves = {name: x.clone().requires_grad_(True) for name, x in values.items()}
        rows = sum(n * (1 + c.get("registers", 0) + h * w) for n, h, w in SIZES)

        def draw(*shape):
            return torch.randn(*shape, generator=random, dtype=torch.float64).float().double()

        images = [draw(n, 3, PATCH * h, PATCH * w) for n, h, w in SIZES]
        weights = draw(rows, DIM)
        out, grads = run(lambda x: backbone(leaves, c, x), leaves, images, weights)
        if options.compare:
            other = {name: x.clone().requires_grad_(True) for name, x in values.items()}
            their_out, their_grads = run(transformers_backbone(other, c), other, images, weights)
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
