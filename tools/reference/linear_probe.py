#!/usr/bin/env python3
"""Linear probes and k-NN on frozen features in PyTorch and scikit-learn, to compare with those of dino.

    python3 tools/reference/linear_probe.py golden --out tests/golden/linear_probe.safetensors
    python3 tools/reference/linear_probe.py weights --image-size 64 --out vit_s_16.pth
    python3 tools/reference/linear_probe.py compare --train CACHE --test CACHE --seed 42 [--width 384]

golden: a small problem, the same steps in double precision. weights: the state dict of a ViT-S/16 with random values, as
timm draws them. compare: reads the features that dino_finetune --features-cache wrote, runs each protocol on them with
the first values and the order of images that dino draws for this seed, and prints the accuracies.
Needs torch, safetensors, numpy; scikit-learn for L-BFGS; timm for weights.
"""
import argparse
import json
import math
import pathlib

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import load_file
from safetensors.torch import save_file

RATES = [1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1]  # DINOv2, at a batch of 256
WORD = np.uint64(0xFFFFFFFF)


def mix(a, b):
    mask = (1 << 64) - 1
    z = (a + 0x9E3779B97F4A7C15 * (b + 1)) & mask
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
    return z ^ (z >> 31)


def stream_of(name):
    value = 0xCBF29CE484222325
    for byte in name.encode():
        value = ((value ^ byte) * 0x100000001B3) & ((1 << 64) - 1)
    return value


def philox(key, index, draw):
    """Philox4x32-10 of arrays of counters: (n, 4) words."""
    index, draw = np.broadcast_arrays(np.asarray(index, np.uint64), np.asarray(draw, np.uint64))
    x = [index & WORD, index >> np.uint64(32), draw & WORD, draw >> np.uint64(32)]
    k0, k1 = key & 0xFFFFFFFF, key >> 32
    for _ in range(10):
        a, b = np.uint64(0xD2511F53) * x[0], np.uint64(0xCD9E8D57) * x[2]
        x = [(b >> np.uint64(32)) ^ x[1] ^ np.uint64(k0), b & WORD, (a >> np.uint64(32)) ^ x[3] ^ np.uint64(k1), a & WORD]
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return np.stack(x, axis=-1)


