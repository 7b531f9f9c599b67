"""conv, its two gradients as ops of their own, and conv_transpose."""
import torch
import torch.nn.functional as F

import majorant as m
from common import (ACTIVATIONS, Op, SLOPE, activate, batch, channels, channels_first, channels_last, check_crops,
                    drawn_modes, drawn_sides, drawn_value, extents, filters_first, index_map, pad_mask, pad_spatial, per_axis,
                    pick, ranked, rule_pads)

CONV = [F.conv1d, F.conv2d, F.conv3d]
TRANSPOSE = [F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d]


# ---- drawing

def drawn_groups(rng):
    """groups, channels and filters of a group."""
    kind = pick(rng, {"one": 5, "groups": 3, "depthwise": 2, "multiplier": 1})
    if kind == "one":
        return 1, channels(rng), channels(rng)
    if kind == "groups":
        return rng.randint(2, 4), rng.randint(1, 5), rng.randint(1, 5)
    return channels(rng), 1, 1 if kind == "depthwise" else rng.randint(2, 3)


def drawn_window(rng, rank, extent):
    """A case's filter, stride, dilation and pads."""
    reach = {1: {1: 2, 2: 3, 3: 5, 4: 2, 5: 2, 7: 1}, 2: {1: 2, 2: 3, 3: 5, 4: 1, 5: 1}, 3: {1: 2, 2: 3, 3: 2}}[rank]
    case = {"filter": per_axis(rng, rank, reach), "stride": per_axis(rng, rank, {1: 5, 2: 4, 3: 2, 4: 1}),
            "dilation": per_axis(rng, rank, {1: 6, 2: 2, 3: 1})}
    if rng.random() < 0.25:
        case["rule"] = rng.choice(["valid", "same_upper", "same_lower", "full", "causal"])
    else:
        far = max(f * d for f, d in zip(case["filter"], case["dilation"]))
        case["pads"] = [drawn_sides(rng, e, far) for e in extent]
        if rng.random() < 0.95:  # a filter that fits: the rest is refused by both
            for sides, e, f, d in zip(case["pads"], extent, case["filter"], case["dilation"]):
                sides[1] += max(0, d * (f - 1) + 1 - e - sum(sides))
    return case


def draw(rng):
    rank = ranked(rng)
    extent = extents(rng, rank)
    groups, c, k = drawn_groups(rng)
    n = batch(rng)
    if rng.random() < 0.03:  # long enough for several tasks and blocks
        n, extent, c, k, groups = 2, extents(rng, rank, {1: 90, 2: 16, 3: 7}[rank]), 33, 40, 1
    modes = drawn_modes(rng, rank)
    case = {"n": n, "in": extent, "c": c, "k": k, "groups": groups, **drawn_window(rng, rank, extent), "modes": modes,
            "value": drawn_value(rng, modes), "flip": rng.random() < 0.2, "bias": rng.random() < 0.5,
            "activation": rng.choice(ACTIVATIONS) if rng.random() < 0.4 else "none"}
    return case


def draw_gradient(rng):
    return {**draw(rng), "bias": False, "activation": "none"}


