#!/usr/bin/env python3
"""Golden files of photographs: decoding, evaluation, augmentation, and features of the models of timm and transformers.

    python3 tools/reference/photos.py pixels features --photos DIR --out goldens && build/test/bin/dino_parity goldens
    python3 tools/reference/photos.py return --photos DIR --out goldens --bin build/test/bin

    pixels    a file for each photograph: its pixels, those of evaluation, and ten crops with their parameters
    features  a file for each model: its weights, as torch.save writes them, and what it makes of the photographs
    return    the same through the programs: features of the files by dino_features, and the weights that it exports,
              loaded strictly by the library that they came from
    small     both kinds at sizes that are committed (tests/golden/parity); needs no photographs

--photos takes folders, with all that is below them, and files. Weights are random. docs/parity.md describes the files.
Needs torch, torchvision, Pillow and safetensors; features and return need timm and transformers.
"""
import argparse
import io
import json
import math
import os
import random
import subprocess
import sys

import numpy as np
import PIL
import torch
import torchvision
import torchvision.transforms.functional as F
from PIL import Image, ImageFilter
from safetensors.torch import load_file, save_file
from torchvision.transforms import ColorJitter, RandomResizedCrop

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
BICUBIC = F.InterpolationMode.BICUBIC


def photographs(paths):
    files = []
    for path in paths:
        found = [os.path.join(folder, name) for folder, _, names in os.walk(path) for name in names]
        files += [name for name in found if name.lower().endswith((".jpg", ".jpeg"))] or [path]
    return sorted(files)


def save(folder, name, tensors, **config):
    path = os.path.join(folder, name + ".safetensors")
    source = f"tools/reference/photos.py, torch {torch.__version__}, Pillow {PIL.__version__}"
    golden = {"format": 1, **config, "dtype": "float32"}
    save_file(tensors, path, {"dino.parity": json.dumps(golden), "source": source})
    print(path, os.path.getsize(path))


def bytes_of(data):
    return torch.frombuffer(bytearray(data), dtype=torch.uint8)


def pixels_of(image):
    return torch.from_numpy(np.array(image))


def open_photograph(data):
    return Image.open(io.BytesIO(data)).convert("RGB")


# What evaluation and augmentation do.

class Resize:
    """Bicubic, columns first, as Pillow has it up to 12.0.

    Pillow 13 does the rows first where more than twice as many rows as columns go, and then rounds and clips other sums
    to bytes between the passes. `levels` keeps by how much its result differs, for each call.
    """

    def __init__(self):
        self.levels = []

    def __call__(self, image, width, height):
        out = F.resize(F.resize(image, [image.height, width], BICUBIC), [height, width], BICUBIC)
        at_once = F.resize(image, [height, width], BICUBIC)
        self.levels.append(int((pixels_of(out).int() - pixels_of(at_once).int()).abs().max()))
        return out

    def report(self):
        if self.levels:
            some = sum(x > 0 for x in self.levels)
            print(f"Pillow {PIL.__version__}, asked for both axes at once, differs in {some} "
                  f"of {len(self.levels)} pictures, by up to {max(self.levels)} levels")


resize = Resize()


def center(image, size):
    """Resize(round(size 256 / 224), BICUBIC) and CenterCrop(size) of torchvision."""
    side = int(size * 256 / 224 + 0.5)
    w, h = image.size
    width, height = (side, int(side * h / w)) if w <= h else (int(side * w / h), side)
    return F.center_crop(resize(image, width, height), [size, size])


def normalized(image):
    return F.normalize(F.to_tensor(image), MEAN, DEVIATION)


def draw_crop(image, crop, size):
    """The parameters of a crop as DataAugmentationDINO draws them, one row of the tensor `crops`."""
    scale = (0.4, 1.0) if crop < 2 else (0.05, 0.4)
    y, x, height, width = RandomResizedCrop.get_params(image, scale, (3 / 4, 4 / 3))
    order, brightness, contrast, saturation, hue = ColorJitter.get_params((0.6, 1.4), (0.6, 1.4), (0.8, 1.2),
                                                                          (-0.1, 0.1))
    blur = random.random() < (1.0, 0.1, 0.5)[min(crop, 2)]
    return [x, y, width, height, size, random.random() < 0.5, random.random() < 0.8, brightness, contrast, saturation,
            hue, *order.tolist(), random.random() < 0.2, random.uniform(0.1, 2.0) if blur else 0,
            crop == 1 and random.random() < 0.2]


def make_crop(image, row):
    x, y, width, height, size, flip, jitter, brightness, contrast, saturation, hue, *order, gray, blur, solarize = row
    image = resize(F.crop(image, y, x, height, width), size, size)
    if flip:
        image = F.hflip(image)
    changes = [lambda i: F.adjust_brightness(i, brightness), lambda i: F.adjust_contrast(i, contrast),
               lambda i: F.adjust_saturation(i, saturation), lambda i: F.adjust_hue(i, hue)]
    for change in order if jitter else []:
        image = changes[change](image)
    if gray:
        image = F.rgb_to_grayscale(image, 3)
    if blur > 0:
        image = image.filter(ImageFilter.GaussianBlur(blur))
    return F.solarize(image, 128) if solarize else image


