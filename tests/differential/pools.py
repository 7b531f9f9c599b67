"""Pooling beyond windows.py: positions of maxima and back, sums, p-norms, adaptive windows."""
import torch
import torch.nn.functional as F

import majorant as m
import windows
from common import Op, along, batch, channels, channels_first, channels_last, extents, ranked

ADAPTIVE_AVG = [F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d]
ADAPTIVE_MAX = [F.adaptive_max_pool1d, F.adaptive_max_pool2d, F.adaptive_max_pool3d]
UNPOOL = {2: torch.ops.aten.max_unpool2d}


# ---- positions

def flat_positions(case):
    """Of every element, its position in its sample, [1, 1, ...]."""
    count = 1
    for e in case["in"]:
        count *= e
    return torch.arange(count, dtype=torch.float64).reshape([1, 1, *case["in"]])


def max_index(case, t):
    """Where the maxima are, as numbers: PyTorch's, or a search among the taps."""
    x, pads = t["x"].detach(), windows.pads_of(case)
    out, first = windows.chosen(case, x)
    if windows.torch_has(case, pads):
        y, index = windows.MAX[len(out) - 1](channels_first(x), case["window"], case["stride"], [a for a, _ in pads],
                                             case["dilation"], case["ceil"], return_indices=True)
        if list(y.shape[2:]) == out:
            return channels_last(index).double()
    places = windows.taps(case, windows.spread(case, flat_positions(case), pads, out, -1.0), out)
    return channels_last(places.expand(*first.shape[:2], *places.shape[2:]).gather(2, first).squeeze(2))


def draw_unpool(rng):
    rank = ranked(rng)
    extent = extents(rng, rank)
    out = [rng.randint(1, e + 3) for e in extent]
    return {"n": batch(rng), "in": extent, "out": out, "c": min(channels(rng), 17),
            "twice": rng.random() < 0.3 or count_of(extent) > count_of(out)}


def count_of(extent):
    count = 1
    for e in extent:
        count *= e
    return count


def unpool_index(case, make):
    """Any positions; each at most once unless "twice"."""
    values, places = count_of(case["in"]), count_of(case["out"])
    shape = [case["n"], values, case["c"]]
    if case["twice"]:
        index = torch.randint(0, places, shape, generator=make)
    else:
        if values > places:
            raise ValueError(f"{values} values in {places} places")
        order = torch.rand([case["n"], places, case["c"]], generator=make).argsort(1)
        index = order[:, :values]
    return {"index": index.reshape([case["n"], *case["in"], case["c"]]).contiguous()}


def unpool(case, t):
    x, index, rank = t["x"], t["index"], len(case["in"])
    if not case["twice"] and rank in UNPOOL and x.numel():
        return channels_last(UNPOOL[rank](channels_first(x).contiguous(), channels_first(index).contiguous(), case["out"]))
    flat = torch.zeros([case["n"], count_of(case["out"]), case["c"]], dtype=x.dtype)
    return flat.scatter_add(1, index.flatten(1, rank), x.flatten(1, rank)).unflatten(1, case["out"])


# ---- sums and p-norms

def sum_pool(case, t):
    pads = windows.pads_of(case)
    out = windows.outputs(case, pads)
    if windows.torch_has(case, pads) and len(out) > 1 and set(case["dilation"]) == {1}:
        y = windows.AVG[len(out) - 1](channels_first(t["x"]), case["window"], case["stride"], [a for a, _ in pads],
                                      case["ceil"], True, 1)
        if list(y.shape[2:]) == out:
            return channels_last(y)
    return channels_last(windows.sums(case, t["x"], pads, out))


def sum_bound(case, x):
    pads = windows.pads_of(case)
    out = windows.outputs(case, pads)
    return m.linear(x, lambda x: channels_last(windows.sums(case, x, pads, out)))


def draw_lp(rng):
    return {**windows.draw_pool(rng), "p": rng.choice([1.0, 2.0, 2.0, 3.0, 4.0, 1.5, 2.5, 5.0])}


def lp_pool(case, t):
    """PyTorch's formula; its lp_pool has no padding and takes x^p without the absolute value."""
    p = case["p"]
    powers = sum_pool(case, {"x": t["x"].abs() ** p})
    return powers if p == 1 else powers ** (1 / p)


