#!/usr/bin/env python3
"""Golden values of k-NN classification, from scikit-learn in double precision.

    python3 tools/reference/knn.py --seed 1 --out tests/golden/knn.safetensors

Tensors: bank (B,C), queries (Q,C), not normalised; bank.labels, queries.labels; for votes = weighted, majority and
k = 1, 5, 20:
    VOTES.K.predicted   (Q) class with the most votes, the lower one of equals
    VOTES.K.top5        (Q) 1 where the true class is among the first min(5, K)
    VOTES.K.alone       (B) predicted class of each bank row by all others (leave-one-out)
Distance 1 - cosine; weights exp(cosine / 0.07). No query has two bank rows at the edge of its k whose cosines differ by
less than 1e-5, so that rounding to float changes no neighbour.
Needs scikit-learn and safetensors.
"""
import argparse

import numpy as np
import sklearn
from safetensors.numpy import save_file
from sklearn.neighbors import KNeighborsClassifier

CLASSES = 7
TEMPERATURE = 0.07
KS = (1, 5, 20)
WEIGHTS = {"weighted": lambda distance: np.exp((1 - distance) / TEMPERATURE), "majority": "uniform"}


def draw(random, centres, count):
    labels = random.integers(0, CLASSES, count)
    return centres[labels] + 1.5 * random.standard_normal((count, centres.shape[1])), labels


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def edges_are_clear(cosines):
    falling = -np.sort(-cosines, axis=1)
    return all((falling[:, k - 1] - falling[:, k] > 1e-5).all() for k in KS)


def votes(bank, labels, queries, kind, k):
    """Shares of the votes of all classes; classes without a bank row have none."""
    model = KNeighborsClassifier(k, metric="cosine", weights=WEIGHTS[kind], algorithm="brute").fit(bank, labels)
    out = np.zeros((len(queries), CLASSES))
    out[:, model.classes_] = model.predict_proba(queries)
    return out.round(12)  # sums in another order are still equal votes


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", default="tests/golden/knn.safetensors")
    args = parser.parse_args()
    for seed in range(args.seed, args.seed + 1000):
        random = np.random.default_rng(seed)
        centres = random.standard_normal((CLASSES, 12))
        (bank, bank_labels), (queries, query_labels) = draw(random, centres, 150), draw(random, centres, 60)
        bank, queries = bank.astype(np.float32).astype(float), queries.astype(np.float32).astype(float)
        own = unit(bank) @ unit(bank).T
        np.fill_diagonal(own, -2)
        if edges_are_clear(unit(queries) @ unit(bank).T) and edges_are_clear(own):
            break
    tensors = {"bank": bank, "queries": queries, "bank.labels": bank_labels, "queries.labels": query_labels}
    for kind in WEIGHTS:
        for k in KS:
            share = votes(bank, bank_labels, queries, kind, k)
            order = np.argsort(-share, axis=1, kind="stable")
            tensors[f"{kind}.{k}.predicted"] = order[:, 0]
            tensors[f"{kind}.{k}.top5"] = (order[:, :min(5, k)] == query_labels[:, None]).any(axis=1)
            alone = []
            for i in range(len(bank)):
                others = np.arange(len(bank)) != i
                alone.append(votes(bank[others], bank_labels[others], bank[i:i + 1], kind, k)[0].argmax())
            tensors[f"{kind}.{k}.alone"] = np.array(alone)
    tensors = {name: np.ascontiguousarray(x, dtype=np.float32) for name, x in tensors.items()}
    save_file(tensors, args.out, metadata={"source": "tools/reference/knn.py", "seed": str(seed),
                                           "scikit-learn": sklearn.__version__})
    print(args.out, len(tensors), "tensors, seed", seed)


if __name__ == "__main__":
    main()
