#!/usr/bin/env python3
"""Golden values of embeddings: principal components, t-SNE and trustworthiness, from NumPy and scikit-learn.

    python3 tools/reference/embedding.py --out tests/golden/embedding.safetensors

pca.NAME.x (n,d), .components (k,d), .variance (k), .projection (n,k) for NAME = tall (n > d), wide (n < d) and
flat (rank 2): singular value decomposition in double, the entry of largest modulus of a component positive.
Needs scikit-learn and safetensors.
"""
import argparse

import numpy as np
import sklearn
from safetensors.numpy import save_file


def pca(x, k):
    mean = x.mean(0)
    _, s, v = np.linalg.svd(x - mean, full_matrices=False)
    v = v * np.sign(v[np.arange(len(v)), np.abs(v).argmax(1)])[:, None]
    return {"components": v[:k], "variance": s[:k] ** 2 / (len(x) - 1), "projection": (x - mean) @ v[:k].T,
            "mean": mean}


def pca_cases(random):
    tensors = {}
    scales = 2.0 ** -np.arange(24)
    shapes = {"tall": (75, 24), "wide": (17, 60), "flat": (30, 9)}
    for name, (n, d) in shapes.items():
        rank = 2 if name == "flat" else min(n, d)
        x = random.standard_normal((n, rank)) * scales[:rank] ** 0.3 @ random.standard_normal((rank, d)) + 3
        x = x.astype(np.float32).astype(float)
        tensors[f"pca.{name}.x"] = x
        for key, value in pca(x, 2 if name == "flat" else 6).items():
            tensors[f"pca.{name}.{key}"] = value
    return tensors


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", default="tests/golden/embedding.safetensors")
    args = parser.parse_args()
    tensors = pca_cases(np.random.default_rng(args.seed))
    tensors = {name: np.ascontiguousarray(value, dtype=np.float64) for name, value in tensors.items()}
    save_file(tensors, args.out, {"source": "tools/reference/embedding.py", "numpy": np.__version__,
                                  "scikit-learn": sklearn.__version__})


if __name__ == "__main__":
    main()
