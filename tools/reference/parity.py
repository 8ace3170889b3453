#!/usr/bin/env python3
"""Golden files of backbones, head, loss, optimizers, averages, k-NN and training, from PyTorch, for any seed.

    python3 tools/reference/parity.py all --seed 7 --out DIR && build/test/bin/dino_parity DIR

One safetensors file per case; docs/parity.md describes the format. Kinds:
    small       all kinds at sizes that are committed (tests/golden/parity)
    vit         --arch ti s b  --patch 16 8  --size 224x224 96x96 480x320  (width x height)
    dinov2      the layout of DINOv2, patch 14:  --arch s b g  --registers 0 4  --mlp gelu swiglu  --size 224x224 98x98
    head  loss  optimizer  ema  knn
    trajectory  ten training steps with AdamW, SGD, SGD and batch norm, LARS; --dtype float32 for PyTorch's own float
    all         vit ti at 16 and 4, dinov2 of that width, and all others: about 1.2 GB
Inputs and weights are numbers that float holds, so that double and float start from the same. Values are computed in
--dtype. Needs torch and safetensors; --with takes the ViT of timm or the DINOv2 of transformers, and needs it.
"""
import argparse
import json
import os
import re
import sys

import torch
from safetensors.torch import save_file

from other_models import timm_tokens, transformers_tokens
from recipe import Draw, Updates, average, dino_loss, draw_head, draw_vit, head, train, vit

ARCHITECTURES = {"ti": (192, 3), "s": (384, 6), "b": (768, 12), "l": (1024, 16), "g": (1536, 24)}   # dim, heads
STEPS = 10


class Case:
    """One file: the configuration and named tensors, and the random numbers that made them."""

    def __init__(self, options, kind, name, **config):
        self.options, self.name = options, f"{name}-{options.seed}"
        if options.dtype == "float32":
            self.name += "-float32"
        self.config = {"format": 1, "kind": kind, **config, "dtype": options.dtype}
        self.dtype = getattr(torch, options.dtype)
        self.random = torch.Generator().manual_seed(options.seed)
        self.tensors = {}

    def randn(self, *shape):
        """Random numbers that float holds, in the type of the computation."""
        return torch.randn(*shape, generator=self.random, dtype=torch.float32).to(self.dtype)

    def given(self, name, x, stored=torch.float32):
        """Stores an input and returns it as the computation takes it."""
        x = x.to(stored)
        self.tensors[name] = x.contiguous()
        return x.to(self.dtype)

    def weights(self, draw):
        return {name: self.given(f"weights.{name}", x) for name, x in draw.parameters.items()}

    def expect(self, name, x):
        self.tensors[name] = x.detach().contiguous().clone()

    def expect_all(self, prefix, tensors):
        for name, x in tensors.items():
            self.expect(f"{prefix}.{name}", x)

    def save(self):
        source = f"tools/reference/parity.py, torch {torch.__version__}, seed {self.options.seed}"
        path = os.path.join(self.options.out, self.name + ".safetensors")
        save_file(self.tensors, path, {"dino.parity": json.dumps(self.config), "source": source})
        print(path, os.path.getsize(path))


def leaves(p):
    return {name: x.clone().requires_grad_(True) for name, x in p.items()}


def write_vit(options, name, c, images, width, height):
    case = Case(options, "vit", f"{name}-{width}x{height}", **c)
    draw = Draw(case.random)
    draw_vit(draw, c)
    p = leaves(case.weights(draw))
    pixels = case.given("images", case.randn(images, 3, height, width))
    if options.source == "timm":
        outputs, attention = [timm_tokens(p, pixels, c)], None
    elif options.source == "transformers":
        tokens, attention = transformers_tokens(p, pixels, c)
        outputs = [tokens]
    else:
        outputs, attention = vit(p, pixels, c)
    if attention is not None:
        case.expect("attention", attention[:, :, 0])
    case.expect("tokens", outputs[-1])
    for i, x in enumerate(reversed(outputs[:-1])):
        case.expect(f"last.{i + 1}", x)
    d = case.given("d_tokens", case.randn(*outputs[-1].shape))
    (d * outputs[-1]).sum().backward()
    case.expect_all("grad", {n: x.grad for n, x in p.items() if n != "mask_token"})   # which nothing reads
    case.save()


def published(options, arch, patch, image_size):
    dim, heads = ARCHITECTURES[arch]
    return {"image_size": image_size, "patch_size": patch, "dim": dim, "depth": options.depth, "heads": heads,
            "mlp_ratio": 4, "last_blocks": min(4, options.depth)}