def norm_bound(powers, total, p):
    s = total(m.power(m.absolute(powers), p))
    return s if p == 1 else m.power(s, 1 / p)


def lp_shape(case):
    return {"x": (windows.x_shape(case)["x"], "away")}


def draw_global_lp(rng):
    return {**windows.draw_global(rng), "p": rng.choice([1.0, 2.0, 3.0, 2.5])}


def global_lp(case, t):
    p = case["p"]
    powers = (t["x"].abs() ** p).sum(windows.spatial(case))
    return powers if p == 1 else powers ** (1 / p)


# ---- adaptive windows

def draw_adaptive(rng):
    rank = ranked(rng)
    extent = extents(rng, rank)
    out = [rng.randint(1, e + 2) for e in extent]
    if rng.random() < 0.2:
        out = [1] * rank
    return {"n": batch(rng), "in": extent, "out": out, "c": channels(rng)}


def shares(extent, out, counted=False):
    """[out, in]: the weight of each element in each window's mean."""
    found = torch.zeros(out, extent, dtype=torch.float64)
    for o in range(out):
        low, high = o * extent // out, -((-(o + 1) * extent) // out)
        found[o, low:high] = 1.0 if counted else 1 / (high - low)
    return found


def averages(case, x, counted=False):
    for i, (e, o) in enumerate(zip(case["in"], case["out"])):
        x = along(x, i + 1, shares(e, o, counted))
    return x


def adaptive_avg(case, t):
    if t["x"].numel() == 0:
        return averages(case, t["x"])
    return channels_last(ADAPTIVE_AVG[len(case["in"]) - 1](channels_first(t["x"]), case["out"]))


def adaptive_max(case, t):
    if t["x"].numel() == 0:
        return averages(case, t["x"])
    return channels_last(ADAPTIVE_MAX[len(case["in"]) - 1](channels_first(t["x"]), case["out"]))


def adaptive_index(case, t):
    if t["x"].numel() == 0:
        return averages(case, t["x"].detach())
    _, index = ADAPTIVE_MAX[len(case["in"]) - 1](channels_first(t["x"].detach()), case["out"], return_indices=True)
    return channels_last(index).double()


def adaptive_max_bound(case, t):
    index = adaptive_index(case, {"x": t["x"].v}).long()
    rank = len(case["in"])
    return m.linear(t["x"], lambda x: x.flatten(1, rank).gather(1, index.flatten(1, rank)).unflatten(1, case["out"]))


def constant_bound(function):
    """A result without gradient, exactly."""
    return lambda case, t: m.constant(function(case, {"x": t["x"].v}), 0)


OPS = {
    "max_pool_index": Op(windows.draw_pool, windows.x_shape, max_index, constant_bound(max_index),
                         differentiable=False),
    "max_unpool": Op(draw_unpool, windows.x_shape, unpool,
                     lambda case, t: m.linear(t["x"], lambda x: unpool({**case, "twice": True}, {**t, "x": x})),
                     unpool_index),
    "sum_pool": Op(windows.draw_avg, windows.x_shape, sum_pool, lambda case, t: sum_bound(case, t["x"])),
    "lp_pool": Op(draw_lp, lp_shape, lp_pool,
                  lambda case, t: norm_bound(t["x"], lambda x: sum_bound(case, x), case["p"])),
    "global_lp_pool": Op(draw_global_lp, lp_shape, global_lp, lambda case, t: norm_bound(
        t["x"], lambda x: m.total(x, windows.spatial(case), keep=False), case["p"])),
    "adaptive_avg_pool": Op(draw_adaptive, windows.x_shape, adaptive_avg, lambda case, t: m.linear(
        t["x"], lambda x: averages(case, x), lambda x: averages(case, x, True))),
    "adaptive_max_pool": Op(draw_adaptive, windows.x_shape, adaptive_max, adaptive_max_bound),
    "adaptive_max_pool_index": Op(draw_adaptive, windows.x_shape, adaptive_index, constant_bound(adaptive_index),
                                  differentiable=False),
}
