#!/usr/bin/env python3
"""Golden values of the picture operations, from Pillow.

    python3 tools/reference/augment.py --seed 1 --out tests/golden/augment.json

Pictures are not stored: both sides make them from a seed (see `picture`). Of small results the file keeps every byte,
of large ones an FNV-1a hash. Resizes are asked for in two steps, columns first: newer releases of Pillow do the rows
first for some shapes, the recipe's release never did. Needs Pillow and numpy.
"""
import argparse
import json
import random

import numpy as np
import PIL
from PIL import Image, ImageEnhance, ImageFilter, ImageOps


def picture(seed, width, height, contrast):
    """Bytes of a 32-bit linear congruential generator; with contrast, only 0 and 255."""
    state, out = seed, bytearray()
    for _ in range(3 * width * height):
        state = (state * 1664525 + 1013904223) % 2**32
        byte = state >> 24
        out.append((255 if byte > 127 else 0) if contrast else byte)
    return Image.fromarray(np.frombuffer(bytes(out), np.uint8).reshape(height, width, 3))


def cube():
    """Every colour whose channels are multiples of 5."""
    v = np.arange(0, 256, 5, dtype=np.uint8)
    r, g, b = np.meshgrid(v, v, v, indexing="ij")
    return Image.fromarray(np.stack([r, g, b], -1).reshape(52 * 52, 52, 3))