def draw_transpose(rng):
    case = draw(rng)
    rank = len(case["in"])
    del case["value"]
    case["in"] = [min(e, {1: 12, 2: 6, 3: 4}[rank]) for e in case["in"]]
    sound = rng.random() < 0.95  # the rest may have no y
    if sound and case.get("rule") in ("full", "causal"):
        case["in"] = [max(e, -(-d * (f - 1) // s) + 1)
                      for e, f, s, d in zip(case["in"], case["filter"], case["stride"], case["dilation"])]
    if "pads" in case:
        # The padding shrinks y, and crops widen it.
        case["pads"] = [[min(side, f * d) for side in sides]
                        for sides, f, d in zip(case["pads"], case["filter"], case["dilation"])]
        for sides, full in zip(case["pads"], full_extents(case)):
            if sound and sum(sides) >= full:
                sides[:] = [(full - 1) // 2] * 2
        extra = [rng.randrange(s) for s in case["stride"]]
        if rng.random() < 0.3:
            case["output_padding"] = extra
        elif rng.random() < 0.3:
            case["output_shape"] = [full - sum(p) + e for full, p, e in zip(full_extents(case), case["pads"], extra)]
    return case


# ---- what a case says

def pads_of(case, extent):
    if "rule" in case:
        return rule_pads(case["rule"], extent, case["filter"], case["stride"], case["dilation"])
    check_crops(extent, case["pads"])
    return case["pads"]


def shapes(case):
    found = {"x": [case["n"], *case["in"], case["c"] * case["groups"]],
             "w": [*case["filter"], case["c"], case["k"] * case["groups"]]}
    if case["bias"]:
        found["b"] = [case["k"] * case["groups"]]
    return found


def oriented(case, w):
    return w.flip(list(range(len(case["in"])))) if case["flip"] else w


def plain(case, x, w):
    """The valid convolution of an x that is padded already, channels first."""
    return CONV[len(case["in"]) - 1](x, filters_first(oriented(case, w)), None, case["stride"], 0, case["dilation"],
                                     case["groups"])


# ---- conv

def function(case, t):
    pads = pads_of(case, case["in"])
    x, w = channels_first(t["x"]), filters_first(oriented(case, t["w"]))
    rank = len(case["in"])
    even = all(a == b >= 0 for a, b in pads) and set(case["modes"]) == {"constant"} and case["value"] == 0
    if even:
        y = CONV[rank - 1](x, w, t.get("b"), case["stride"], [a for a, _ in pads], case["dilation"], case["groups"])
    else:
        x = pad_spatial(x, pads, case["modes"], case["value"])
        y = CONV[rank - 1](x, w, t.get("b"), case["stride"], 0, case["dilation"], case["groups"])
    return activate(case["activation"], channels_last(y))


def padded(case, x):
    pads = pads_of(case, case["in"])
    p = m.linear(x, lambda t: pad_spatial(channels_first(t), pads, case["modes"]))
    if case["value"] != 0:
        shape = [x.shape[0], x.shape[-1], *x.shape[1:-1]]
        p = m.add(p, m.constant(case["value"] * pad_mask(shape, pads, case["modes"]), 0), rounded=False)
    return p


def finish(case, y, b):
    if b is not None:
        y = m.add(y, m.expand(b, y.shape))
    return m.activation(case["activation"], y, SLOPE)


def bound(case, t):
    p, w = padded(case, t["x"]), t["w"]
    y = m.Form(lambda x, w: channels_last(plain(case, x, w)), [p.shape, w.shape])(p, w)
    return finish(case, y, t.get("b"))


# ---- the gradients as ops: of <conv(x, w), dy>, which is linear in each

def y_shape(case):
    # At least 1, so that a case without any output has a dy, with which it is to be refused.
    pads = rule_pads(case["rule"], case["in"], case["filter"], case["stride"], case["dilation"]) if "rule" in case \
        else case["pads"]
    out = [max(1, (e + sum(p) - d * (f - 1) - 1) // s + 1)
           for e, p, f, s, d in zip(case["in"], pads, case["filter"], case["stride"], case["dilation"])]
    return [case["n"], *out, case["k"] * case["groups"]]


def input_shapes(case):
    return {"dy": y_shape(case), "w": shapes(case)["w"]}


def filter_shapes(case):
    return {"x": shapes(case)["x"], "dy": y_shape(case)}


def derivative(case, t, missing):
    name = "xw"[missing]
    hole = torch.zeros(shapes(case)[name], dtype=torch.float64, requires_grad=True)
    with torch.enable_grad():
        y = function(case, {**t, name: hole})
    return torch.autograd.grad(y, hole, t["dy"], create_graph=True)[0]


def input_bound(case, t):
    form = m.Form(lambda x, w: channels_last(plain(case, pad_spatial(channels_first(x), pads_of(case, case["in"]),
                                                                    case["modes"]), w)),
                  [shapes(case)["x"], t["w"].shape])
    return form.apply(0, {1: t["w"], 2: t["dy"]})


def filter_bound(case, t):
    p = padded(case, t["x"])
    form = m.Form(lambda x, w: channels_last(plain(case, x, w)), [p.shape, shapes(case)["w"]])
    return form.apply(1, {0: p, 2: t["dy"]})


# ---- conv_transpose

def full_extents(case):
    return [(e - 1) * s + d * (f - 1) + 1 for e, s, d, f in zip(case["in"], case["stride"], case["dilation"],
                                                              case["filter"])]


def transposed_extents(case):
    """Spatial extents of y and the padding of the convolution that leads back."""
    full = full_extents(case)
    if "rule" in case:
        rule = case["rule"]
        if rule in ("same_upper", "same_lower"):
            y = [e * s for e, s in zip(case["in"], case["stride"])]
        else:
            cut = {"valid": 0, "full": 2, "causal": 1}[rule]
            y = [e - cut * d * (f - 1) for e, d, f in zip(full, case["dilation"], case["filter"])]
    elif "output_shape" in case:
        y = case["output_shape"]
    else:
        y = [e - sum(p) + o for e, p, o in zip(full, case["pads"], case.get("output_padding", [0] * len(full)))]
    if min(y) < 1:
        raise ValueError(f"y has the extents {y}")
    pads = pads_of(case, y)
    for e, s, f, p in zip(y, case["stride"], full, pads):
        if not f <= e + sum(p) < f + s:
            raise ValueError(f"no convolution leads from {y} to {case['in']}")
    return y, pads


def transpose_shapes(case):
    found = {"x": [case["n"], *case["in"], case["k"] * case["groups"]], "w": shapes(case)["w"]}
    if case["bias"]:
        found["b"] = [case["c"] * case["groups"]]
    return found


def unpad_axis(t, axis, mode, before, after, extent):
    """The adjoint of pad_axis: what was read is added where it was read."""
    if mode == "constant":
        return F.pad(t, [0, 0] * (t.dim() - 1 - axis) + [-before, -after])
    source = torch.tensor(index_map(mode, extent, before, after), dtype=torch.long)
    shape = list(t.shape)
    shape[axis] = extent
    return torch.zeros(shape, dtype=t.dtype).index_add(axis, source, t)


def transpose_plain(case, x, w):
    """y as it is before the padding takes from it; x and y channels first."""
    y, pads = transposed_extents(case)
    z = TRANSPOSE[len(y) - 1](x, filters_first(oriented(case, w)), None, case["stride"], 0, 0,
                              case["groups"], case["dilation"])
    for i, (e, p, mode) in enumerate(zip(y, pads, case["modes"])):
        z = F.pad(z, [0, 0] * (len(y) - 1 - i) + [0, e + sum(p) - z.shape[i + 2]])
        z = unpad_axis(z, i + 2, mode, *p, e)
    return z


def transpose_function(case, t):
    y, pads = transposed_extents(case)
    full, rank = full_extents(case), len(y)
    x, w = channels_first(t["x"]), filters_first(oriented(case, t["w"]))
    extra = [e + sum(p) - f for e, p, f in zip(y, pads, full)]
    if set(case["modes"]) == {"constant"} and all(a == b >= 0 for a, b in pads):
        z = TRANSPOSE[rank - 1](x, w, t.get("b"), case["stride"], [a for a, _ in pads], extra, case["groups"],
                                case["dilation"])
    else:
        z = transpose_plain(case, x, t["w"])
        if "b" in t:
            z = z + t["b"].reshape([-1] + [1] * rank)
    return activate(case["activation"], channels_last(z))


def transpose_bound(case, t):
    form = m.Form(lambda x, w: channels_last(transpose_plain(case, channels_first(x), w)), [t["x"].shape, t["w"].shape])
    return finish(case, form(t["x"], t["w"]), t.get("b"))


# ---- lines of a shape file

def line(case, transposed=False):
    if transposed:
        extent, pads = transposed_extents(case)
    else:
        extent, pads = case["in"], pads_of(case, case["in"])
    g, rank = case["groups"], len(extent)
    axes = "dhw"[3 - rank:]
    words = f"mb{case['n']}g{g}ic{case['c'] * g}"
    words += "".join(f"i{a}{e}" for a, e in zip(axes, extent)) + f"oc{case['k'] * g}"
    for a, f, s, d, (before, after) in zip(axes, case["filter"], case["stride"], case["dilation"], pads):
        words += f"k{a}{f}s{a}{s}d{a}{d - 1}p{a}{before}p{a}r{after}"
    value = case.get("value", 0)
    if value or set(case["modes"]) != {"constant"}:
        modes = case["modes"][:1] if len(set(case["modes"])) == 1 else case["modes"]
        for mode in modes:
            words += f"@{mode}"
            if mode == "constant" and value:
                words += f"={value}"
    return words


def transpose_line(case):
    return line(case, True)


OPS = {
    "conv": Op(draw, shapes, function, bound, line=line),
    "conv_backward_input": Op(draw_gradient, input_shapes, lambda case, t: derivative(case, t, 0), input_bound, line=line),
    "conv_backward_filter": Op(draw_gradient, filter_shapes, lambda case, t: derivative(case, t, 1), filter_bound,
                               line=line),
    "conv_transpose": Op(draw_transpose, transpose_shapes, transpose_function, transpose_bound, line=transpose_line),
}
