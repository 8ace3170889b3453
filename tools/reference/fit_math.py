#!/usr/bin/env python3
"""Fits the coefficients in include/dino/base/math.hpp and prints them as C++.

    exp(r)   on [-ln2/2, ln2/2]: polynomial 1 + r q(r), smallest largest relative error
    erf(x)                     = x P(x^2) / Q(x^2), Q(0) = 1
    Phi(x) - 1/2               = x P(x^2) / Q(x^2)    (normal distribution function, for GELU)
    d/dx [x Phi(x)] - 1/2      = x P(x^2) / Q(x^2)    (gradient of GELU)

Each fit is a Remez exchange in 60 digits; then the denominator is rounded to float, and the numerator one coefficient after
another, the rest refitted around those already rounded. Needs mpmath only.  Usage: python3 fit_math.py
"""
import struct

import mpmath as mp

mp.mp.dps = 60


def to_float(x):
    """The float nearest to x."""
    return mp.mpf(struct.unpack("f", struct.pack("f", float(x)))[0])


def solve_reference(f, nodes, p, q, fixed):
    """The rational that errs by +-E, relative to f, on the nodes. Unknown: coefficients not in `fixed`, and E."""
    free = [("p", i) for i in range(p + 1) if ("p", i) not in fixed]
    free += [("q", i) for i in range(1, q + 1) if ("q", i) not in fixed]
    error = mp.mpf(0)
    for _ in range(60):
        rows, right = [], []
        for k, s in enumerate(nodes):
            target, sign = f(s), (-1) ** k
            # P - f (1 + sign E) Q = 0, linear in E when the E of the last pass multiplies Q - 1.
            row = [s**i if kind == "p" else -target * (1 + sign * error) * s**i for kind, i in free]
            known = sum((v * s**i if kind == "p" else -target * (1 + sign * error) * v * s**i)
                        for (kind, i), v in fixed.items())
            rows.append(row + [-sign * target])
            right.append(target - known)
        solution = mp.lu_solve(mp.matrix(rows), mp.matrix(right))
        change = abs(solution[len(free)] - error)
        error = solution[len(free)]
        if change < mp.mpf(10) ** -35:
            break
    values = dict(fixed)
    values.update({name: solution[i] for i, name in enumerate(free)})
    top = [values[("p", i)] for i in range(p + 1)]
    bottom = [mp.mpf(1)] + [values[("q", i)] for i in range(1, q + 1)]
    return top, bottom, error


def evaluate(top, bottom, s):
    return mp.polyval(top[::-1], s) / mp.polyval(bottom[::-1], s)


def extrema(error, low, high, count, grid):
    """The `count` alternating extrema of the error on a grid."""
    values = [(s, error(s)) for s in grid]
    runs = []
    for s, e in values:
        if runs and (e > 0) == (runs[-1][1] > 0):
            if abs(e) > abs(runs[-1][1]):
                runs[-1] = (s, e)
        else:
            runs.append((s, e))
    while len(runs) > count:  # drop the smaller end, so that signs still alternate
        runs.pop(0 if abs(runs[0][1]) < abs(runs[-1][1]) else -1)
    return runs


def least_squares(f, grid, p, q, fixed):
    """A rational near the best one: linear least squares, reweighted with the last denominator. grid[0] is not 0."""
    free = [("p", i) for i in range(p + 1) if ("p", i) not in fixed]
    free += [("q", i) for i in range(1, q + 1) if ("q", i) not in fixed]
    high = max(abs(s) for s in grid)
    bottom = [mp.mpf(1)]
    for _ in range(12):
        rows, right = [], []
        for s in grid:
            weight = 1 / (f(s) * mp.polyval(bottom[::-1], s))
            # Columns scaled by high^i: powers of s span many decades.
            row = [(s / high) ** i if kind == "p" else -f(s) * (s / high) ** i for kind, i in free]
            known = sum(v * s**i if kind == "p" else -f(s) * v * s**i for (kind, i), v in fixed.items())
            rows.append([weight * v for v in row])
            right.append(weight * (f(s) - known))
        solution, _ = mp.qr_solve(mp.matrix(rows), mp.matrix(right))
        values = dict(fixed)
        values.update({(kind, i): solution[k] / high**i for k, (kind, i) in enumerate(free)})
        bottom = [mp.mpf(1)] + [values[("q", i)] for i in range(1, q + 1)]
    return [values[("p", i)] for i in range(p + 1)], bottom


