"""The smallest case that still fails: everything that can be simpler about a case is tried, the largest steps first,
until nothing simpler fails."""
import copy

from common import PER_AXIS

# What a number is when nothing is special about it; keys that are not here stay as they are.
SIMPLEST = {"n": 1, "c": 1, "k": 1, "groups": 1, "size": 1, "in": 1, "filter": 1, "stride": 1, "dilation": 1, "window": 1,
            "out": 1, "scale": 1, "output_shape": 1, "pads": 0, "output_padding": 0, "value": 0.0, "smoothing": 0.0,
            "block": 1, "classes": 1, "rows": 1}
WORDS = {"dtype": "f64", "values": "integers", "activation": "none", "modes": "constant", "mode": "constant"}
OPTIONAL = ("output_padding", "output_shape", "rule", "align_corners")


def numbers(value, simplest):
    """Simpler ones, the simplest first."""
    if value == simplest:
        return []
    if isinstance(value, float):
        return [simplest]
    half = simplest + int((value - simplest) / 2)
    step = value - 1 if value > simplest else value + 1
    return list(dict.fromkeys([simplest, half, step]))


def entries(key, value):
    """Simpler values of an option or of one entry of it."""
    if isinstance(value, list):
        found = []
        for i, entry in enumerate(value):
            found += [value[:i] + [simpler] + value[i + 1:] for simpler in entries(key, entry)]
        return found
    if isinstance(value, bool):
        return [False] if value else []
    if isinstance(value, str):
        return [WORDS[key]] if key in WORDS and value != WORDS[key] else []
    return numbers(value, SIMPLEST[key]) if key in SIMPLEST else []


def without_axis(case, axis):
    found = copy.deepcopy(case)
    rank = len(case["in"])
    for key in PER_AXIS:
        if isinstance(found.get(key), list) and len(found[key]) == rank:
            del found[key][axis]
    return found


def simpler(case):
    """Every case that is one step simpler."""
    found = []
    rank = len(case["in"]) if isinstance(case.get("in"), list) else 0
    if rank > 1:
        found += [without_axis(case, axis) for axis in range(rank)]
    for key in OPTIONAL:
        if key in case:
            less = {k: v for k, v in case.items() if k != key}
            if key == "rule":
                less["pads"] = [[0, 0]] * rank
            found.append(less)
    for key, value in case.items():
        found += [{**case, key: one} for one in entries(key, value)]
    # Small steps last: a case is a handful of numbers, each far from its simplest at first.
    return found


def shrink(case, failing, rounds=200):
    """failing(cases) -> a list of booleans."""
    for _ in range(rounds):
        candidates = simpler(case)
        verdicts = failing(candidates)
        smaller = next((c for c, fails in zip(candidates, verdicts) if fails), None)
        if smaller is None:
            return case
        case = smaller
    return case
