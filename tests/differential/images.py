"""Interpolation, unfold and fold, blocks of channels, instance norm."""
import math

import torch
import torch.nn.functional as F

import majorant as m
import rows
from common import (Op, along, batch, channels, channels_first, channels_last, check_crops, drawn_modes, drawn_sides,
                    drawn_value, extents, pad_mask, pad_spatial, per_axis, pick, ranked, rule_pads)

# ---- interpolation

LINEAR = ["linear", "bilinear", "trilinear"]


def small(rng):
    rank = ranked(rng)
    return {"n": batch(rng), "in": extents(rng, rank, {1: 24, 2: 8, 3: 5}[rank]), "c": min(channels(rng), 17)}


def draw_resize(rng):
    """rule: what PyTorch calls it. By extents, or by scales that are sums of few powers of two."""
    case = small(rng)
    rank = len(case["in"])
    rule = pick(rng, {"linear": 4, "align_corners": 3, "nearest": 2, "nearest-exact": 2, "antialias": 2})
    case["interpolation"] = rule
    if rule not in ("align_corners", "antialias") and rng.random() < 0.3:
        case["scale"] = [rng.choice([0.5, 0.75, 1.0, 1.5, 2.0, 2.5, 4.0]) for _ in range(rank)]
        if rng.random() < 0.95:
            case["in"] = [max(e, 2) for e in case["in"]]
    else:
        case["out"] = [rng.randint(1, {1: 30, 2: 12, 3: 6}[rank]) for _ in range(rank)]
        if rng.random() < 0.2:
            case["out"] = [e + rng.choice([-1, 0, 1]) or 1 for e in case["in"]]
    return case


def draw_upsample(rng):
    case = small(rng)
    case["scale"] = per_axis(rng, len(case["in"]), {1: 2, 2: 4, 3: 2, 4: 1})
    case["interpolation"] = rng.choice(["nearest", "linear", "align_corners"])
    return case


def resized(case):
    """Extents of y."""
    if "out" in case:
        return case["out"]
    out = [int(math.floor(e * s)) for e, s in zip(case["in"], case["scale"])]
    if min(out) < 1:
        raise ValueError(f"y has the extents {out}")
    return out


