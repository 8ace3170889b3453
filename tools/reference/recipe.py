"""The recipe in PyTorch: vision transformer, head, loss, optimizers, training. What the scripts of this folder share.

Written from formulas; it shares no code with the library. A model is a dictionary of tensors under the names of torch
hub, a configuration `c` a dictionary with the keys that parity.py writes into its files: docs/parity.md lists them, and
those of DINOv2 may be absent. Numbers have the type of the parameters. Needs torch.
"""
import math

import torch
import torch.nn.functional as F


class Draw:
    """Random parameters, in the order in which they are asked for."""

    def __init__(self, random, weight_scale=None):
        self.random, self.weight_scale, self.parameters = random, weight_scale, {}

    def randn(self, *shape):
        return torch.randn(*shape, generator=self.random, dtype=torch.float64)

    def add(self, name, *shape, scale, offset=0.0):
        self.parameters[name] = offset + scale * self.randn(*shape)

    def weight(self, name, *shape):
        """One row per output. Scaled for outputs as large as the inputs, unless a scale is given."""
        self.add(name, *shape, scale=self.weight_scale or 1 / math.sqrt(math.prod(shape[1:])))

    def linear(self, name, rows, columns):
        self.weight(f"{name}.weight", rows, columns)
        self.add(f"{name}.bias", rows, scale=0.1)

    def norm(self, name, width):
        self.add(f"{name}.weight", width, scale=0.1, offset=1)
        self.add(f"{name}.bias", width, scale=0.1)


def gated(c):
    return c.get("mlp", "gelu") == "swiglu"