def write_pixels(out, name, data, size, global_size, local_size):
    image = open_photograph(data)
    evaluation = center(image, size)
    tensors = {"jpeg": bytes_of(data), "pixels": pixels_of(image), "evaluation": pixels_of(evaluation),
               "tensor": normalized(evaluation)}
    rows = [draw_crop(image, k, global_size if k < 2 else local_size) for k in range(10)]
    tensors["crops"] = torch.tensor(rows, dtype=torch.float64)
    for k, row in enumerate(rows):
        tensors[f"crop.{k}"] = pixels_of(make_crop(image, row))
    save(out, name, tensors, kind="photo", size=size)


def write_all_pixels(options):
    for path in photographs(options.photos):
        with open(path, "rb") as file:
            write_pixels(options.out, "photo-" + os.path.splitext(os.path.basename(path))[0], file.read(), 224, 224, 96)


# The models of others.

def timm_model(name, stored, size, **settings):
    import timm
    return timm.create_model(name, pretrained=False, num_classes=0, img_size=stored, dynamic_img_size=size != stored,
                             **settings)


def transformers_model(name, stored, size, **settings):
    """With the settings of facebook/dino-* and facebook/dinov2-*."""
    import transformers
    if name == "ViT":
        config = {"patch_size": 16, "intermediate_size": 4 * settings["hidden_size"], "layer_norm_eps": 1e-12}
        more = {"add_pooling_layer": False}
    else:
        config, more = {"patch_size": 14, "layer_norm_eps": 1e-6}, {}
    config = getattr(transformers, name + "Config")(image_size=stored, **config, **settings)
    return getattr(transformers, name + "Model")(config, **more)


S, B = ({"hidden_size": 64 * heads, "num_attention_heads": heads} for heads in (6, 12))
# Name: function, its model, stored size, size, settings, and the rule for positions of another size.
MODELS = {
    "timm-vit-s-16": (timm_model, "vit_small_patch16_224.dino", 224, 224, {}, "auto"),
    "timm-vit-b-16": (timm_model, "vit_base_patch16_224.dino", 224, 224, {}, "auto"),
    "timm-dinov2-s-14": (timm_model, "vit_small_patch14_dinov2", 224, 224, {}, "auto"),
    "timm-dinov2-s-14-reg": (timm_model, "vit_small_patch14_reg4_dinov2", 224, 224, {}, "auto"),
    "transformers-vit-s-16": (transformers_model, "ViT", 224, 224, S, "auto"),
    "transformers-vit-b-16": (transformers_model, "ViT", 224, 224, B, "auto"),
    "transformers-dinov2-s-14": (transformers_model, "Dinov2", 224, 224, S, "auto"),
    "transformers-dinov2-s-14-reg": (transformers_model, "Dinov2WithRegisters", 224, 224, S, "auto"),
    # Two blocks are enough for positions.
    "timm-vit-s-16-at-320": (timm_model, "vit_small_patch16_224.dino", 224, 320, {"depth": 2}, "timm"),
    "timm-dinov2-s-14-at-224": (timm_model, "vit_small_patch14_dinov2", 518, 224, {"depth": 2}, "timm"),
    "timm-dinov2-s-14-reg-at-224": (timm_model, "vit_small_patch14_reg4_dinov2", 518, 224, {"depth": 2}, "auto"),
    "transformers-vit-s-16-at-320": (transformers_model, "ViT", 224, 320, {**S, "num_hidden_layers": 2},
                                     "hugging-face"),
    "transformers-dinov2-s-14-at-224": (transformers_model, "Dinov2", 518, 224, {**S, "num_hidden_layers": 2},
                                        "hugging-face"),
    "transformers-dinov2-s-14-reg-at-224": (transformers_model, "Dinov2WithRegisters", 518, 224,
                                            {**S, "num_hidden_layers": 2}, "auto"),
}


def make_model(name, seed):
    """A model with random weights as large as those of a trained network: what leaves a layer has deviation 1 or so."""
    build, architecture, stored, size, settings, _ = MODELS[name]
    model = build(architecture, stored, size, **settings).eval()
    generator = torch.Generator().manual_seed(seed)
    for key, x in sorted(model.named_parameters()):
        value = torch.randn(x.shape, generator=generator)
        if "token" in key or "pos" in key:
            value *= 0.5
        elif x.ndim > 1:
            value /= math.sqrt(x[0].numel())
        elif key.endswith("bias"):
            value *= 0.1
        else:                                             # gains of norms, scales of branches
            value = 0.2 * value + (1.0 if "norm" in key else 0.3)
        x.data.copy_(value)
    return model


@torch.no_grad()
def tokens_of(model, images, size):
    """All tokens after the final norm (B,N,C): class token, registers, patches; image after image."""
    if hasattr(model, "forward_features"):
        return torch.cat([model.forward_features(x[None]) for x in images])
    more = {"interpolate_pos_encoding": True} if model.config.model_type == "vit" else {}
    return torch.cat([model(x[None], **more).last_hidden_state for x in images])


