#!/usr/bin/env python3
"""Fits the coefficients in include/dino/base/math.hpp and prints them.

    exp         e^r = p(r) on [-ln2/2, ln2/2], p_0 = 1, relative error
    erf         erfc(a)^(1/4) = 1 + a p(a), weighted so that erf = 1 - (1 + a p)^4 has its smallest relative error
    normal      Phi(-a)^(1/4) = p(a), weighted so that p^4 has its smallest absolute error (Phi: normal distribution)
    gelu_slope  d/dx [x Phi(x)] - 1/2 = x P(x^2) / Q(x^2), Q(0) = 1, relative error

A fourth root turns the steep tail into a curve that a low degree follows, and gives the tail back without cancellation.
Each fit is a Remez exchange in 60 digits; then the denominator is rounded to float, and the numerator one coefficient
after another, the rest refitted around those already rounded. Needs mpmath only.  Usage: python3 fit_math.py
"""
import struct

import mpmath as mp

mp.mp.dps = 60


def to_float(x):
    """The float nearest to x."""
    return mp.mpf(struct.unpack("f", struct.pack("f", float(x)))[0])


def unknowns(p, q, fixed):
    names = [("p", i) for i in range(p + 1)] + [("q", i) for i in range(1, q + 1)]
    return [name for name in names if name not in fixed]


def split(values, p, q):
    """Numerator and denominator, lowest order first."""
    return [values[("p", i)] for i in range(p + 1)], [mp.mpf(1)] + [values[("q", i)] for i in range(1, q + 1)]


def evaluate(top, bottom, s):
    return mp.polyval(top[::-1], s) / mp.polyval(bottom[::-1], s)


def linear_row(target, s, free, fixed, scale=1):
    """Coefficients and right side of P(s) - target Q(s) = 0; columns scaled, because powers span many decades."""
    row = [(s / scale) ** i if kind == "p" else -target * (s / scale) ** i for kind, i in free]
    known = sum(v * s**i if kind == "p" else -target * v * s**i for (kind, i), v in fixed.items())
    return row, target - known


def least_squares(f, weight, grid, p, q, fixed):
    """A rational near the best one: linear least squares, reweighted with the last denominator. grid[0] is not 0."""
    free = unknowns(p, q, fixed)
    scale = max(abs(s) for s in grid)
    bottom = [mp.mpf(1)]
    for _ in range(12 if q else 1):
        rows, right = [], []
        for s in grid:
            w = weight(s) / mp.polyval(bottom[::-1], s)
            row, value = linear_row(f(s), s, free, fixed, scale)
            rows.append([w * v for v in row])
            right.append(w * value)
        solution, _ = mp.qr_solve(mp.matrix(rows), mp.matrix(right))
        values = {**fixed, **{name: solution[k] / scale ** name[1] for k, name in enumerate(free)}}
        top, bottom = split(values, p, q)
    return top, bottom


def solve_reference(f, weight, nodes, p, q, fixed):
    """The rational whose weighted error is +E, -E, +E ... on the nodes, E unknown too."""
    free = unknowns(p, q, fixed)
    error = mp.mpf(0)
    for _ in range(60):
        rows, right = [], []
        for k, s in enumerate(nodes):
            level = (-1) ** k / weight(s)
            row, value = linear_row(f(s) + level * error, s, free, fixed)  # the last E where it multiplies Q - 1
            rows.append(row + [-level])
            right.append(value - level * error)
        solution = mp.lu_solve(mp.matrix(rows), mp.matrix(right))
        change, error = abs(solution[len(free)] - error), solution[len(free)]
        if change < mp.mpf(10) ** -35:
            break
    return split({**fixed, **{name: solution[k] for k, name in enumerate(free)}}, p, q)


def extrema(errors, count):
    """At most `count` alternating extrema of a list of (s, error)."""
    runs = []
    for s, e in errors:
        if runs and (e > 0) == (runs[-1][1] > 0):
            if abs(e) > abs(runs[-1][1]):
                runs[-1] = (s, e)
        else:
            runs.append((s, e))
    while len(runs) > count:  # the smaller end goes, so that signs still alternate
        runs.pop(0 if abs(runs[0][1]) < abs(runs[-1][1]) else -1)
    return runs