def write_sizes(options, name, c):
    name += "" if c["depth"] == 12 else f"-depth{c['depth']}"
    for size in options.size:
        width, height = (int(x) for x in size.split("x"))
        if width % c["patch_size"] or height % c["patch_size"]:
            sys.exit(f"--size {size}: sides must be multiples of the patch size, {c['patch_size']}")
        write_vit(options, name, c, options.images, width, height)


def write_vits(options):
    for arch in options.arch:
        for patch in options.patch:
            c = published(options, arch, patch, 32 if patch < 8 else 224)
            write_sizes(options, f"vit-{arch}-{patch}", c)


def dinov2(c, registers, mlp):
    """A configuration with what DINOv2 adds; with registers positions are resampled in another way."""
    rule = {"position_offset": 0, "position_antialias": True} if registers else {}
    return {**c, "registers": registers, "layer_scale": True, "mlp": mlp, "mask_token": True, **rule}


def write_dinov2(options):
    for arch in options.arch:
        for registers in options.registers:
            for mlp in options.mlp:
                c = dinov2(published(options, arch, 14, 518), registers, mlp)
                write_sizes(options, f"dinov2-{arch}-14-registers{registers}-{mlp}", c)


def write_head(options, name, rows, **config):
    case = Case(options, "head", name, layers=3, norm_last_layer=False, **config)
    draw = Draw(case.random)
    draw_head(draw, case.config)
    draw.parameters["last_layer.weight_g"] = 1 + 0.3 * draw.randn(config["outputs"], 1)
    p = leaves(case.weights(draw))
    x = case.given("features", case.randn(rows, config["dim"])).requires_grad_(True)
    y = head(p, x, case.config)
    case.expect("logits", y)
    (case.given("d_logits", case.randn(*y.shape)) * y).sum().backward()
    case.expect("d_features", x.grad)
    case.expect_all("grad", {n: w.grad for n, w in p.items()})
    case.save()


def write_loss(options, images, views, outputs):
    """Ten steps: each has its temperature, and its centre from the steps before."""
    c = {"student_temp": 0.1, "center_momentum": 0.9}
    case = Case(options, "loss", "loss", **c)
    student = case.given("student", 0.5 * case.randn(STEPS, views * images, outputs))
    teacher = case.given("teacher", 0.3 * case.randn(STEPS, 2 * images, outputs) + 0.2 * case.randn(outputs))
    temperatures = case.given("teacher_temp", torch.linspace(0.04, 0.07, STEPS, dtype=torch.float64), torch.float64)
    center = torch.zeros(1, outputs, dtype=case.dtype)
    losses, centers, grads = [], [], []
    for s, t, temperature in zip(student, teacher, temperatures):
        s = s.clone().requires_grad_(True)
        loss = dino_loss(s, t, center, views, c["student_temp"], temperature.item())
        loss.backward()
        center = c["center_momentum"] * center + (1 - c["center_momentum"]) * t.mean(dim=0, keepdim=True)
        losses.append(loss.detach()), centers.append(center[0]), grads.append(s.grad)
    case.expect("loss", torch.stack(losses))
    case.expect("center", torch.stack(centers))
    case.expect("d_student", torch.stack(grads))
    case.save()


def optimizer_shapes(width):
    return {"matrix.weight": (width, width + 3), "matrix.bias": (width,), "norm.weight": (width + 1,),
            "table": (1, 2, width), "last_layer.weight_v": (width + 2, width)}


def write_optimizer(options, optimizer, width):
    """Gradients of any size, some clipped and some not; a rate that changes; a last layer that is frozen at first."""
    c = {"optimizer": optimizer, "clip": 1.0, "freeze_last_layer_steps": 3}
    case = Case(options, "optimizer", f"optimizer-{optimizer}", **c)
    shapes = optimizer_shapes(width)
    p = {n: case.given(f"weights.{n}", case.randn(*s)).requires_grad_(True) for n, s in shapes.items()}
    scale = 10 ** (2 * torch.rand(STEPS, generator=case.random) - 1)
    gradients = {n: case.given(f"gradient.{n}", torch.stack([k * case.randn(*s) / width for k in scale]))
                 for n, s in shapes.items()}
    largest = 0.3 if optimizer == "lars" else 0.01
    rates = case.given("lr", torch.linspace(0, largest, STEPS, dtype=torch.float64), torch.float64).tolist()
    decays = case.given("weight_decay", torch.linspace(0.04, 0.4, STEPS, dtype=torch.float64), torch.float64).tolist()
    updates, history = Updates(optimizer, p, c["clip"]), []
    for step in range(STEPS):
        for n, x in p.items():
            x.grad = gradients[n][step].clone()
        updates.step(rates[step], decays[step], step < c["freeze_last_layer_steps"])
        history.append({n: x.detach().clone() for n, x in p.items()})
    case.expect_all("updated", {n: torch.stack([h[n] for h in history]) for n in p})
    case.save()


