#!/usr/bin/env python3
"""Prints the polynomial coefficients of core/numerics/elementary_*-inl.h, as C++ hexadecimal literals.

Weighted minimax fits by Remez's exchange in 60 digits (mpmath). Coefficients are rounded to the target format one
after the other, lowest power first; after each rounding the others are fitted again, so that they make up for it.

usage: scripts/minimax.py [NAME...]     (all of them when none is named)
"""
import sys

import mpmath as mp

mp.mp.dps = 60


def to_format(value, bits):
    """value rounded to nearest even in f32 (24) or f64 (53)."""
    if value == 0:
        return mp.mpf(0)
    mantissa, exponent = mp.frexp(value)
    scaled = mp.nint(mantissa * mp.mpf(2) ** bits)
    return scaled * mp.mpf(2) ** (exponent - bits)


def literal(value, bits):
    text = float(value).hex()
    head, exponent = text.split("p")
    head = head.rstrip("0").rstrip(".") if "." in head else head
    return head + "p" + exponent + ("f" if bits == 24 else "")


def remez(values, points, weights, powers):
    """Coefficients c with sum c_k x^k ~ values, minimising max |weight * error| over the points, and that maximum."""
    n = len(powers)
    count = len(points)
    index = [round((count - 1) * (1 - mp.cos(mp.pi * i / n)) / 2) for i in range(n + 1)]
    best = None
    for _ in range(40):
        matrix = mp.matrix(n + 1, n + 1)
        right = mp.matrix(n + 1, 1)
        for row, i in enumerate(index):
            for column, k in enumerate(powers):
                matrix[row, column] = points[i] ** k
            matrix[row, n] = (-1) ** row / weights[i]
            right[row] = values[i]
        solution = mp.lu_solve(matrix, right)
        c = [solution[j] for j in range(n)]
        errors = [weights[i] * (values[i] - sum(a * points[i] ** k for a, k in zip(c, powers))) for i in range(count)]
        largest = max(abs(e) for e in errors)
        if best is None or largest < best[1]:
            best = (c, largest)
        if largest < abs(solution[n]) * mp.mpf("1.0005"):
            break
        # one extremum a run of equal signs; the n + 1 neighbours with the largest smallest error
        extrema = []
        for i, e in enumerate(errors):
            if extrema and (e > 0) == (errors[extrema[-1]] > 0):
                if abs(e) > abs(errors[extrema[-1]]):
                    extrema[-1] = i
            else:
                extrema.append(i)
        while len(extrema) > n + 1:
            extrema.pop(0 if abs(errors[extrema[0]]) < abs(errors[extrema[-1]]) else -1)
        if len(extrema) < n + 1:
            break
        index = extrema
    return best


def least_squares(values, points, weights, powers):
    """As remez, nearly: where a power that is 0 inside the interval leads, the exchange does not converge."""
    n = len(powers)
    matrix, right = mp.matrix(n, n), mp.matrix(n, 1)
    rows = [[w * x ** k for k in powers] for x, w in zip(points, weights)]
    for row, value, w in zip(rows, values, weights):
        for i in range(n):
            right[i] += row[i] * w * value
            for j in range(n):
                matrix[i, j] += row[i] * row[j]
    solution = mp.lu_solve(matrix, right)
    return [solution[i] for i in range(n)], None


def fit(name, function, low, high, weight, powers, bits, fixed=None, split_first=False):
    """Prints coefficients of x^k, k in powers, for function over [low, high]; fixed: {power: value} given beforehand."""
    count = 24 * (len(powers) + 2)
    low, high = mp.mpf(low), mp.mpf(high)
    points = [low + (high - low) * (1 - mp.cos(mp.pi * (i + mp.mpf("0.5")) / count)) / 2 for i in range(count)]
    values = [function(x) for x in points]
    weights = [weight(x) for x in points]
    known = dict(fixed or {})
    for k, value in known.items():
        values = [v - value * x ** k for v, x in zip(values, points)]
    open_powers = [k for k in powers if k not in known]
    ideal = None
    while open_powers:
        solve = least_squares if low < 0 and known else remez
        c, largest = solve(values, points, weights, open_powers)
        ideal = largest if ideal is None else ideal
        k = open_powers.pop(0)
        known[k] = to_format(c[0], bits)
        if split_first and len(known) == 1:
            parts(f"{name}, first coefficient", c[0], bits, 2)
            known[k] += to_format(c[0] - known[k], bits)
        values = [v - known[k] * x ** k for v, x in zip(values, points)]
    final = max(abs(w * v) for w, v in zip(weights, values))
    print(f"{name}: error 2^{float(mp.log(final, 2)):.1f} (unrounded 2^{float(mp.log(ideal, 2)) if ideal else 0:.1f})")
    print("  " + ", ".join(literal(known[k], bits) for k in sorted(known)))
    sys.stdout.flush()


