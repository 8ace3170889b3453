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
    cuts = np.cumsum([len(tokens) for tokens, _, _ in grids])[:-1]
    parts = [x if (x > 0).any() else x - x.mean() for x in np.split(along, cuts)]  # no picture is all background
    foreground = np.concatenate(parts) > 0
    if foreground.sum() < 2:
        foreground[:] = True
    mean, three = components(tokens[foreground], 3)
    values = (tokens[foreground] - mean) @ three.T
    low, high = values.min(axis=0), values.max(axis=0)
    rgb = np.zeros((len(tokens), 3))
    rgb[foreground] = (values - low) / (high - low)
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
    for k, (height, width) in enumerate([(6, 7), (5, 9), (4, 3)]):
        object_ = torch.zeros(height, width, dtype=torch.float64)
        object_[1:4, 2:5] = 1 if k < 2 else -1             # the last one would be all background
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
    source = f"tools/reference/attention.py, torch {torch.__version__}, seed {options.seed}"
    save_file(out, options.out, {"source": source})
    print(options.out, os.path.getsize(options.out))


# The program against PyTorch.

# Name: model of timm, stored size, short side of the photographs, rule for positions, settings.
MODELS = {
    "vit-ti-16": ("vit_tiny_patch16_224", 224, 224, "timm", {}),
    "vit-s-8": ("vit_small_patch8_224", 224, 112, "timm", {}),
    "dinov2-s-14-reg": ("vit_small_patch14_reg4_dinov2", 518, 224, "auto", {}),
}


def random_model(name, seed):
    """Weights as large as those of a trained network, so that attention is not uniform."""
    import timm
    architecture, stored, _, _, settings = MODELS[name]
    model = timm.create_model(architecture, pretrained=False, num_classes=0, img_size=stored, dynamic_img_size=True,
                              **settings).eval()
    random = torch.Generator().manual_seed(seed)
    for key, x in sorted(model.named_parameters()):
        value = torch.randn(x.shape, generator=random)
        if "token" in key or "pos" in key:
            value *= 0.5
        elif x.ndim > 1:
            value /= x[0].numel() ** 0.5
        elif key.endswith("bias"):
            value *= 0.1
        else:
            value = 0.2 * value + (1.0 if "norm" in key else 0.3)
        x.data.copy_(value)
    for block in model.blocks:
        block.attn.fused_attn = False
    return model


@torch.no_grad()
def run(model, image):
    """image (h,w,3), bytes. All attention (L,H,T,T), and the patch tokens after the norm (P,C)."""
    x = torch.from_numpy(image).permute(2, 0, 1).float() / 255
    x = (x - torch.tensor([0.485, 0.456, 0.406])[:, None, None]) / torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    blocks, hooks = [], []
    for block in model.blocks:
        hooks.append(block.attn.attn_drop.register_forward_hook(lambda module, given, out: blocks.append(out[0])))
    tokens = model.forward_features(x[None])[0]
    for hook in hooks:
        hook.remove()
    return torch.stack(blocks), tokens[model.num_prefix_tokens:]


class Worst:
    """The largest differences of each thing that is compared."""

    def __init__(self, name):
        self.name, self.values, self.wrong = name, {}, 0

    def add(self, what, value, limit):
        self.values[what] = max(self.values.get(what, 0), value)
        self.wrong += not value <= limit

    def show(self):
        print(f"{self.name:16}", "  ".join(f"{what} {value:.1e}" for what, value in self.values.items()), flush=True)


def borderline(maps, keep):
    """Patches whose running sum is within rounding of the edge of the mask."""
    values, order = torch.sort(maps, dim=1, stable=True)
    near = ((values / values.sum(dim=1, keepdim=True)).cumsum(dim=1) - (1 - keep)).abs() < LIMIT
    return torch.gather(near, 1, torch.argsort(order, dim=1))