def write_ema(options, width):
    case = Case(options, "ema", "ema")
    teacher = {"x": case.given("average", case.randn(width))}
    models = case.given("model", case.randn(STEPS, width))
    momenta = case.given("momentum", torch.linspace(0.996, 1, STEPS, dtype=torch.float64), torch.float64).tolist()
    history = []
    for model, momentum in zip(models, momenta):
        average(teacher, {"x": model}, momentum)
        history.append(teacher["x"].clone())
    case.expect("updated", torch.stack(history))
    case.save()


def write_knn(options, bank_size, queries, dim, classes, ks):
    """Votes with weights exp(similarity / temperature) of the k nearest. Classes have directions of their own."""
    case = Case(options, "knn", "knn", temperature=0.07, classes=classes)
    directions = case.randn(classes, dim)
    labels = torch.randint(classes, (bank_size,), generator=case.random)
    truth = torch.randint(classes, (queries,), generator=case.random)
    case.tensors["bank_labels"], case.tensors["query_labels"] = labels, truth
    bank = case.given("bank", directions[labels] + case.randn(bank_size, dim))
    query = case.given("queries", directions[truth] + case.randn(queries, dim))
    bank, query = (x / x.norm(dim=1, keepdim=True) for x in (bank, query))
    for k in ks:
        similarity, index = (query @ bank.T).topk(k, dim=1)
        weights = (similarity / case.config["temperature"]).exp()
        votes = torch.zeros(queries, classes, dtype=case.dtype).scatter_add_(1, labels[index], weights)
        order = votes.sort(dim=1, descending=True, stable=True).indices
        hits = (order == truth[:, None])
        case.expect(f"votes.{k}", votes)
        case.expect(f"accuracy.{k}", 100 * torch.stack([hits[:, :n].any(dim=1).double().mean()
                                                        for n in (1, min(5, k))]))
    case.save()


def write_trajectory(options, name, model, groups, sets, optimizer, base_lr, clip, **settings):
    """Ten steps from given weights and crops: set `step % sets` is the batch of a step."""
    schedule = {"steps": STEPS, "total_steps": 12, "steps_per_epoch": 3, "warmup_steps": 4, "lr": base_lr,
                "final_lr": 1e-6, "weight_decay": 0.04, "final_weight_decay": 0.4, "teacher_momentum": 0.9,
                "final_teacher_momentum": 1.0, "freeze_last_layer_steps": 3, "student_temp": 0.1,
                "center_momentum": 0.9, "warmup_teacher_temp": 0.04, "teacher_temp": 0.07, "warmup_teacher_steps": 9}
    c = {**model, **schedule, "optimizer": optimizer, "clip": clip, "use_bn": False, "norm_last_layer": True}
    c.update(settings)
    c.setdefault("micro_batch", c["batch"])
    case = Case(options, "trajectory", name, **c)
    draw = Draw(case.random)
    draw_vit(draw, c, "backbone.")
    draw_head(draw, c, "head.")
    start = case.weights(draw)
    pixels = [case.given(f"crops.{g}", case.randn(sets, crops * c["batch"], 3, side, side), torch.float16)
              for g, (crops, side) in enumerate(groups)]
    out = train(c, start, lambda step: [x[step % sets] for x in pixels])
    case.expect("loss", out["loss"])
    case.expect("center", out["center"])
    case.expect_all("student", out["student"])
    case.expect_all("teacher", out["teacher"])
    case.save()


