#!/usr/bin/env python3
"""Golden values of embeddings: principal components, t-SNE and trustworthiness, from NumPy and scikit-learn.

    python3 tools/reference/embedding.py --out tests/golden/embedding.safetensors

pca.NAME.x (n,d), .components (k,d), .variance (k), .projection (n,k) for NAME = tall (n > d), wide (n < d) and
flat (rank 2): singular value decomposition in double, the entry of largest modulus of a component positive.
tsne.x (n,d); for METHOD = exact (all pairs) and near (3 x perplexity + 1 neighbours): tsne.METHOD.p (n,n); at points
tsne.y (n,2) the exact divergence tsne.divergence and gradient tsne.gradient (n,2); tsne.least: the divergence that
1,000 iterations from the first two components come to; tsne.labels, and of the points y trustworthiness.K for K = 5, 12
and knn: share of the points whose class most of their 10 nearest others have (in per cent).

    python3 tools/reference/embedding.py --compare features.safetensors --bench build/bin/bench_tsne [--rows 5000]

runs t-SNE of this library and of scikit-learn (Barnes-Hut, the same principal components to start from, two threads
each, one after the other) on rows drawn from the output of dino_features with three seeds, and prints for each seconds
on the wall and of the processor, the exact divergence of the result, and k-NN in the plane. OMP_WAIT_POLICY=passive
is set, or else scikit-learn's threads burn what other programs on the machine leave.
Needs scikit-learn and safetensors.
"""
import argparse
import json
import os
import resource
import subprocess
import tempfile
import time

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "2")

import numpy as np
import sklearn
from safetensors.numpy import load_file, save_file
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


def exact_divergence(x, y, perplexity=30):
    """KL(p | q) with the affinities of 3 x perplexity + 1 neighbours and the sum Z over all pairs."""
    near = NearestNeighbors(n_neighbors=3 * perplexity + 1).fit(x).kneighbors_graph(mode="distance")
    near.data **= 2
    p, y = _joint_probabilities_nn(near, perplexity, 0).tocoo(), y.astype(float)
    z = -len(y) + sum((1 / (1 + ((y[i:i + 200, None] - y) ** 2).sum(-1))).sum() for i in range(0, len(y), 200))
    q = 1 / (1 + ((y[p.row] - y[p.col]) ** 2).sum(1)) / z
    return float((p.data * np.log(p.data / q)).sum())


def processor_seconds(who):
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def compare(features, bench, rows):
    file = load_file(features)
    x, labels = file["features"].astype(np.float32), file["labels"].ravel().astype(int)
    x = x / np.linalg.norm(x, axis=1, keepdims=True)
    for seed in range(3):
        chosen = np.random.default_rng(seed).permutation(len(x))[:rows]
        part, of = x[chosen], labels[chosen]
        with tempfile.TemporaryDirectory() as folder:
            np.save(f"{folder}/x.npy", part)
            cpu = processor_seconds(resource.RUSAGE_CHILDREN)
            run = subprocess.run([bench, f"{folder}/x.npy", f"{folder}/y.npy"], capture_output=True, check=True)
            own_cpu = processor_seconds(resource.RUSAGE_CHILDREN) - cpu
            own, ours = json.loads(run.stdout), np.load(f"{folder}/y.npy")
        start = pca(part.astype(float), 2)["projection"]
        clock, cpu = time.time(), processor_seconds(resource.RUSAGE_SELF)
        model = TSNE(init=(start / start[:, 0].std() * 1e-4).astype(np.float32), n_jobs=2, random_state=seed)
        theirs = model.fit_transform(part)
        seconds, their_cpu = time.time() - clock, processor_seconds(resource.RUSAGE_SELF) - cpu
        print(json.dumps({
            "seed": seed, "rows": len(part), "dim": part.shape[1],
            "seconds": [own["seconds"], seconds], "ratio": seconds / own["seconds"],
            "processor_s": [own_cpu, their_cpu], "processor_ratio": their_cpu / own_cpu,
            "divergence": [exact_divergence(part, ours), exact_divergence(part, theirs)],
            "knn_of_plane": [plane_knn(ours, of), plane_knn(theirs, of)],
            "trustworthiness": [own["trustworthiness"], float(trustworthiness(part, theirs))]}), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", default="tests/golden/embedding.safetensors")
    parser.add_argument("--compare", metavar="FEATURES")
    parser.add_argument("--bench", default="build/bin/bench_tsne")
    parser.add_argument("--rows", type=int, default=5000)
    args = parser.parse_args()
    if args.compare:
        compare(args.compare, args.bench, args.rows)
        return
    random = np.random.default_rng(args.seed)
    tensors = {**pca_cases(random), **tsne_case(random)}
    tensors = {name: np.ascontiguousarray(value, dtype=np.float64) for name, value in tensors.items()}
    save_file(tensors, args.out, {"source": "tools/reference/embedding.py", "numpy": np.__version__,
                                  "scikit-learn": sklearn.__version__})


if __name__ == "__main__":
    main()