def hidden_width(c):
    """Of the perceptron. Gated: two thirds, so that three matrices are as large as two, as a multiple of 8."""
    if gated(c):
        return (int(c["dim"] * c["mlp_ratio"]) * 2 // 3 + 7) // 8 * 8
    return round(c["dim"] * c["mlp_ratio"])


def draw_vit(draw, c, prefix=""):
    dim, grid, hidden = c["dim"], c["image_size"] // c["patch_size"], hidden_width(c)
    draw.add(f"{prefix}cls_token", 1, 1, dim, scale=0.3)
    draw.add(f"{prefix}pos_embed", 1, 1 + grid * grid, dim, scale=0.3)
    if c.get("registers"):
        draw.add(f"{prefix}register_tokens", 1, c["registers"], dim, scale=0.3)
    if c.get("mask_token"):
        draw.add(f"{prefix}mask_token", 1, dim, scale=0.3)
    draw.weight(f"{prefix}patch_embed.proj.weight", dim, 3, c["patch_size"], c["patch_size"])
    draw.add(f"{prefix}patch_embed.proj.bias", dim, scale=0.1)
    for i in range(c["depth"]):
        block = f"{prefix}blocks.{i}"
        draw.norm(f"{block}.norm1", dim)
        draw.norm(f"{block}.norm2", dim)
        draw.linear(f"{block}.attn.qkv", 3 * dim, dim)
        draw.linear(f"{block}.attn.proj", dim, dim)
        if gated(c):
            draw.linear(f"{block}.mlp.w12", 2 * hidden, dim)
            draw.linear(f"{block}.mlp.w3", dim, hidden)
        else:
            draw.linear(f"{block}.mlp.fc1", hidden, dim)
            draw.linear(f"{block}.mlp.fc2", dim, hidden)
        if c.get("layer_scale"):
            draw.add(f"{block}.ls1.gamma", dim, scale=0.5, offset=0.2)
            draw.add(f"{block}.ls2.gamma", dim, scale=0.5, offset=0.2)
    draw.norm(f"{prefix}norm", dim)


def mlp_names(c):
    """The linear layers of a head's perceptron: with batch norm a hidden layer takes three places, else two."""
    if c["layers"] == 1:
        return ["mlp"]
    return [f"mlp.{i * (3 if c['use_bn'] else 2)}" for i in range(c["layers"])]


def norm_name(linear_name):
    return f"mlp.{int(linear_name[4:]) + 1}"


def draw_head(draw, c, prefix=""):
    names = mlp_names(c)
    widths = [c["dim"]] + [c["hidden"]] * (len(names) - 1) + [c["bottleneck"]]
    for i, name in enumerate(names):
        draw.linear(prefix + name, widths[i + 1], widths[i])
        if c["use_bn"] and i + 1 < len(names):
            draw.norm(prefix + norm_name(name), c["hidden"])
    draw.parameters[f"{prefix}last_layer.weight_g"] = torch.ones(c["outputs"], 1, dtype=torch.float64)
    draw.weight(f"{prefix}last_layer.weight_v", c["outputs"], c["bottleneck"])


def interpolate(table, grid, height, width, offset=0.1, antialias=False):
    """The positions (grid*grid, C) of the patches, resampled for another grid: scale (size + offset) / grid."""
    if (height, width) == (grid, grid):
        return table
    image = table.reshape(1, grid, grid, -1).permute(0, 3, 1, 2)
    scales = ((height + offset) / grid, (width + offset) / grid)
    size = {"scale_factor": scales} if offset else {"size": (height, width)}
    out = F.interpolate(image, **size, mode="bicubic", antialias=antialias)
    assert out.shape[-2:] == (height, width)
    return out.permute(0, 2, 3, 1).reshape(height * width, -1)


def split_heads(qkv, heads):
    """(B,N,3C) -> three of (B,H,N,C/H)."""
    images, tokens, width = qkv.shape
    return qkv.reshape(images, tokens, 3, heads, width // 3 // heads).permute(2, 0, 3, 1, 4)


def attention_map(q, k):
    return ((q @ k.transpose(-2, -1)) * q.shape[-1] ** -0.5).softmax(dim=-1)


def attend(qkv, heads):
    """The attention of one group of images without its projections, and its map (B,H,N,N)."""
    q, k, v = split_heads(qkv, heads)
    weights = attention_map(q, k)
    return (weights @ v).transpose(1, 2).reshape(qkv.shape[0], qkv.shape[1], -1), weights


def positions(p, c, height, width, prefix=""):
    """Those of class token and patches for a grid, (1+height*width, C)."""
    table, grid = p[f"{prefix}pos_embed"][0], c["image_size"] // c["patch_size"]
    rule = c.get("position_offset", 0.1), c.get("position_antialias", False)
    return torch.cat([table[:1], interpolate(table[1:], grid, height, width, *rule)])


def embed(p, images, c, prefix=""):
    """Class token and patches with their positions, registers between them without, (B,N,C)."""
    size = c["patch_size"]
    x = F.conv2d(images, p[f"{prefix}patch_embed.proj.weight"], p[f"{prefix}patch_embed.proj.bias"], stride=size)
    height, width = x.shape[2:]
    x = torch.cat([p[f"{prefix}cls_token"].expand(len(images), -1, -1), x.flatten(2).transpose(1, 2)], dim=1)
    x = x + positions(p, c, height, width, prefix)
    if c.get("registers"):
        x = torch.cat([x[:, :1], p[f"{prefix}register_tokens"].expand(len(images), -1, -1), x[:, 1:]], dim=1)
    return x


def vit(p, images, c, prefix=""):
    """The outputs of all blocks after the final norm, a list of (B,N,C), and the last attention (B,H,N,N)."""
    def norm(name, x):
        return F.layer_norm(x, (c["dim"],), p[f"{prefix}{name}.weight"], p[f"{prefix}{name}.bias"], 1e-6)

    def linear(name, x):
        return F.linear(x, p[f"{prefix}{name}.weight"], p[f"{prefix}{name}.bias"])

    def perceptron(name, x):
        if gated(c):
            gate, value = linear(f"{name}.w12", x).chunk(2, dim=-1)
            return linear(f"{name}.w3", F.silu(gate) * value)
        return linear(f"{name}.fc2", F.gelu(linear(f"{name}.fc1", x)))

    def scaled(name, x):
        return p[f"{prefix}{name}.gamma"] * x if c.get("layer_scale") else x

    x, outputs, weights = embed(p, images, c, prefix), [], None
    for i in range(c["depth"]):
        block = f"blocks.{i}"
        y, weights = attend(linear(f"{block}.attn.qkv", norm(f"{block}.norm1", x)), c["heads"])
        x = x + scaled(f"{block}.ls1", linear(f"{block}.attn.proj", y))
        x = x + scaled(f"{block}.ls2", perceptron(f"{block}.mlp", norm(f"{block}.norm2", x)))
        outputs.append(x)
    return [norm("norm", x) for x in outputs[-c.get("last_blocks", 1):]], weights


def weight_norm_linear(x, v, g):
    return F.linear(x, v * (g / v.norm(dim=1, keepdim=True)))


def head(p, x, c, prefix=""):
    names = mlp_names(c)
    for name in names:
        x = F.linear(x, p[f"{prefix}{name}.weight"], p[f"{prefix}{name}.bias"])
        if name == names[-1]:
            break
        if c["use_bn"]:
            norm = prefix + norm_name(name)
            x = F.batch_norm(x, None, None, p[f"{norm}.weight"], p[f"{norm}.bias"], training=True, eps=1e-5)
        x = F.gelu(x)
    x = F.normalize(x, dim=-1, p=2, eps=1e-12)
    return weight_norm_linear(x, p[f"{prefix}last_layer.weight_v"], p[f"{prefix}last_layer.weight_g"])


def dino_loss(student, teacher, center, views, student_temp, teacher_temp):
    s = (student / student_temp).chunk(views)
    q = F.softmax((teacher - center) / teacher_temp, dim=-1).detach().chunk(2)
    terms = [-(q[i] * F.log_softmax(s[v], dim=-1)).sum(dim=-1).mean() for i in range(2) for v in range(views) if v != i]
    return sum(terms) / len(terms)


def cosine(base, final, total, warmup, step):
    if step < warmup:
        return base * step / (warmup - 1) if warmup > 1 else 0.0
    return final + 0.5 * (base - final) * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))


