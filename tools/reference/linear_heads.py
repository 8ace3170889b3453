#!/usr/bin/env python3
"""A small backbone, linear heads in files like those that DINO released, and their logits.

    python3 tools/reference/linear_heads.py --out tests/golden/linear_heads

backbone.pth: the state dict of a vision transformer of timm with random values. blocks.pth, pooled.pth, token.pth: what
eval_linear.py of DINO saves of a classifier inside DistributedDataParallel, over the class tokens of three blocks, over one
with the mean patch token, and, with the 1,000 classes of ImageNet, over the last class token. logits.safetensors: images, and
the logits of the three in double precision. Needs torch, timm and safetensors.
"""
import argparse
import pathlib

import timm
import torch
from safetensors.torch import save_file

WIDTH = 64  # one head of attention


class Linear(torch.nn.Module):
    def __init__(self, values, classes):
        super().__init__()
        self.linear = torch.nn.Linear(values, classes)


class Parallel(torch.nn.Module):
    """Names as DistributedDataParallel gives them, without its processes."""

    def __init__(self, module):
        super().__init__()
        self.module = module


def features(net, images, blocks, pooled):
    """The class tokens of the last blocks, or the columns [c0, p0, c1, p1, ...] of class token and mean patch token."""
    x = net._pos_embed(net.patch_embed(images))
    tokens = []
    for block in net.blocks:
        x = block(x)
        tokens.append(net.norm(x))
    seen = torch.cat([t[:, 0] for t in tokens[-blocks:]], dim=-1)
    if not pooled:
        return seen
    return torch.stack([seen, tokens[-1][:, 1:].mean(dim=1)], dim=-1).flatten(1)


def saved(head):
    """As eval_linear.py saves it after an epoch: one step, so that the optimizer has its momentum."""
    optimizer = torch.optim.SGD(head.parameters(), 0.001, momentum=0.9, weight_decay=0)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 100, eta_min=0)
    sum(p.sum() for p in head.parameters()).backward()
    optimizer.step()
    scheduler.step()
    return {"epoch": 1, "state_dict": head.state_dict(), "optimizer": optimizer.state_dict(),
            "scheduler": scheduler.state_dict(), "best_acc": 77.0}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(6)
    net = timm.models.vision_transformer.VisionTransformer(
        img_size=8, patch_size=4, embed_dim=WIDTH, depth=4, num_heads=1, mlp_ratio=0.25, num_classes=0).eval()
    with torch.no_grad():
        for name, p in net.named_parameters():
            p.normal_(1 if "norm" in name and "weight" in name else 0, 0.1)
    torch.save(net.state_dict(), out / "backbone.pth")
    images = torch.randn(3, 3, 8, 8)
    values = {"images": images}
    double = net.double()
    for name, blocks, pooled, classes in (("blocks", 3, False, 7), ("pooled", 1, True, 7), ("token", 1, False, 1000)):
        head = Parallel(Linear((blocks + pooled) * WIDTH, classes))
        file = saved(head)
        if name == "token":
            del file["optimizer"]  # half of the file
        torch.save(file, out / f"{name}.pth")
        with torch.no_grad():
            values[name] = head.double().module.linear(features(double, images.double(), blocks, pooled))
    save_file({k: v.contiguous() for k, v in values.items()}, out / "logits.safetensors",
              {"source": f"tools/reference/linear_heads.py, torch {torch.__version__}, timm {timm.__version__}"})


if __name__ == "__main__":
    main()