def order_of_epoch(n, seed, epoch):
    """The permutation of data/sampler.hpp; a rejected draw (one in 2^40) would end it with an error."""
    key = mix(seed, stream_of("probe order"))
    words = philox(key, epoch, np.arange(n // 2 + 1)).reshape(-1, 2)
    draws = [(int(high) << 32) | int(low) for high, low in words]
    order = list(range(n))
    for used, left in enumerate(range(n, 1, -1)):
        assert draws[used] < 2**64 - 1 - (2**64 - 1) % left
        j = draws[used] % left
        order[left - 1], order[j] = order[j], order[left - 1]
    return torch.tensor(order)


def first_weight(seed, name, shape, std):
    words = philox(mix(seed, stream_of(name)), np.arange(math.prod(shape)), 0).astype(np.float64)
    radius = np.sqrt(-2 * np.log((words[:, 0] + 1) * 2.0**-32))
    return torch.from_numpy((std * radius * np.cos(2 * np.pi * words[:, 1] * 2.0**-32)).reshape(shape))


class Head:
    """A linear layer over some columns with an optimizer and a schedule of its own."""

    def __init__(self, weight, columns, optimizer, lr, weight_decay=0.0):
        self.columns = columns
        self.weight = weight.clone().requires_grad_(True)
        self.bias = torch.zeros(len(weight), dtype=weight.dtype, requires_grad=True)
        groups = [{"params": [self.weight], "weight_decay": weight_decay}, {"params": [self.bias], "weight_decay": 0.0}]
        if optimizer == "sgd":
            self.optimizer = torch.optim.SGD(groups, lr=lr, momentum=0.9)
        else:
            self.optimizer = torch.optim.AdamW(groups, lr=lr)

    def __call__(self, x):
        return F.linear(x[:, self.columns], self.weight, self.bias)

    def step(self, x, labels):
        loss = F.cross_entropy(self(x), labels)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()


def train(heads, x, labels, batches, t_max, eta_min=0.0, per_step=False):
    """batches: for each epoch a list of index tensors. Returns the loss of every step of the first head."""
    schedules = [torch.optim.lr_scheduler.CosineAnnealingLR(h.optimizer, T_max=t_max, eta_min=eta_min) for h in heads]
    losses = []
    for epoch in batches:
        for index in epoch:
            losses.append([h.step(x[index], labels[index]) for h in heads][0])
            if per_step:
                for s in schedules:
                    s.step()
        if not per_step:
            for s in schedules:
                s.step()
    return losses


def golden(arguments):
    random = torch.Generator().manual_seed(arguments.seed)
    n, dim, classes, batch, epochs = 60, 12, 5, 16, 3
    centers = torch.randn(classes, dim, generator=random)
    labels = torch.randint(classes, (n,), generator=random)
    x = (centers[labels] + torch.randn(n, dim, generator=random)).float().double()
    weight = (0.01 * torch.randn(classes, dim, generator=random)).double()
    order = torch.stack([torch.randperm(n, generator=random) for _ in range(epochs)])
    batches = [list(epoch.split(batch)) for epoch in order]
    out = {"x": x, "labels": labels.double(), "weight": weight, "order": order.double()}
    for name, optimizer, lr, decay, eta_min, per_step in [("sgd", "sgd", 0.3, 0.0, 0.0, False),
                                                          ("adamw", "adamw", 0.05, 0.1, 1e-3, False),
                                                          ("sweep", "sgd", 0.1, 0.0, 0.0, True)]:
        columns = slice(4, 12) if name == "sweep" else slice(0, 12)
        head = Head(weight[:, columns], columns, optimizer, lr, decay)
        t_max = sum(len(e) for e in batches) if per_step else epochs
        losses = train([head], x, labels, batches, t_max, eta_min, per_step)
        out |= {f"{name}.weight": head.weight.detach(), f"{name}.bias": head.bias.detach(),
                f"{name}.losses": torch.tensor(losses, dtype=torch.float64),
                f"{name}.logits": head(x).detach()}
    from sklearn.linear_model import LogisticRegression
    fit = LogisticRegression(C=0.7, tol=1e-10, max_iter=10000).fit(x.numpy(), labels.numpy())
    out |= {"lbfgs.weight": torch.from_numpy(fit.coef_), "lbfgs.bias": torch.from_numpy(fit.intercept_)}
    save_file({k: v.contiguous() for k, v in out.items()}, arguments.out,
              {"torch": torch.__version__, "source": "tools/reference/linear_probe.py"})


def weights(arguments):
    import timm
    torch.manual_seed(arguments.seed)
    model = timm.create_model("vit_small_patch16_224", num_classes=0, img_size=arguments.image_size)
    torch.save(model.state_dict(), arguments.out)


def read_cache(folder):
    folder = pathlib.Path(folder)
    shards = json.loads((folder / "manifest.json").read_text())["shards"]
    parts = [load_file(folder / shard["file"]) for shard in shards]
    x = np.concatenate([p["features"] for p in parts if "features" in p])
    return torch.from_numpy(x), torch.from_numpy(np.concatenate([p["labels"] for p in parts]))


def accuracy(logits, labels):
    return 100.0 * (logits.argmax(1) == labels).double().mean().item()


def knn(bank, bank_labels, queries, labels, ks, temperature=0.07):
    """eval_knn.py: cosine similarity, votes exp(s / T)."""
    bank, queries = F.normalize(bank), F.normalize(queries)
    classes, out = int(bank_labels.max()) + 1, {k: 0 for k in ks}
    for q, l in zip(queries.split(500), labels.split(500)):
        similarity, index = (q @ bank.T).topk(max(ks), dim=1)
        for k in ks:
            votes = torch.zeros(len(q), classes, dtype=torch.float64)
            votes.scatter_add_(1, bank_labels[index[:, :k]], (similarity[:, :k].double() / temperature).exp())
            out[k] += (votes.argmax(1) == l).sum().item()
    return {k: 100.0 * v / len(labels) for k, v in out.items()}


def sgd_like(arguments, x, y, test_x, test_y, heads, epochs, batch, eta_min=0.0, per_step=False):
    whole = [order_of_epoch(len(x), arguments.seed, e).split(batch) for e in range(math.ceil(epochs))]
    steps = round(epochs * len(whole[0]))
    batches = [list(e)[: max(0, steps - i * len(whole[0]))] for i, e in enumerate(whole)]
    train(heads, x, y, batches, steps if per_step else epochs, eta_min, per_step)
    with torch.no_grad():
        return [accuracy(h(test_x), test_y) for h in heads]


def compare(arguments):
    (x, y), (test_x, test_y) = read_cache(arguments.train), read_cache(arguments.test)
    classes, width, dim = int(y.max()) + 1, arguments.width, x.shape[1]
    print(f"{len(x)} training rows, {len(test_x)} test rows, {dim} values, {classes} classes")
    columns = slice(0, dim)

    def head(name, columns, optimizer, lr, decay=0.0):
        shape = (classes, columns.stop - columns.start)
        weight = first_weight(arguments.seed, f"heads.{name}.weight", shape, 0.01).float()
        return Head(weight, columns, optimizer, lr, decay)

    def show(name, value):
        print(f"{name:36s} {value:7.2f}", flush=True)

    for name in arguments.protocols.split(","):
        if name == "dino":
            h = [head("dino", columns, "sgd", arguments.lr * 128 / 256)]
            show("dino", sgd_like(arguments, x, y, test_x, test_y, h, arguments.epochs, 128)[0])
        elif name == "request":
            h = [head("request", columns, "adamw", 1e-4, 1e-5)]
            show("request", sgd_like(arguments, x, y, test_x, test_y, h, arguments.epochs, arguments.request_batch, 1e-6)[0])
        elif name == "sweep":
            blocks = dim // width
            spans = {"blocks-1-cls": slice((blocks - 1) * width, dim), f"blocks-{blocks}-cls": slice(0, dim)}
            names = [(f"{n}-lr-{r if r >= 0.001 else format(r, '.0e')}", s, r) for n, s in spans.items() for r in RATES]
            h = [head(n, s, "sgd", r * 128 / 256) for n, s, r in names]
            result = sgd_like(arguments, x, y, test_x, test_y, h, arguments.epochs, 128, per_step=True)
            best = max(range(len(h)), key=lambda i: result[i])
            show(f"sweep ({names[best][0]})", result[best])
        elif name == "lbfgs":
            from sklearn.linear_model import LogisticRegression
            fit = LogisticRegression(C=arguments.c, tol=1e-4, max_iter=1000).fit(x.double().numpy(), y.numpy())
            show(f"lbfgs ({fit.n_iter_[0]} iterations)", 100.0 * fit.score(test_x.double().numpy(), test_y.numpy()))
        elif name == "knn":
            last = slice(dim - width, dim)
            for k, value in knn(x[:, last], y, test_x[:, last], test_y, [10, 20, 100, 200]).items():
                show(f"knn k={k}", value)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["golden", "weights", "compare"])
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--out")
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--train", help="folder of cached features of the training images")
    parser.add_argument("--test", help="folder of cached features of the test images")
    parser.add_argument("--width", type=int, default=384, help="values of a token; the last ones are the last block's")
    parser.add_argument("--epochs", type=float, default=100)
    parser.add_argument("--lr", type=float, default=0.001, help="of the dino protocol, at a batch of 256")
    parser.add_argument("--request-batch", type=int, default=8)
    parser.add_argument("--c", type=float, default=1.0)
    parser.add_argument("--protocols", default="dino,request,sweep,lbfgs,knn")
    arguments = parser.parse_args()
    {"golden": golden, "weights": weights, "compare": compare}[arguments.what](arguments)


if __name__ == "__main__":
    main()
