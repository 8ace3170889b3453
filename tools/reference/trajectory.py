#!/usr/bin/env python3
"""Five DINO training steps of a tiny model in PyTorch, double precision: losses, centre and final weights.

    python3 tools/reference/trajectory.py --seed 1 --out tests/golden/trajectory.safetensors

An implementation of its own, by the formulas of the recipe: it shares no code with the library. Three runs, each with
another optimizer and head. Stored for each: RUN.init.NAME (student and teacher start equal), RUN.student.NAME and
RUN.teacher.NAME after the last step, RUN.loss (steps), RUN.center (K). Pixels are exact in float: pixels() makes them.
The settings are repeated in tests/ssl/test_trainer.cpp. Needs torch and safetensors.
"""
import argparse
import math

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

DIM, DEPTH, HEADS, HIDDEN, PATCH, GRID = 9, 2, 3, 18, 4, 4      # ViT, 16 x 16 pixels
HEAD_HIDDEN, BOTTLENECK, OUTPUTS = 10, 6, 24
BATCH, CROPS = 3, [(2, 16), (3, 8)]                              # (crops, side) of each group
STEPS, TOTAL, WARMUP, PER_EPOCH, FROZEN = 5, 8, 3, 2, 2
TEMPERATURES = [0.04, 0.055, 0.07]                               # one an epoch


