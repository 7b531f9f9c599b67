"""Pooling."""
import torch
import torch.nn.functional as F

import majorant as m
from common import (Op, batch, channels, channels_first, channels_last, extents, pad_axis, per_axis, ranked, rule_pads)

MAX = [F.max_pool1d, F.max_pool2d, F.max_pool3d]
AVG = [F.avg_pool1d, F.avg_pool2d, F.avg_pool3d]


def draw_pool(rng):
    rank = ranked(rng)
    extent = extents(rng, rank)
    case = {"n": batch(rng), "in": extent, "c": channels(rng),
            "window": per_axis(rng, rank, {1: 1, 2: 4, 3: 4, 4: 1, 5: 1} if rank < 3 else {1: 1, 2: 3, 3: 2}),
            "stride": per_axis(rng, rank, {1: 3, 2: 4, 3: 2, 4: 1}), "ceil": rng.random() < 0.4}
    case["dilation"] = per_axis(rng, rank, {1: 4, 2: 2, 3: 1}) if rng.random() < 0.4 else [1] * rank
    reach = [d * (w - 1) + 1 for d, w in zip(case["dilation"], case["window"])]
    kind = rng.choice(["none", "torch", "uneven", "rule"])
    if kind == "rule":
        case["rule"] = rng.choice(["valid", "same_upper", "same_lower"])
        return case
    limit = [0 if kind == "none" else min(r - 1, w // 2 if kind == "torch" else r - 1)
             for r, w in zip(reach, case["window"])]
    case["pads"] = [[rng.randint(0, most), rng.randint(0, most)] for most in limit]
    if kind == "torch":
        case["pads"] = [[a, a] for a, _ in case["pads"]]
    if rng.random() < 0.95:
        case["in"] = [max(e, r - sum(p)) for e, r, p in zip(extent, reach, case["pads"])]
    return case


def pads_of(case):
    if "rule" in case:
        return rule_pads(case["rule"], case["in"], case["window"], case["stride"], case["dilation"])
    return case["pads"]


def x_shape(case):
    return {"x": [case["n"], *case["in"], case["c"]]}


def outputs(case, pads):
    """Windows of each axis: ONNX's rule, under which one that would begin behind input and left padding is none."""
    found = []
    for e, w, s, d, (before, after) in zip(case["in"], case["window"], case["stride"], case["dilation"], pads):
        reach = d * (w - 1) + 1
        room = e + before + after - reach
        if room < 0 or max(before, after) >= reach:
            raise ValueError(f"a window of {reach} on {e} elements padded by {before}, {after}")
        out = room // s + 1
        if case["ceil"] and room % s and out * s < e + before:
            out += 1
        for o in range(out):
            if not any(0 <= o * s - before + tap * d < e for tap in range(w)):
                raise ValueError(f"window {o} holds no element of {e} by {w} taps, dilation {d}, padding {before}, {after}")
        found.append(out)
    return found


def spread(case, x, pads, out, value):
    """x[n, c, ...] padded so that every tap of every window exists, behind the padding too."""
    for i, (e, w, s, d, (before, _)) in enumerate(zip(case["in"], case["window"], case["stride"], case["dilation"], pads)):
        needed = (out[i] - 1) * s + d * (w - 1) + 1
        x = pad_axis(x, i + 2, "constant", before, needed - e - before, value)
    return x


def taps(case, x, out):
    """[..., taps, windows...]: all windows of a padded x[n, c, ...], their taps in row-major order along axis 2."""
    rank = len(out)
    for i, (w, s, d, o) in enumerate(zip(case["window"], case["stride"], case["dilation"], out)):
        index = (torch.arange(w)[:, None] * d + torch.arange(o)[None, :] * s).reshape(-1)
        x = x.index_select(2 + 2 * i, index).unflatten(2 + 2 * i, (w, o))
    x = x.permute(0, 1, *(2 + 2 * i for i in range(rank)), *(3 + 2 * i for i in range(rank)))
    return x.flatten(2, 1 + rank)


def torch_has(case, pads):
    if len(pads) == 3 and any(e < w for e, w in zip(case["in"], case["window"])):
        return False  # avg_pool3d asks for this, padding or not
    return (case["n"] > 0 and "rule" not in case and all(a == b and 2 * a <= w for (a, b), w in zip(pads, case["window"])))


def chosen(case, x):
    """Position of the largest tap of each window, as PyTorch's kernel or a stable search among the taps finds it."""
    pads = pads_of(case)
    out = outputs(case, pads)
    t = taps(case, spread(case, channels_first(x), pads, out, -torch.inf), out)
    best = t.max(2, keepdim=True).values
    first = (t == best).int().argmax(2, keepdim=True)  # the first of equals
    return out, first


def max_pool(case, t):
    x, pads = t["x"], pads_of(case)
    out, first = chosen(case, x.detach())
    if torch_has(case, pads):
        y = MAX[len(out) - 1](channels_first(x), case["window"], case["stride"], [a for a, _ in pads], case["dilation"],
                              case["ceil"])
        if list(y.shape[2:]) == out:
            return channels_last(y)
    y = taps(case, spread(case, channels_first(x), pads, out, -torch.inf), out).gather(2, first).squeeze(2)
    return channels_last(y)


def max_bound(case, t):
    pads = pads_of(case)
    out, first = chosen(case, t["x"].v)
    return m.linear(t["x"], lambda x: channels_last(
        taps(case, spread(case, channels_first(x), pads, out, 0.0), out).gather(2, first).squeeze(2)))


def counts(case, pads, out):
    """How many taps each window is divided by."""
    real = torch.ones([1, 1, *case["in"]], dtype=torch.float64)
    if case["include"]:
        for i, (before, after) in enumerate(pads):
            real = pad_axis(real, i + 2, "constant", before, after, 1.0)
        moved = {**case, "in": list(real.shape[2:])}
        return taps(case, spread(moved, real, [(0, 0)] * len(pads), out, 0.0), out).sum(2)
    return taps(case, spread(case, real, pads, out, 0.0), out).sum(2)


def draw_avg(rng):
    return {**draw_pool(rng), "include": rng.random() < 0.5}


def sums(case, x, pads, out):
    return taps(case, spread(case, channels_first(x), pads, out, 0.0), out).sum(2)


def avg_pool(case, t):
    pads = pads_of(case)
    out = outputs(case, pads)
    if torch_has(case, pads) and set(case["dilation"]) == {1}:
        y = AVG[len(out) - 1](channels_first(t["x"]), case["window"], case["stride"], [a for a, _ in pads], case["ceil"],
                              case["include"])
        if list(y.shape[2:]) == out:
            return channels_last(y)
    return channels_last(sums(case, t["x"], pads, out) / counts(case, pads, out))


def avg_bound(case, t):
    pads = pads_of(case)
    out = outputs(case, pads)
    n = counts(case, pads, out)
    return m.linear(t["x"], lambda x: channels_last(sums(case, x, pads, out) / n),
                    lambda x: channels_last(sums(case, x, pads, out)))


def draw_global(rng):
    rank = ranked(rng)
    return {"n": batch(rng), "in": extents(rng, rank), "c": channels(rng)}


def spatial(case):
    return list(range(1, 1 + len(case["in"])))


def global_max_bound(case, t):
    flat = m.reshape(t["x"], [case["n"], -1, case["c"]]) if case["n"] else m.linear(t["x"], lambda x: x.flatten(1, -2))
    first = (flat.v == flat.v.amax(1, keepdim=True)).int().argmax(1, keepdim=True)
    return m.linear(flat, lambda x: x.gather(1, first).squeeze(1))


def global_max(case, t):
    flat = t["x"].flatten(1, -2)
    first = (flat.detach() == flat.detach().amax(1, keepdim=True)).int().argmax(1, keepdim=True)
    return flat.gather(1, first).squeeze(1)


def global_avg_bound(case, t):
    size = 1
    for e in case["in"]:
        size *= e
    return m.scale(m.total(t["x"], spatial(case), keep=False), 1 / size)


OPS = {
    "max_pool": Op(draw_pool, x_shape, max_pool, max_bound),
    "avg_pool": Op(draw_avg, x_shape, avg_pool, avg_bound),
    "global_avg_pool": Op(draw_global, x_shape, lambda case, t: t["x"].mean(spatial(case)), global_avg_bound),
    "global_max_pool": Op(draw_global, x_shape, global_max, global_max_bound),
}
