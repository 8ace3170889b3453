#!/usr/bin/env python3
"""Five DINO training steps of a tiny model in PyTorch, double precision: losses, centre and final weights.

    python3 tools/reference/trajectory.py --seed 1 --out tests/golden/trajectory.safetensors

Three runs, each with another optimizer and head. Stored for each: RUN.init.NAME (student and teacher start equal),
RUN.student.NAME and RUN.teacher.NAME after the last step, RUN.loss (steps), RUN.center (K). Pixels are exact in float:
pixels() makes them. The settings are repeated in tests/ssl/test_trainer.cpp; parity.py writes files that need no such
repetition. Needs torch and safetensors.
"""
import argparse

import torch
from safetensors.torch import save_file

from recipe import Draw, draw_head, draw_vit, train

SETTINGS = {
    "image_size": 16, "patch_size": 4, "dim": 9, "depth": 2, "heads": 3, "mlp_ratio": 2,
    "layers": 3, "hidden": 10, "bottleneck": 6, "outputs": 24,
    "batch": 3, "micro_batch": 3, "steps": 5, "total_steps": 8, "steps_per_epoch": 2, "warmup_steps": 3,
    "freeze_last_layer_steps": 2, "final_lr": 1e-6, "weight_decay": 0.04, "final_weight_decay": 0.4,
    "teacher_momentum": 0.9, "final_teacher_momentum": 1.0, "center_momentum": 0.9,
    "student_temp": 0.1, "warmup_teacher_temp": 0.04, "teacher_temp": 0.07, "warmup_teacher_steps": 6,
}
RUNS = {
    "adamw": {"optimizer": "adamw", "use_bn": False, "norm_last_layer": False, "lr": 2e-3, "clip": 0.3},
    "sgd": {"optimizer": "sgd", "use_bn": True, "norm_last_layer": True, "lr": 0.05, "clip": 3.0},
    "lars": {"optimizer": "lars", "use_bn": False, "norm_last_layer": True, "lr": 0.3, "clip": 0.1},
}
CROPS = [(2, 16), (3, 8)]                                        # (crops, side) of each group


def pixels(step, group, crops, side):
    """An image whose values float holds exactly."""
    images = crops * SETTINGS["batch"]
    i = torch.arange(images * 3 * side * side)
    x = ((i * 37 + (i // 7) * 5 + step * 53 + group * 17) % 127).double() / 64 - 1
    return x.reshape(images, 3, side, side)


def make_parameters(random, c):
    draw = Draw(random, weight_scale=0.3)
    draw_vit(draw, c, "backbone.")
    draw_head(draw, c, "head.")
    return draw.parameters


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    random = torch.Generator().manual_seed(options.seed)
    tensors = {}
    for run, settings in RUNS.items():
        c = {**SETTINGS, **settings}
        start = make_parameters(random, c)
        out = train(c, start, lambda step: [pixels(step, g, n, side) for g, (n, side) in enumerate(CROPS)])
        tensors.update({f"{run}.{name}": out[name] for name in ("loss", "center")})
        for prefix, values in (("init", start), ("student", out["student"]), ("teacher", out["teacher"])):
            tensors.update({f"{run}.{prefix}.{name}": x.contiguous() for name, x in values.items()})
        print(run, out["loss"].tolist())
    save_file(tensors, options.out, {"source": "tools/reference/trajectory.py", "torch": torch.__version__})


if __name__ == "__main__":
    main()