def pixels(step, group, crops, side):
    """An image whose values float holds exactly."""
    i = torch.arange(crops * BATCH * 3 * side * side)
    x = ((i * 37 + (i // 7) * 5 + step * 53 + group * 17) % 127).double() / 64 - 1
    return x.reshape(crops * BATCH, 3, side, side)


def cosine(base, final, warmup, step):
    if step < warmup:
        return base * step / (warmup - 1)
    return final + 0.5 * (base - final) * (1 + math.cos(math.pi * (step - warmup) / (TOTAL - warmup)))


def make_parameters(random, batch_norm):
    p = {}

    def draw(name, *shape, scale=0.3, offset=0.0):
        p[name] = offset + scale * torch.randn(*shape, generator=random, dtype=torch.float64)

    def linear(name, rows, columns):
        draw(f"{name}.weight", rows, columns)
        draw(f"{name}.bias", rows, scale=0.1)

    draw("backbone.cls_token", 1, 1, DIM)
    draw("backbone.pos_embed", 1, 1 + GRID * GRID, DIM)
    draw("backbone.patch_embed.proj.weight", DIM, 3, PATCH, PATCH)
    draw("backbone.patch_embed.proj.bias", DIM, scale=0.1)
    for i in range(DEPTH):
        block = f"backbone.blocks.{i}"
        for norm in "norm1", "norm2":
            draw(f"{block}.{norm}.weight", DIM, scale=0.1, offset=1)
            draw(f"{block}.{norm}.bias", DIM, scale=0.1)
        linear(f"{block}.attn.qkv", 3 * DIM, DIM)
        linear(f"{block}.attn.proj", DIM, DIM)
        linear(f"{block}.mlp.fc1", HIDDEN, DIM)
        linear(f"{block}.mlp.fc2", DIM, HIDDEN)
    draw("backbone.norm.weight", DIM, scale=0.1, offset=1)
    draw("backbone.norm.bias", DIM, scale=0.1)
    step = 3 if batch_norm else 2
    widths = [DIM, HEAD_HIDDEN, HEAD_HIDDEN, BOTTLENECK]
    for i in range(3):
        linear(f"head.mlp.{i * step}", widths[i + 1], widths[i])
        if batch_norm and i < 2:
            draw(f"head.mlp.{i * step + 1}.weight", HEAD_HIDDEN, scale=0.1, offset=1)
            draw(f"head.mlp.{i * step + 1}.bias", HEAD_HIDDEN, scale=0.1)
    p["head.last_layer.weight_g"] = torch.ones(OUTPUTS, 1, dtype=torch.float64)
    draw("head.last_layer.weight_v", OUTPUTS, BOTTLENECK)
    return p


def backbone(p, images):
    rows, _, height, width = images.shape
    h, w = height // PATCH, width // PATCH
    x = F.conv2d(images, p["backbone.patch_embed.proj.weight"], p["backbone.patch_embed.proj.bias"], stride=PATCH)
    x = x.flatten(2).transpose(1, 2)
    cells = p["backbone.pos_embed"][:, 1:]
    if (h, w) != (GRID, GRID):
        table = cells.reshape(1, GRID, GRID, DIM).permute(0, 3, 1, 2)
        table = F.interpolate(table, scale_factor=((h + 0.1) / GRID, (w + 0.1) / GRID), mode="bicubic")
        cells = table.permute(0, 2, 3, 1).reshape(1, h * w, DIM)
    first = p["backbone.cls_token"] + p["backbone.pos_embed"][:, :1]
    x = torch.cat([first.expand(rows, -1, -1), x + cells], dim=1)

    def norm(name, x):
        return F.layer_norm(x, (DIM,), p[f"backbone.{name}.weight"], p[f"backbone.{name}.bias"], 1e-6)

    def linear(name, x):
        return F.linear(x, p[f"backbone.{name}.weight"], p[f"backbone.{name}.bias"])

    for i in range(DEPTH):
        q, k, v = [t.reshape(rows, -1, HEADS, DIM // HEADS).transpose(1, 2)
                   for t in linear(f"blocks.{i}.attn.qkv", norm(f"blocks.{i}.norm1", x)).chunk(3, dim=-1)]
        attention = (q @ k.transpose(-2, -1) / math.sqrt(DIM // HEADS)).softmax(dim=-1)
        x = x + linear(f"blocks.{i}.attn.proj", (attention @ v).transpose(1, 2).reshape(rows, -1, DIM))
        x = x + linear(f"blocks.{i}.mlp.fc2", F.gelu(linear(f"blocks.{i}.mlp.fc1", norm(f"blocks.{i}.norm2", x))))
    return norm("norm", x)[:, 0]


def head(p, x, batch_norm):
    step = 3 if batch_norm else 2
    for i in range(3):
        x = F.linear(x, p[f"head.mlp.{i * step}.weight"], p[f"head.mlp.{i * step}.bias"])
        if i == 2:
            break
        if batch_norm:
            name = f"head.mlp.{i * step + 1}"
            x = F.batch_norm(x, None, None, p[f"{name}.weight"], p[f"{name}.bias"], training=True, eps=1e-5)
        x = F.gelu(x)
    x = x / x.norm(dim=1, keepdim=True).clamp_min(1e-12)
    v = p["head.last_layer.weight_v"]
    return x @ (p["head.last_layer.weight_g"] * v / v.norm(dim=1, keepdim=True)).T


def dino_loss(student, teacher, center, tau_t):
    crops = student.shape[0] // BATCH
    targets = ((teacher - center) / tau_t).softmax(dim=1).chunk(2)
    logs = (student / 0.1).log_softmax(dim=1).chunk(crops)
    terms = [-(targets[i] * logs[v]).sum(dim=1).mean() for i in range(2) for v in range(crops) if v != i]
    return sum(terms) / len(terms)


class Lars:
    """The trust ratio for all tensors whose rank is not 1."""

    def __init__(self, groups):
        self.param_groups, self.buffers = groups, {}

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                d = p.grad
                if p.ndim != 1:
                    d = d + group["weight_decay"] * p
                    if p.norm() > 0 and d.norm() > 0:
                        d = d * (0.001 * p.norm() / d.norm())
                self.buffers[p] = 0.9 * self.buffers.get(p, torch.zeros_like(p)) + d
                p -= group["lr"] * self.buffers[p]


def make_optimizer(name, groups):
    if name == "adamw":
        return torch.optim.AdamW(groups, lr=0, betas=(0.9, 0.999), eps=1e-8)
    return torch.optim.SGD(groups, lr=0, momentum=0.9) if name == "sgd" else Lars(groups)


def train(random, optimizer, batch_norm, norm_last_layer, base_lr, clip):
    start = make_parameters(random, batch_norm)
    student = {name: x.clone().requires_grad_(True) for name, x in start.items()}
    teacher = {name: x.clone() for name, x in start.items()}
    trained = {n: x for n, x in student.items() if not (norm_last_layer and n.endswith("weight_g"))}
    decayed = {n: x for n, x in trained.items() if x.ndim > 1 and not n.endswith(".bias")}
    groups = [{"params": list(decayed.values()), "weight_decay": 0.0},
              {"params": [x for n, x in trained.items() if n not in decayed], "weight_decay": 0.0}]
    update = make_optimizer(optimizer, groups)
    center, losses = torch.zeros(1, OUTPUTS, dtype=torch.float64), []
    for step in range(STEPS):
        for group in update.param_groups:
            group["lr"] = cosine(base_lr, 1e-6, WARMUP, step)
        update.param_groups[0]["weight_decay"] = cosine(0.04, 0.4, 0, step)
        crops = [pixels(step, g, n, side) for g, (n, side) in enumerate(CROPS)]
        with torch.no_grad():
            target = head(teacher, backbone(teacher, crops[0]), batch_norm)
        features = torch.cat([backbone(student, x) for x in crops])
        loss = dino_loss(head(student, features, batch_norm), target, center, TEMPERATURES[step // PER_EPOCH])
        center = 0.9 * center + 0.1 * target.mean(dim=0, keepdim=True)
        for x in student.values():
            x.grad = None
        loss.backward()
        for name, x in trained.items():
            factor = clip / (x.grad.norm() + 1e-6)
            if factor < 1:
                x.grad *= factor
            if step < FROZEN and "last_layer" in name:
                x.grad = None
        update.step()
        momentum = cosine(0.9, 1.0, 0, step)
        with torch.no_grad():
            for name, x in teacher.items():
                x.mul_(momentum).add_((1 - momentum) * student[name])
        losses.append(loss.item())
    out = {"loss": torch.tensor(losses, dtype=torch.float64), "center": center.reshape(-1)}
    for prefix, values in (("init", start), ("student", student), ("teacher", teacher)):
        out.update({f"{prefix}.{name}": x.detach() for name, x in values.items()})
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    random = torch.Generator().manual_seed(options.seed)
    runs = {"adamw": train(random, "adamw", False, False, 2e-3, 0.3),
            "sgd": train(random, "sgd", True, True, 0.05, 3.0),
            "lars": train(random, "lars", False, True, 0.3, 0.1)}
    tensors = {f"{run}.{name}": x.contiguous() for run, out in runs.items() for name, x in out.items()}
    save_file(tensors, options.out, {"source": "tools/reference/trajectory.py", "torch": torch.__version__})
    for run, out in runs.items():
        print(run, out["loss"].tolist())


if __name__ == "__main__":
    main()
