#!/usr/bin/env python3
"""Golden values of embeddings: principal components, t-SNE and trustworthiness, from NumPy and scikit-learn.

    python3 tools/reference/embedding.py --out tests/golden/embedding.safetensors

pca.NAME.x (n,d), .components (k,d), .variance (k), .projection (n,k) for NAME = tall (n > d), wide (n < d) and
flat (rank 2): singular value decomposition in double, the entry of largest modulus of a component positive.
tsne.x (n,d); for METHOD = exact (all pairs) and near (3 x perplexity + 1 neighbours): tsne.METHOD.p (n,n); at points
tsne.y (n,2) the exact divergence tsne.divergence and gradient tsne.gradient (n,2); tsne.least: the divergence that
1,000 iterations from the first two components come to; tsne.labels, and of the points y trustworthiness.K for K = 5, 12
and knn: share of the points whose class most of their 10 nearest others have (in per cent).
Needs scikit-learn and safetensors.
"""
import argparse

import numpy as np
import sklearn
from safetensors.numpy import save_file
from sklearn.manifold import TSNE, trustworthiness
from sklearn.manifold._t_sne import _joint_probabilities, _joint_probabilities_nn, _kl_divergence
from sklearn.neighbors import NearestNeighbors
from scipy.spatial.distance import pdist, squareform


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


def plane_knn(points, labels, k=10):
    """Per cent of the points whose class most of their k nearest others have, the lower class of equal ones."""
    near = NearestNeighbors(n_neighbors=k).fit(points).kneighbors()[1]
    votes = np.zeros((len(points), labels.max() + 1))
    np.add.at(votes, (np.arange(len(points))[:, None], labels[near]), 1)
    return 100 * (votes.argmax(1) == labels).mean()


def tsne_case(random, n=90, d=7, perplexity=8):
    labels = np.arange(n) % 3
    x = (1.2 * random.standard_normal((3, d))[labels] + random.standard_normal((n, d))).astype(np.float32)
    y = x[:, :2].astype(float) + 0.5 * random.standard_normal((n, 2))
    squares = pdist(x.astype(float), "sqeuclidean").astype(np.float32)
    p = _joint_probabilities(squareform(squares), perplexity, 0)
    near = NearestNeighbors(n_neighbors=3 * perplexity + 1).fit(x).kneighbors_graph(mode="distance")
    near.data **= 2
    divergence, gradient = _kl_divergence(y.ravel(), p, 1, n, 2)
    start = pca(x.astype(float), 2)["projection"]
    model = TSNE(perplexity=perplexity, init=(start / start[:, 0].std() * 1e-4).astype(np.float32), method="exact")
    model.fit(x)
    return {"tsne.x": x, "tsne.y": y, "tsne.labels": labels, "tsne.exact.p": squareform(p),
            "tsne.near.p": _joint_probabilities_nn(near, perplexity, 0).toarray(),
            "tsne.divergence": [divergence], "tsne.gradient": gradient.reshape(n, 2), "tsne.least": [model.kl_divergence_],
            "tsne.trustworthiness.5": [trustworthiness(x, y, n_neighbors=5)],
            "tsne.trustworthiness.12": [trustworthiness(x, y, n_neighbors=12)], "tsne.knn": [plane_knn(y, labels)]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", default="tests/golden/embedding.safetensors")
    args = parser.parse_args()
    random = np.random.default_rng(args.seed)
    tensors = {**pca_cases(random), **tsne_case(random)}
    tensors = {name: np.ascontiguousarray(value, dtype=np.float64) for name, value in tensors.items()}
    save_file(tensors, args.out, {"source": "tools/reference/embedding.py", "numpy": np.__version__,
                                  "scikit-learn": sklearn.__version__})


if __name__ == "__main__":
    main()