def parts(name, value, bits, count):
    """A constant as an unevaluated sum of `count` numbers of the format."""
    rest, out = value, []
    for _ in range(count):
        out.append(to_format(rest, bits))
        rest -= out[-1]
    print(f"{name}: " + ", ".join(literal(v, bits) for v in out))


def relative(function, power):
    return lambda x: abs(x ** power / function(x))


def expm1_rest(f):
    if abs(f) < mp.mpf("1e-12"):
        return mp.mpf(1) / 2 + f / 6
    return (mp.expm1(f) - f) / f ** 2


def log1p_rest(f):
    if abs(f) < mp.mpf("1e-12"):
        return -mp.mpf(1) / 2 + f / 3
    return (mp.log1p(f) - f) / f ** 2


def atanh_rest(z):
    """(log((1 + s) / (1 - s)) - 2 s) / (s z), z = s^2."""
    s = mp.sqrt(z)
    return 2 * (mp.atanh(s) - s) / (s * z)


def tail(q, k):
    """G(a) = a exp(a^2 / 2) Q(a), Q the normal tail, at a = k (1 + q) / (1 - q)."""
    a = k * (1 + q) / (1 - q)
    return a * mp.exp(a * a / 2) * mp.erfc(a / mp.sqrt(2)) / 2


HALF_LN2 = mp.log(2) / 2
EDGE = mp.pi / 4 * mp.mpf("1.005")


def tail_fit(bits, terms, k, last):
    def q_of(a):
        return (mp.mpf(a) - k) / (mp.mpf(a) + k)

    fit(f"tail{bits} k={k}", lambda q: tail(q, k), q_of("0.9999"), q_of(last), lambda q: 1 / tail(q, k),
        list(range(terms)), bits, split_first=True)


def root(z):
    return mp.sqrt(z)


JOBS = {}
for bits, counts in ((24, dict(exp=6, tanh=5, erf=7, sin=3, cos=3)), (53, dict(exp=11, tanh=12, erf=12, sin=6, cos=6))):
    JOBS[f"exp{bits}"] = lambda bits=bits, n=counts["exp"]: fit(
        f"exp{bits}", expm1_rest, -HALF_LN2 * mp.mpf("1.001"), HALF_LN2 * mp.mpf("1.001"),
        lambda f: abs(f ** 2 / mp.expm1(f)), list(range(n)), bits)
    JOBS[f"tanh{bits}"] = lambda bits=bits, n=counts["tanh"]: fit(
        f"tanh{bits}", lambda z: (mp.tanh(root(z)) / root(z) - 1) / z, "1e-9", "0.3026",
        lambda z: z * root(z) / mp.tanh(root(z)), list(range(n)), bits)
    JOBS[f"erf{bits}"] = lambda bits=bits, n=counts["erf"]: fit(
        f"erf{bits}", lambda z: (mp.erf(root(z)) / root(z) - 2 / mp.sqrt(mp.pi)) / z, "1e-9", "1.0001",
        lambda z: z * root(z) / mp.erf(root(z)), list(range(n)), bits)
    JOBS[f"sin{bits}"] = lambda bits=bits, n=counts["sin"]: fit(
        f"sin{bits}", lambda z: (mp.sin(root(z)) / root(z) - 1) / z, "1e-9", EDGE ** 2,
        lambda z: z * root(z) / mp.sin(root(z)), list(range(n)), bits)
    JOBS[f"cos{bits}"] = lambda bits=bits, n=counts["cos"]: fit(
        f"cos{bits}", lambda z: (mp.cos(root(z)) - 1 + z / 2) / z ** 2, "1e-9", EDGE ** 2,
        lambda z: z ** 2 / mp.cos(root(z)), list(range(n)), bits)
    JOBS[f"constants{bits}"] = lambda bits=bits: (
        parts("ln2", mp.log(2), bits, 3), parts("log2e", 1 / mp.log(2), bits, 1),
        parts("pi/2", mp.pi / 2, bits, 3), parts("2/pi", 2 / mp.pi, bits, 1),
        parts("2/sqrt(pi)", 2 / mp.sqrt(mp.pi), bits, 2), parts("1/sqrt(2 pi)", 1 / mp.sqrt(2 * mp.pi), bits, 2),
        parts("sqrt(2)", mp.sqrt(2), bits, 1), parts("2 pi", 2 * mp.pi, bits, 2))
JOBS["log24"] = lambda: fit("log24", log1p_rest, "-0.33334", "0.33334", lambda f: abs(f ** 2 / mp.log1p(f)),
                            list(range(9)), 24, {0: mp.mpf("-0.5")})
JOBS["log53"] = lambda: fit("log53", atanh_rest, "1e-9", "0.02945", lambda z: z, list(range(7)), 53)
JOBS["tail24"] = lambda: tail_fit(24, 10, mp.mpf("2.5"), 16)
JOBS["tail53"] = lambda: tail_fit(53, 23, mp.mpf(3), 40)

if __name__ == "__main__":
    for job in sys.argv[1:] or JOBS:
        JOBS[job]()