def write_features(out, name, seed, jpegs):
    size, positions = MODELS[name][3], MODELS[name][5]
    model = make_model(name, seed)
    torch.save(model.state_dict(), os.path.join(out, f"features-{name}.pth"))
    images = [normalized(center(open_photograph(data), size)) for data in jpegs]
    tensors = {f"jpeg.{i:05d}": bytes_of(data) for i, data in enumerate(jpegs)}
    tensors["tokens"] = tokens_of(model, images, size)
    save(out, f"features-{name}", tensors, kind="features", weights=f"features-{name}.pth", size=size,
         positions=positions)


def write_all_features(options):
    jpegs = [open(path, "rb").read() for path in photographs(options.photos)]
    for name in options.models:
        write_features(options.out, name, options.seed, jpegs)


# There and back.

def difference(a, b):
    return (a - b).abs().max().item(), ((a - b).abs().max() / b.abs().max()).item()


def features_program(options, *arguments):
    command = [os.path.join(options.bin, "dino_features"), "--quiet", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}\n{done.stderr}")


def loaded(name, seed, exported):
    """A fresh model of that library with the exported weights, all of them and no others."""
    if name.startswith("timm"):
        model = make_model(name, seed + 1)
        model.load_state_dict(load_file(exported), strict=True)
        return model
    import transformers
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    model, report = transformers.AutoModel.from_pretrained(exported, output_loading_info=True)
    missing = [key for key in report["missing_keys"] if not key.startswith("pooler.")]  # facebook/dino-* lack it, too
    assert not (missing or report["unexpected_keys"] or report["mismatched_keys"]), report
    return model.eval()


def check_return(options):
    """Prints the largest differences, absolute and of the largest value, of the class token and of all tokens."""
    paths, wrong = photographs(options.photos), 0
    print(f"{'model':32} {'':10} {'class token':>20} {'all tokens':>20}")
    for name in options.models:
        size = MODELS[name][3]
        if MODELS[name][5] != "auto":                     # a rule of the library, not of the programs
            continue
        golden = load_file(os.path.join(options.out, f"features-{name}.safetensors"))["tokens"]
        weights, work = os.path.join(options.out, f"features-{name}.pth"), os.path.join(options.out, "return")
        os.makedirs(work, exist_ok=True)
        features = os.path.join(work, "features.safetensors")
        features_program(options, "--weights", weights, "--tokens", "all", "--size", str(size), "-o", features, *paths)
        exported, names = ((os.path.join(work, f"{name}.safetensors"), "timm") if name.startswith("timm") else
                           (os.path.join(work, name), "hugging-face"))
        features_program(options, "--weights", weights, "--export", exported, "--export-names", names)
        images = [normalized(center(open_photograph(open(path, "rb").read()), size)) for path in paths]
        for way, tokens in (("to here", load_file(features)["features"][:, 0]),
                            ("and back", tokens_of(loaded(name, options.seed, exported), images, size))):
            first, all_tokens = difference(tokens[:, 0], golden[:, 0]), difference(tokens, golden)
            print(f"{name:32} {way:10} {first[0]:10.1e}{first[1]:10.1e} {all_tokens[0]:10.1e}{all_tokens[1]:10.1e}",
                  flush=True)
            wrong += not all_tokens[0] < 1e-4
    if wrong:
        sys.exit(f"{wrong} differ by 1e-4 or more")


def write_small(options):
    """A drawn picture of odd size as JPEG, in colour and gray, and a model of one block."""
    y, x = np.mgrid[0:37, 0:53]
    waves = [128 + 127 * np.sin(a * x + b * y * y / 20) for a, b in ((0.3, 0.2), (0.11, 0.5), (0.7, 0.05))]
    picture, jpegs = Image.fromarray(np.stack(waves, -1).astype(np.uint8)), []
    for name, image in (("colour", picture), ("gray", picture.convert("L"))):
        file = io.BytesIO()
        image.save(file, "JPEG", quality=90)
        jpegs.append(file.getvalue())
        write_pixels(options.out, f"photo-{name}-{options.seed}", jpegs[-1], 24, 24, 12)
    MODELS["tiny"] = (timm_model, "vit_tiny_patch16_224", 16, 24,
                      {"patch_size": 4, "embed_dim": 64, "num_heads": 1, "depth": 1, "mlp_ratio": 1}, "timm")
    write_features(options.out, "tiny", options.seed, jpegs)


COMMANDS = {"pixels": write_all_pixels, "features": write_all_features, "return": check_return, "small": write_small}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commands", nargs="+", choices=list(COMMANDS))
    parser.add_argument("--photos", nargs="+", default=[])
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS), metavar="MODEL",
                        help=", ".join(MODELS))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", required=True, help="a folder")
    parser.add_argument("--bin", help="the folder of dino_features")
    options = parser.parse_args()
    os.makedirs(options.out, exist_ok=True)
    for command in options.commands:
        random.seed(options.seed)
        torch.manual_seed(options.seed)
        COMMANDS[command](options)
    resize.report()


if __name__ == "__main__":
    main()