def check_picture(worst, folder, model, blocks):
    from PIL import Image
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import colormaps, colors
    skip = model.num_prefix_tokens
    maps = np.load(os.path.join(folder, "attention.npy"))
    layers, heads, height, width = maps.shape
    expected = blocks[:, :, 0, skip:]
    got = torch.from_numpy(maps).reshape(layers, heads, height * width)
    worst.add("maps", (got - expected).abs().max().item(), LIMIT)
    worst.add("of the largest", ((got - expected).abs().max() / expected.max()).item(), 1e-4)
    masks = torch.from_numpy(np.load(os.path.join(folder, "masks.npy"))).reshape(layers * heads, -1).bool()
    flat = expected.reshape(layers * heads, -1)
    differ = masks != mask_by_mass(flat, 0.6)
    worst.add("mask patches", differ.sum().item(), 1e9)
    worst.add("beyond rounding", (differ & ~borderline(flat, 0.6)).sum().item(), 0)
    row = rollout(blocks.double())[skip:]
    got_row = torch.from_numpy(np.load(os.path.join(folder, "rollout.npy"))).flatten()
    worst.add("rollout", (got_row - row).abs().max().item(), LIMIT)
    for head in range(heads):                              # as visualize_attention.py saves them: matplotlib's imsave
        name = f"block{layers - 1}-attn-head{head}.png"
        picture = np.asarray(Image.open(os.path.join(folder, name)).convert("RGB"))
        nearest = maps[-1, head].repeat(picture.shape[0] // height, 0).repeat(picture.shape[1] // width, 1)
        imsave = colormaps["viridis"](colors.Normalize()(nearest), bytes=True)[..., :3]
        worst.add("bytes of pictures", int((picture != imsave).sum()), 0)


def check_patches(worst, out, names, tokens, grids):
    for name, (rgb, foreground) in zip(names, patch_colors([(t.double().numpy(), *g) for t, g in zip(tokens, grids)])):
        got = np.load(os.path.join(out, name, "pca.npy")).reshape(-1, 3)
        worst.add("colours", float(np.abs(got - rgb).max()), LIMIT)
        worst.add("foreground patches", int(((got != 0).any(axis=1) != foreground).sum()), 0)


def program(options, *arguments):
    command = [os.path.join(options.bin, "dino_attention"), "--quiet", "--overwrite", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}\n{done.stderr}")


def check_matches(worst, options, model, weights, common, photos, tokens, grids):
    out, patch = os.path.join(options.out, "matches"), model.patch_embed.patch_size[0]
    program(options, "--weights", weights, *common, "--match", "--no-grid", "--no-overlay", "--out", out, *photos)
    expected = {(a, b) for a, b, _ in best_buddies(*[t.double() for t in tokens])}
    got = set()
    for x_a, y_a, x_b, y_b, _ in np.loadtxt(os.path.join(out, "matches.csv"), delimiter=",", skiprows=1, ndmin=2):
        got.add((int(y_a // patch) * grids[0][1] + int(x_a // patch),
                 int(y_b // patch) * grids[1][1] + int(x_b // patch)))
    worst.add("matches that differ", len(got ^ expected), 0)


def check_square(worst, options, weights, photos, patch):
    """The picture that the network sees is that of the reference: PIL's bilinear resize, cut to whole patches."""
    from PIL import Image

    out, size = os.path.join(options.out, "square"), 225
    program(options, "--weights", weights, "--square", "--size", str(size), "--heads", "mean", "--no-grid",
            "--no-overlay", "--out", out, *photos)
    for path in photos:
        name = os.path.splitext(os.path.basename(path))[0]
        image = Image.open(path).convert("RGB")            # columns first: see Resize in photos.py
        image = image.resize((size, image.height), Image.BILINEAR).resize((size, size), Image.BILINEAR)
        side = size - size % patch
        got = np.array(Image.open(os.path.join(out, name, "img.png")).convert("RGB")).astype(int)
        levels = np.abs(got - np.array(image)[:side, :side])
        worst.add("levels of --square", int(levels.max()), 1)  # one: another libjpeg


def check(options):
    from PIL import Image

    photos = sorted(os.path.join(folder, name) for path in options.photos for folder, _, names in os.walk(path)
                    for name in names if name.lower().endswith((".jpg", ".jpeg")))
    wrong = 0
    os.makedirs(options.out, exist_ok=True)
    for seed, name in enumerate(options.models or MODELS, options.seed):
        model, worst = random_model(name, seed), Worst(name)
        _, _, size, positions, _ = MODELS[name]
        weights, out = os.path.join(options.out, f"{name}.pth"), os.path.join(options.out, name)
        torch.save(model.state_dict(), weights)
        common = ["--size", str(size), "--positions", positions]
        program(options, "--weights", weights, *common, "--layers", "all", "--threshold", "0.6", "--rollout", "--raw",
                "--pca", "--no-overlay", "--no-grid", "--out", out, *photos)
        names = [os.path.splitext(os.path.basename(path))[0] for path in photos]
        tokens, grids = [], []
        for picture in names:
            image = np.array(Image.open(os.path.join(out, picture, "img.png")).convert("RGB"))
            blocks, patches = run(model, image)
            check_picture(worst, os.path.join(out, picture), model, blocks)
            tokens.append(patches)
            grids.append(tuple(side // model.patch_embed.patch_size[0] for side in image.shape[:2]))
        check_patches(worst, out, names, tokens, grids)
        check_matches(worst, options, model, weights, common, photos[:2], tokens[:2], grids[:2])
        if name == "vit-ti-16":
            check_square(worst, options, weights, photos, 16)
        worst.show()
        wrong += worst.wrong
    if wrong:
        sys.exit(f"{wrong} differences beyond their limits")


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