def nearest_index(rule, extent, out, scale):
    """In integers: 16 * scale is one, and so is everything else."""
    top, bottom = (extent, out) if scale is None else (16, int(16 * scale))
    if rule == "nearest":
        found = [j * top // bottom for j in range(out)]
    else:
        found = [(2 * j + 1) * top // (2 * bottom) for j in range(out)]
    return [min(i, extent - 1) for i in found]


def resize(case, t):
    x, out, rule = channels_first(t["x"]), resized(case), case["interpolation"]
    if rule.startswith("nearest"):
        # PyTorch reckons these positions in f32, where a whole number may come out below itself.
        for i, (e, o) in enumerate(zip(case["in"], out)):
            scale = case["scale"][i] if "scale" in case else None
            x = x.index_select(i + 2, torch.tensor(nearest_index(rule, e, o, scale), dtype=torch.long))
        return channels_last(x)
    if x.numel() == 0:
        return torch.zeros([case["n"], *out, case["c"]], dtype=x.dtype) + t["x"].sum()
    if rule == "antialias":
        # Axis by axis: of one column PyTorch 2.15 gives wrong numbers (it takes the rows for columns), and three axes it
        # does not have.
        for i, o in enumerate(out):
            lines = x.movedim(i + 2, -1)
            flat = lines.reshape(case["n"], -1, 1, lines.shape[-1])
            flat = F.interpolate(flat, size=[1, o], mode="bilinear", antialias=True)
            x = flat.reshape(*lines.shape[:-1], o).movedim(-1, i + 2)
        return channels_last(x)
    options = {"align_corners": rule == "align_corners", "mode": LINEAR[len(out) - 1]}
    if "out" in case:
        return channels_last(F.interpolate(x, size=out, **options))
    return channels_last(F.interpolate(x, scale_factor=[float(s) for s in case["scale"]], recompute_scale_factor=False,
                                       **options))


def weights(rule, extent, out, scale, slack):
    """[out, in]: a line's weights; slack is added to those of all elements that may be neighbours."""
    found = torch.zeros(out, extent, dtype=torch.float64)
    step = 1 / scale if scale else extent / out
    for j in range(out):
        if rule == "align_corners":
            at = j * (extent - 1) / (out - 1) if out > 1 else 0.0
        else:
            at = (j + 0.5) * step - 0.5
        if rule != "antialias":
            at = min(max(at, 0.0), extent - 1.0)
        reach = max(step, 1.0) if rule == "antialias" else 1.0
        row = [max(0.0, 1 - abs(i - at) / reach) for i in range(extent)]
        total = sum(row)
        for i in range(extent):
            near = abs(i - at) < reach + 1e-6
            found[j, i] = row[i] / total + (slack if near else 0.0)
    return found


def interpolated(case, x, slack):
    """By a matrix for each axis."""
    for i, (e, o) in enumerate(zip(case["in"], resized(case))):
        scale = case["scale"][i] if "scale" in case else None
        x = along(x, i + 1, weights(case["interpolation"], e, o, scale, slack))
    return x


def resize_bound(case, t):
    """A position is off by three units of the extent on either side, and the weights of the elements around it by as much,
    however small they are."""
    if case["interpolation"].startswith("nearest"):
        return m.linear(t["x"], lambda x: resize(case, {"x": x}))
    often = max(4.0, max(case["in"]) / 2)
    return m.Form(lambda x: interpolated(case, x, 0.0), [t["x"].shape], lambda x: often * interpolated(case, x, 1.0),
                  bound=lambda x: interpolated(case, x, 1.0))(t["x"])


def x_shape(case):
    return {"x": [case["n"], *case["in"], case["c"]]}


# ---- unfold and fold

def draw_unfold(rng):
    case = small(rng)
    case["c"] = min(case["c"], 9)
    rank = len(case["in"])
    case["window"] = per_axis(rng, rank, {1: 2, 2: 4, 3: 3} if rank > 1 else {1: 1, 2: 2, 3: 3, 5: 1})
    case["stride"] = per_axis(rng, rank, {1: 4, 2: 3, 3: 2, 4: 1})
    case["dilation"] = per_axis(rng, rank, {1: 5, 2: 2, 3: 1})
    case["modes"] = drawn_modes(rng, rank)
    case["value"] = drawn_value(rng, case["modes"])
    if rng.random() < 0.2:
        case["rule"] = rng.choice(["valid", "same_upper", "same_lower", "full", "causal"])
    else:
        case["pads"] = [drawn_sides(rng, e, 3) for e in case["in"]]
        if rng.random() < 0.95:
            for sides, e, f, d in zip(case["pads"], case["in"], case["window"], case["dilation"]):
                sides[1] += max(0, d * (f - 1) + 1 - e - sum(sides))
    return case


def pads_of(case):
    if "rule" in case:
        return rule_pads(case["rule"], case["in"], case["window"], case["stride"], case["dilation"])
    check_crops(case["in"], case["pads"])
    return case["pads"]


def columns(case, x):
    """The windows of an x[n, c, ...] that is padded already: [n, windows..., taps * c]."""
    rank = len(case["in"])
    for i, (w, s, d) in enumerate(zip(case["window"], case["stride"], case["dilation"])):
        room = x.shape[2 + 2 * i] - d * (w - 1) - 1
        if room < 0:
            raise ValueError(f"a window of {w} at dilation {d} on {x.shape[2 + 2 * i]} elements")
        index = (torch.arange(w)[:, None] * d + torch.arange(room // s + 1)[None, :] * s).reshape(-1)
        x = x.index_select(2 + 2 * i, index).unflatten(2 + 2 * i, (w, room // s + 1))
    x = x.permute(0, *(3 + 2 * i for i in range(rank)), *(2 + 2 * i for i in range(rank)), 1)
    return x.flatten(1 + rank)


def plain_unfold(case, x, value):
    return columns(case, pad_spatial(channels_first(x), pads_of(case), case["modes"], value))


def unfold(case, t):
    pads = pads_of(case)
    if (len(pads) == 2 and set(case["modes"]) == {"constant"} and case["value"] == 0 and case["n"] > 0 and
            all(a == b >= 0 for a, b in pads)):
        # PyTorch's own: [n, c * taps, windows].
        flat = F.unfold(channels_first(t["x"]), case["window"], case["dilation"], [a for a, _ in pads], case["stride"])
        out = [(e + 2 * a - d * (w - 1) - 1) // s + 1
               for e, (a, _), d, w, s in zip(case["in"], pads, case["dilation"], case["window"], case["stride"])]
        return flat.unflatten(1, (case["c"], -1)).permute(0, 3, 2, 1).flatten(2).unflatten(1, out)
    return plain_unfold(case, t["x"], case["value"])


def unfold_bound(case, t):
    y = m.linear(t["x"], lambda x: plain_unfold(case, x, 0.0))
    if case["value"] != 0:
        outside = pad_mask([case["n"], case["c"], *case["in"]], pads_of(case), case["modes"])
        y = m.add(y, m.constant(case["value"] * columns(case, outside), 0), rounded=False)
    return y


def fold_shapes(case):
    out = []
    pads = case["pads"] if "pads" in case else pads_of(case)
    taps = case["c"]
    for e, p, w, s, d in zip(case["in"], pads, case["window"], case["stride"], case["dilation"]):
        out.append(max(1, (e + sum(p) - d * (w - 1) - 1) // s + 1))
        taps *= w
    return {"x": [case["n"], *out, taps]}


def fold(case, t):
    hole = torch.zeros(x_shape(case)["x"], dtype=torch.float64, requires_grad=True)
    with torch.enable_grad():
        y = plain_unfold(case, hole, 0.0)
    return torch.autograd.grad(y, hole, t["x"], create_graph=True)[0]


def fold_bound(case, t):
    return m.Form(lambda x: plain_unfold(case, x, 0.0), [x_shape(case)["x"]]).apply(0, {1: t["x"]})


# ---- blocks

def draw_blocks(rng):
    case = small(rng)
    case["window"] = per_axis(rng, len(case["in"]), {1: 1, 2: 4, 3: 2})
    case["order"] = rng.choice(["dcr", "crd"])
    return case


def block_size(case):
    size = 1
    for b in case["window"]:
        size *= b
    return size


def depth_to_space(case, t):
    x, rank, blocks = t["x"], len(case["in"]), case["window"]
    if case["order"] == "crd" and rank == 2 and blocks[0] == blocks[1] and case["n"] > 0:
        return channels_last(F.pixel_shuffle(channels_first(x), blocks[0]))
    if case["order"] == "dcr":
        x = x.unflatten(-1, (*blocks, case["c"]))
    else:
        x = x.unflatten(-1, (case["c"], *blocks)).movedim(1 + rank, -1)
    axes = [a for i in range(rank) for a in (1 + i, 1 + rank + i)]
    x = x.permute(0, *axes, 1 + 2 * rank)
    for i in range(rank):
        x = x.flatten(1 + i, 2 + i)
    return x


def deep_shape(case):
    return {"x": [case["n"], *case["in"], case["c"] * block_size(case)]}


def wide_shape(case):
    return {"x": [case["n"], *(e * b for e, b in zip(case["in"], case["window"])), case["c"]]}


def space_to_depth(case, t):
    x, rank, blocks = t["x"], len(case["in"]), case["window"]
    for i in range(rank):
        x = x.unflatten(1 + 2 * i, (case["in"][i], blocks[i]))
    positions = [1 + 2 * i for i in range(rank)]
    inner = [2 + 2 * i for i in range(rank)]
    last = [*inner, 1 + 2 * rank] if case["order"] == "dcr" else [1 + 2 * rank, *inner]
    return x.permute(0, *positions, *last).flatten(1 + rank)


# ---- instance norm

def draw_instance_norm(rng):
    case = rows.draw_norm(rng)
    if len(case["in"]) == 2:
        case["in"].insert(1, rng.randint(1, 9))
    return case


def instance_norm(case, t):
    if t["x"].numel() == case["in"][0] * case["in"][-1]:
        return rows.single(case, t)
    x = channels_first(t["x"])
    if case["in"][0] == 1:
        # Of one sample PyTorch 2.15 has a wrong gradient where dy lies channels last; group_norm is the same function.
        return channels_last(F.group_norm(x, case["in"][-1], rows.gamma_of(case, t), t.get("beta"), case["eps"]))
    return channels_last(F.instance_norm(x, None, None, rows.gamma_of(case, t), t.get("beta"), True, 0.1, case["eps"]))


def per_instance(case):
    return [case["in"][0], -1, case["in"][-1]]


OPS = {
    "resize": Op(draw_resize, x_shape, resize, resize_bound),
    "upsample": Op(draw_upsample, x_shape, resize, resize_bound),
    "unfold": Op(draw_unfold, x_shape, unfold, unfold_bound),
    "fold": Op(draw_unfold, fold_shapes, fold, fold_bound),
    "depth_to_space": Op(draw_blocks, deep_shape, depth_to_space,
                         lambda case, t: m.linear(t["x"], lambda x: depth_to_space(case, {"x": x}))),
    "space_to_depth": Op(draw_blocks, wide_shape, space_to_depth,
                         lambda case, t: m.linear(t["x"], lambda x: space_to_depth(case, {"x": x}))),
    "instance_norm": Op(draw_instance_norm, rows.norm_shapes, instance_norm,
                        rows.norm_bound(per_instance, lambda s: [1])),
}