def remez(f, weight, low, high, p, q, fixed, points=400):
    """Best rational of degree (p, q) with the coefficients `fixed` given: numerator, denominator, largest error."""
    count = len(unknowns(p, q, fixed)) + 1
    grid = [(high + low - (high - low) * mp.cos(mp.pi * k / points)) / 2 for k in range(points + 1)]
    f_at, w_at = {s: f(s) for s in grid}, {s: weight(s) for s in grid}
    f, weight = f_at.__getitem__, w_at.__getitem__
    top, bottom = least_squares(f, weight, grid[::-4], p, q, fixed)
    best = None
    for _ in range(30):
        runs = extrema([(s, (evaluate(top, bottom, s) - f_at[s]) * w_at[s]) for s in grid], count)
        worst = max(abs(e) for _, e in runs)
        if best is None or worst < best[2]:
            best = (top, bottom, worst)
        if len(runs) < count or worst < mp.mpf("1.0005") * min(abs(e) for _, e in runs):
            break
        top, bottom = solve_reference(f, weight, [s for s, _ in runs], p, q, fixed)
    return best


def remez_float(f, weight, low, high, p, q, fixed):
    """The same with float coefficients: numerator, denominator, error before and after rounding."""
    top, bottom, best = remez(f, weight, low, high, p, q, fixed)
    fixed = {**fixed, **{("q", i): to_float(bottom[i]) for i in range(1, q + 1)}}
    for i in range(p + 1):
        if ("p", i) not in fixed:
            top, _, _ = remez(f, weight, low, high, p, q, fixed)
            fixed[("p", i)] = to_float(top[i])
    top, bottom = split(fixed, p, q)
    grid = [low + (high - low) * k / 2000 for k in range(2001)]
    return top, bottom, best, max(abs((evaluate(top, bottom, s) - f(s)) * weight(s)) for s in grid)


def density(x):
    return mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi)


def erf_root(a):
    return -1 / (2 * mp.sqrt(mp.pi)) if a < mp.mpf(10) ** -20 else (mp.root(mp.erfc(a), 4) - 1) / a


def erf_weight(a):
    scale = mp.sqrt(mp.pi) / 2 if a < mp.mpf(10) ** -20 else a / mp.erf(a)
    return 4 * mp.root(mp.erfc(a), 4) ** 3 * scale


def normal_root(a):
    return mp.root(mp.erfc(a / mp.sqrt(2)) / 2, 4)


def gelu_slope(s):
    x = mp.sqrt(s)
    return 2 * density(0) if s < mp.mpf(10) ** -30 else mp.erf(x / mp.sqrt(2)) / (2 * x) + density(x)


HALF_LN2 = mp.log(2) / 2 + mp.mpf("1e-4")  # the reduction rounds, so r passes ln2/2 a little
CASES = {  # function, weight of the error, interval, degrees of numerator and denominator, given coefficients
    "exp": (mp.exp, lambda r: mp.exp(-r), -HALF_LN2, HALF_LN2, 6, 0, {("p", 0): mp.mpf(1)}),
    "erf": (erf_root, erf_weight, mp.mpf(0), mp.mpf("3.9"), 9, 0, {}),
    "normal": (normal_root, lambda a: 4 * normal_root(a) ** 3, mp.mpf(0), mp.mpf("5.4"), 8, 0, {}),
    "gelu_slope": (gelu_slope, lambda s: 1 / gelu_slope(s), mp.mpf(0), mp.mpf("5.8") ** 2, 5, 5, {}),
}


def main():
    for name, case in CASES.items():
        top, bottom, best, worst = remez_float(*case)
        print(f"{name}: error of the fit {mp.nstr(best, 3)}, with float coefficients {mp.nstr(worst, 3)}")
        for letter, values in (("p", top), ("q", bottom)):
            if len(values) > 1:
                print(f"  {letter}: " + ", ".join(f"{float(v):.9g}f" for v in values))


if __name__ == "__main__":
    main()