def fnv1a(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return f"{value:016x}"


def result(image):
    data = np.asarray(image).tobytes()
    return {"bytes": list(data)} if len(data) <= 600 else {"hash": fnv1a(data)}


def resize(image, width, height, method):
    return image.resize((width, image.height), method).resize((width, height), method)


def adjust_hue(image, factor):
    """torchvision 0.8, functional_pil.adjust_hue."""
    h, s, v = image.convert("HSV").split()
    turned = ((np.asarray(h).astype(int) + int(factor * 255)) % 256).astype(np.uint8)
    return Image.merge("HSV", (Image.fromarray(turned), s, v)).convert("RGB")


OPERATIONS = {
    "brightness": lambda image, f: ImageEnhance.Brightness(image).enhance(f),
    "contrast": lambda image, f: ImageEnhance.Contrast(image).enhance(f),
    "saturation": lambda image, f: ImageEnhance.Color(image).enhance(f),
    "hue": adjust_hue,
    "gray": lambda image, f: image.convert("L").convert("RGB"),
    "solarize": lambda image, f: ImageOps.solarize(image, 128),
    "flip": lambda image, f: ImageOps.mirror(image),
    "blur": lambda image, f: image.filter(ImageFilter.GaussianBlur(f)),
}
FACTORS = {
    "brightness": [0.0, 0.6, 0.9999, 1.4, 1.77],
    "contrast": [0.0, 0.61, 1.0, 1.37],
    "saturation": [0.0, 0.7, 0.8001, 1.2, 1.3333],
    "hue": [-0.5, -0.1, -0.003, 0.0, 0.08, 0.5],
    "gray": [0.0], "solarize": [0.0], "flip": [0.0],
    "blur": [0.0, 0.1, 0.5, 0.9, 1.3, 2.0, 3.7, 11.5],
}
SIDES = [1, 2, 3, 5, 16, 17, 21, 22, 33, 64, 65, 97, 130]


def resample_cases(rng, count):
    for _ in range(count):
        width, height = rng.choice(SIDES), rng.choice(SIDES)
        x, y = rng.randrange(width), rng.randrange(height)
        box = [x, y, rng.randint(1, width - x), rng.randint(1, height - y)]
        out = [rng.choice(SIDES), rng.choice(SIDES)]
        case = {"seed": rng.randrange(2**32), "contrast": rng.random() < 0.3, "size": [width, height], "box": box,
                "out": out, "filter": rng.choice(["bicubic", "bilinear"])}
        method = Image.BICUBIC if case["filter"] == "bicubic" else Image.BILINEAR
        cut = picture(case["seed"], width, height, case["contrast"]).crop((x, y, x + box[2], y + box[3]))
        yield case | result(resize(cut, *out, method))


def operation_cases(rng):
    for name, apply in OPERATIONS.items():
        for factor in FACTORS[name]:
            if name not in ("flip", "blur"):
                yield {"op": name, "factor": factor, "cube": True} | result(apply(cube(), factor))
            for _ in range(3):
                size = [rng.choice(SIDES), rng.choice(SIDES)]
                case = {"op": name, "factor": factor, "seed": rng.randrange(2**32), "contrast": rng.random() < 0.3,
                        "size": size}
                yield case | result(apply(picture(case["seed"], *size, case["contrast"]), factor))


def affine(image, matrix):
    return image.transform(image.size, Image.AFFINE, matrix, resample=Image.BICUBIC, fillcolor=(124, 116, 104))


# The operations of timm's rand-m9-mstd0.5-inc1 that are not above, with its arguments.
RAND_AUGMENT = {
    "auto_contrast": lambda image, f: ImageOps.autocontrast(image),
    "equalize": lambda image, f: ImageOps.equalize(image),
    "invert": lambda image, f: ImageOps.invert(image),
    "posterize": lambda image, f: ImageOps.posterize(image, int(f)),
    "solarize": lambda image, f: ImageOps.solarize(image, f),
    "solarize_add": lambda image, f: image.point([min(255, i + int(f)) if i < 128 else i for i in range(256)] * 3),
    "sharpness": lambda image, f: ImageEnhance.Sharpness(image).enhance(f),
    "rotate": lambda image, f: image.rotate(f, resample=Image.BICUBIC, fillcolor=(124, 116, 104)),
    "shear_x": lambda image, f: affine(image, (1, f, 0, 0, 1, 0)),
    "shear_y": lambda image, f: affine(image, (1, 0, 0, f, 1, 0)),
    "translate_x": lambda image, f: affine(image, (1, 0, f * image.size[0], 0, 1, 0)),
    "translate_y": lambda image, f: affine(image, (1, 0, 0, 0, 1, f * image.size[1])),
}
RAND_AUGMENT_AMOUNTS = {
    "auto_contrast": [0.0], "equalize": [0.0], "invert": [0.0], "posterize": [1, 2, 4, 8],
    "solarize": [0, 26, 128, 256], "solarize_add": [0, 55, 99, 110], "sharpness": [0.1, 0.5, 1.0, 1.9],
    "rotate": [-30.0, -12.3456789, 0.5, 27.0, 29.7], "shear_x": [-0.3, 0.27, 0.01], "shear_y": [-0.27, 0.3, 0.123456],
    "translate_x": [-0.45, 0.405, 0.0123], "translate_y": [-0.405, 0.45, 0.25],
}


def smooth_picture(seed, width, height):
    """A picture with few grey levels and edges: what stretching and equalising are made for."""
    noise = np.asarray(picture(seed, width, height, False)).astype(int)
    return Image.fromarray((noise // 4 + 40).astype(np.uint8))


def rand_augment_cases(rng):
    for name, apply in RAND_AUGMENT.items():
        for amount in RAND_AUGMENT_AMOUNTS[name]:
            for k in range(4):
                size = [rng.choice(SIDES), rng.choice(SIDES)]
                case = {"op": name, "amount": amount, "seed": rng.randrange(2**32), "contrast": k == 3,
                        "narrow": k == 2, "size": size}
                make = smooth_picture(case["seed"], *size) if k == 2 else picture(case["seed"], *size, k == 3)
                yield case | result(apply(make, amount))


def evaluation_cases(rng):
    """torchvision 0.8, Resize(round(size 256 / 224), BICUBIC) and CenterCrop(size)."""
    sizes = [(224, 300, 201), (224, 180, 333), (32, 33, 32), (32, 32, 33), (96, 111, 140), (7, 20, 9)]
    for size, width, height in sizes:
        seed = rng.randrange(2**32)
        side = int(size * 256 / 224 + 0.5)
        w, h = (side, int(side * height / width)) if width <= height else (int(side * width / height), side)
        x, y = int(round((w - size) / 2.0)), int(round((h - size) / 2.0))
        out = resize(picture(seed, width, height, False), w, h, Image.BICUBIC).crop((x, y, x + size, y + size))
        yield {"seed": seed, "contrast": False, "size": [width, height], "out": size} | result(out)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", required=True)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    groups = {"resample": list(resample_cases(rng, 150)), "operations": list(operation_cases(rng)),
              "evaluation": list(evaluation_cases(rng)), "rand_augment": list(rand_augment_cases(rng))}
    with open(options.out, "w") as file:
        source = f"Pillow {PIL.__version__}, tools/reference/augment.py --seed {options.seed}"
        file.write('{"source": ' + json.dumps(source))
        for name, cases in groups.items():
            rows = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
            file.write(f',\n"{name}": [\n{rows}\n]')
        file.write("}\n")


if __name__ == "__main__":
    main()