def write_trajectories(options, name, model, groups, sets, adamw, sgd, lars):
    """AdamW with passes of half a batch, SGD without and with batch norm, LARS. Each optimizer has (rate, clip)."""
    def write(run, *args, **settings):
        write_trajectory(options, f"{name}-{run}", model, groups, sets, *args, **settings)
    write("adamw", "adamw", *adamw, norm_last_layer=False, micro_batch=model["batch"] // 2)
    if options.kind != "small":
        write("sgd", "sgd", *sgd, norm_last_layer=False, micro_batch=model["batch"] // 2)
    write("sgd-bn", "sgd", *sgd, use_bn=True)
    write("lars", "lars", *lars)


def write_full_trajectories(options):
    """AdamW moves an element by its whole rate where float rounds the sign of its gradient away: hence a small one."""
    model = {"image_size": 32, "patch_size": 4, "dim": 192, "depth": 12, "heads": 3, "mlp_ratio": 4, "layers": 3,
             "hidden": 512, "bottleneck": 256, "outputs": 1024, "batch": 4}
    write_trajectories(options, "trajectory-ti-4", model, [(2, 32), (4, 16)], STEPS,
                       adamw=(1e-4, 0.3), sgd=(0.05, 3.0), lars=(0.3, 0.1))


def write_small(options):
    tiny = {"image_size": 8, "patch_size": 2, "dim": 4, "depth": 1, "heads": 2, "mlp_ratio": 2}
    write_vit(options, "vit-tiny", {**tiny, "dim": 8, "depth": 2, "last_blocks": 2}, 2, 10, 6)
    # Grids of 5 x 3 from 4 x 4: more and fewer cells than there are.
    small = {**tiny, "dim": 8, "last_blocks": 1}
    write_vit(options, "dinov2-tiny-registers", dinov2(small, 2, "gelu"), 2, 10, 6)
    write_vit(options, "dinov2-tiny-swiglu", dinov2(small, 0, "swiglu"), 2, 10, 6)
    write_head(options, "head", 6, dim=5, hidden=7, bottleneck=4, outputs=9, use_bn=False)
    write_head(options, "head-bn", 6, dim=5, hidden=7, bottleneck=4, outputs=9, use_bn=True)
    write_loss(options, images=2, views=4, outputs=5)
    for optimizer in ("adamw", "sgd", "lars"):
        write_optimizer(options, optimizer, 3)
    write_ema(options, 10)
    write_knn(options, bank_size=40, queries=9, dim=6, classes=7, ks=(5, 20))
    model = {**tiny, "layers": 3, "hidden": 6, "bottleneck": 4, "outputs": 16, "batch": 3}
    # With larger steps of SGD a model of this size magnifies every rounding a hundred thousand times, PyTorch's too.
    write_trajectories(options, "trajectory-small", model, [(2, 8), (2, 4)], 2,
                       adamw=(2e-3, 0.3), sgd=(3e-3, 1.0), lars=(0.3, 0.1))


KINDS = {
    "small": write_small,
    "vit": write_vits,
    "dinov2": write_dinov2,
    "head": lambda o: [write_head(o, f"head{'-bn' * bn}", 64, dim=192, hidden=2048, bottleneck=256, outputs=4096,
                                  use_bn=bn) for bn in (False, True)],
    "loss": lambda o: write_loss(o, images=8, views=10, outputs=4096),
    "optimizer": lambda o: [write_optimizer(o, name, 64) for name in ("adamw", "sgd", "lars")],
    "ema": lambda o: write_ema(o, 10000),
    "knn": lambda o: write_knn(o, bank_size=5000, queries=200, dim=192, classes=50, ks=(10, 20, 100)),
    "trajectory": write_full_trajectories,
}


def write_all(options):
    for kind, write in KINDS.items():
        if kind not in ("small", "vit", "dinov2"):
            write(options)
    options.arch, options.patch, options.size = ["ti"], [16], ["224x224", "96x96", "480x320"]
    write_vits(options)
    options.patch, options.size = [4], ["32x32", "96x96"]
    write_vits(options)
    options.registers, options.mlp, options.size = [0, 4], ["gelu", "swiglu"], ["98x98"]
    write_dinov2(options)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=[*KINDS, "all"])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", required=True, help="a folder")
    parser.add_argument("--dtype", choices=["float64", "float32"], default="float64")
    parser.add_argument("--arch", nargs="+", choices=list(ARCHITECTURES), default=["ti"])
    parser.add_argument("--depth", type=int, default=12, help="blocks")
    parser.add_argument("--patch", nargs="+", type=int, default=[16])
    parser.add_argument("--registers", nargs="+", type=int, default=[0])
    parser.add_argument("--mlp", nargs="+", choices=["gelu", "swiglu"], default=["gelu"])
    parser.add_argument("--size", nargs="+", default=["224x224"], help="width x height in pixels")
    parser.add_argument("--images", type=int, default=1)
    parser.add_argument("--with", dest="source", choices=["recipe", "timm", "transformers"], default="recipe")
    options = parser.parse_args()
    if not all(re.fullmatch(r"[1-9][0-9]*x[1-9][0-9]*", size) for size in options.size):
        parser.error("--size takes WIDTHxHEIGHT, for example 224x224")
    if options.source == "timm" and options.kind == "dinov2":
        parser.error("--with timm is for the ViT of DINO; --with transformers for that of DINOv2")
    torch.set_num_threads(1)
    os.makedirs(options.out, exist_ok=True)
    (write_all if options.kind == "all" else KINDS[options.kind])(options)


if __name__ == "__main__":
    main()