def teacher_temp(c, step):
    """One value an epoch: linear over the epochs of the warm-up, both ends included, then constant."""
    epoch, warmup = step // c["steps_per_epoch"], c["warmup_teacher_steps"] // c["steps_per_epoch"]
    if epoch >= warmup:
        return c["teacher_temp"]
    share = epoch / (warmup - 1) if warmup > 1 else 0.0
    return c["warmup_teacher_temp"] + (c["teacher_temp"] - c["warmup_teacher_temp"]) * share


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


class Updates:
    """An optimizer over named tensors: weight decay for those of rank 2 and more, clipping of each by itself."""

    def __init__(self, name, tensors, clip):
        self.tensors, self.clip = tensors, clip
        decayed = {n: x for n, x in tensors.items() if x.ndim > 1 and not n.endswith(".bias")}
        groups = [{"params": list(decayed.values()), "weight_decay": 0.0},
                  {"params": [x for n, x in tensors.items() if n not in decayed], "weight_decay": 0.0}]
        if name == "adamw":
            self.optimizer = torch.optim.AdamW(groups, lr=0.0, betas=(0.9, 0.999), eps=1e-8)
        elif name == "sgd":
            self.optimizer = torch.optim.SGD(groups, lr=0.0, momentum=0.9)
        else:
            self.optimizer = Lars(groups)

    def step(self, lr, weight_decay, frozen):
        """With the gradients that the tensors hold. frozen: the last layer is left alone entirely."""
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.optimizer.param_groups[0]["weight_decay"] = weight_decay
        for name, x in self.tensors.items():
            factor = self.clip / (x.grad.norm() + 1e-6) if self.clip > 0 else 1
            if factor < 1:
                x.grad *= factor
            if frozen and "last_layer" in name:
                x.grad = None
        self.optimizer.step()


@torch.no_grad()
def average(teacher, student, momentum):
    for name, x in teacher.items():
        x.mul_(momentum).add_((1 - momentum) * student[name])


def slices(crops, batch, size):
    """The crops (crops*batch,...) of a batch in parts of at most `size` images, each with its share of the batch."""
    for first in range(0, batch, size):
        count = min(size, batch - first)
        yield [x.unflatten(0, (-1, batch))[:, first:first + count].flatten(0, 1) for x in crops], count / batch


def train(c, start, batch_of):
    """c["steps"] training steps from `start`; batch_of(step) lists the crops, a tensor for each size, globals first.

    Returns loss (steps), center (K) and the parameters of student and teacher.
    """
    student = {name: x.clone().requires_grad_(True) for name, x in start.items()}
    teacher = {name: x.clone() for name, x in start.items()}
    trained = {n: x for n, x in student.items() if not (c["norm_last_layer"] and n.endswith("weight_g"))}
    updates = Updates(c["optimizer"], trained, c["clip"])
    center, losses = torch.zeros(1, c["outputs"], dtype=start["head.last_layer.weight_v"].dtype), []
    for step in range(c["steps"]):
        for x in student.values():
            x.grad = None
        total, mean = 0.0, torch.zeros_like(center)
        for crops, share in slices(batch_of(step), c["batch"], c["micro_batch"]):
            with torch.no_grad():
                target = head(teacher, vit(teacher, crops[0], c, "backbone.")[0][-1][:, 0], c, "head.")
            features = torch.cat([vit(student, x, c, "backbone.")[0][-1][:, 0] for x in crops])
            views = 2 * len(features) // len(target)
            loss = share * dino_loss(head(student, features, c, "head."), target, center, views, c["student_temp"],
                                     teacher_temp(c, step))
            loss.backward()
            total += loss.item()
            mean += share * target.mean(dim=0, keepdim=True)
        center = c["center_momentum"] * center + (1 - c["center_momentum"]) * mean
        updates.step(cosine(c["lr"], c["final_lr"], c["total_steps"], c["warmup_steps"], step),
                     cosine(c["weight_decay"], c["final_weight_decay"], c["total_steps"], 0, step),
                     step < c["freeze_last_layer_steps"])
        average(teacher, student, cosine(c["teacher_momentum"], c["final_teacher_momentum"], c["total_steps"], 0, step))
        losses.append(total)
    return {"loss": torch.tensor(losses, dtype=torch.float64), "center": center.reshape(-1),
            "student": {name: x.detach() for name, x in student.items()}, "teacher": teacher}