def remez(f, low, high, p, q, fixed=None, points=600):
    """Best rational of degree (p, q) with the coefficients `fixed` given. Returns numerator, denominator, largest error."""
    fixed = fixed or {}
    count = p + q + 2 - len(fixed)
    middle, half = (high + low) / 2, (high - low) / 2
    grid = [middle - half * mp.cos(mp.pi * k / points) for k in range(points + 1)]
    cache = {s: f(s) for s in grid}
    value = lambda s: cache[s]
    top, bottom = least_squares(value, grid[:: -(points // 100)], p, q, fixed)
    best = None
    for _ in range(30):
        runs = extrema(lambda s: evaluate(top, bottom, s) / cache[s] - 1, low, high, count, grid)
        worst = max(abs(e) for _, e in runs)
        if best is None or worst < best[2]:
            best = (top, bottom, worst)
        if len(runs) < count or worst < mp.mpf("1.0005") * min(abs(e) for _, e in runs):
            break
        top, bottom, _ = solve_reference(value, [s for s, _ in runs], p, q, fixed)
    return best


def remez_float(f, low, high, p, q, fixed=None):
    """The same with float coefficients: the denominator first, then the numerator from the lowest order, rest refitted."""
    fixed = {name: to_float(v) for name, v in (fixed or {}).items()}
    top, bottom, best = remez(f, low, high, p, q, fixed)
    fixed.update({("q", i): to_float(bottom[i]) for i in range(1, q + 1)})
    for i in range(p + 1):
        if ("p", i) not in fixed:
            top, _, _ = remez(f, low, high, p, q, fixed)
            fixed[("p", i)] = to_float(top[i])
    top = [fixed[("p", i)] for i in range(p + 1)]
    bottom = [mp.mpf(1)] + [fixed[("q", i)] for i in range(1, q + 1)]
    grid = [low + (high - low) * k / 2000 for k in range(2001)]
    worst = max(abs(evaluate(top, bottom, s) / f(s) - 1) for s in grid)
    return top, bottom, best, worst


def odd(g, slope):
    """g(x) / x as a function of x^2."""
    return lambda s: slope if s < mp.mpf(10) ** -30 else g(mp.sqrt(s)) / mp.sqrt(s)


def density(x):
    return mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi)


def half_erf(x):
    return mp.erf(x / mp.sqrt(2)) / 2


CASES = {
    "exp": (mp.exp, -mp.log(2) / 2 - mp.mpf("1e-4"), mp.log(2) / 2 + mp.mpf("1e-4"), 6, 0, {("p", 0): 1}),
    "erf": (odd(mp.erf, 2 / mp.sqrt(mp.pi)), mp.mpf(0), mp.mpf("3.8") ** 2, 5, 5, None),
    "half_erf": (odd(half_erf, density(0)), mp.mpf(0), mp.mpf("5.4") ** 2, 5, 5, None),
    "gelu_slope": (odd(lambda x: half_erf(x) + x * density(x), 2 * density(0)), mp.mpf(0), mp.mpf("5.8") ** 2, 5, 5, None),
}


def show(name, values):
    digits = [f"{float(v):.9g}" for v in values]
    print(f"{name}: " + ", ".join((d if "." in d or "e" in d else d + ".0") + "f" for d in digits))


def main():
    for name, (f, low, high, p, q, fixed) in CASES.items():
        top, bottom, best, worst = remez_float(f, low, high, p, q, fixed)
        print(f"// {name} ({p},{q}): {mp.nstr(best, 3)} exact, {mp.nstr(worst, 3)} with float coefficients")
        show(name + "_p", top)
        if q:
            show(name + "_q", bottom)


if __name__ == "__main__":
    main()
