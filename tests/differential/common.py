"""What the families share: drawing numbers, the index maps of the border, layouts.

A case is a dictionary that JSON can hold. Its keys are what a person would write ("stride": [2, 1]); lists with an entry
for every spatial axis stand under the names in PER_AXIS. Layouts are isobit's: x[n, ..., c], w[..., c/groups, k].
"""
import random

import torch
import torch.nn.functional as F

MODES = ["constant", "reflect", "symmetric", "replicate", "circular"]
ACTIVATIONS = ["none", "relu", "leaky_relu", "silu", "sigmoid", "tanh", "gelu"]
PER_AXIS = ("in", "filter", "stride", "dilation", "pads", "modes", "window", "out", "output_padding", "output_shape",
            "scale")
SLOPE = 0.125


class Op:
    """One op: draw(rng) -> case; inputs(case) -> {name: shape or (shape, kind)}, the differentiable ones; function(case,
    tensors) -> y by PyTorch, of dictionaries of tensors; bound(case, operands) -> y as a Bounded; others(case, rng) ->
    further tensors (labels); line(case) -> its line for a shape file, or None; differentiable: whether there are
    gradients."""

    def __init__(self, draw, inputs, function, bound, others=None, line=None, differentiable=True):
        self.draw, self.inputs, self.function, self.bound = draw, inputs, function, bound
        self.others, self.line = others or (lambda case, rng: {}), line or (lambda case: None)
        self.differentiable = differentiable


def generator(*key):
    return random.Random(":".join(map(str, key)))


# ---- drawing

def pick(rng, weighted):
    """One of the keys of {value: weight}."""
    return rng.choices(list(weighted), list(weighted.values()))[0]


def batch(rng):
    return pick(rng, {0: 2, 1: 30, 2: 40, 3: 15, 5: 5, 16: 2, 17: 3, 33: 1})


def extents(rng, rank, largest=None):
    """Extents of an input's spatial axes; one of them is 1 more often than chance has it."""
    top = largest or {1: 24, 2: 9, 3: 5}[rank]
    found = [rng.randint(1, top) for _ in range(rank)]
    if rng.random() < 0.15:
        found[rng.randrange(rank)] = 1
    return found


def ranked(rng):
    return pick(rng, {1: 3, 2: 5, 3: 2})


def channels(rng):
    """Small, or around a vector's width."""
    return pick(rng, {1: 6, 2: 6, 3: 6, 4: 4, 5: 3, 7: 2, 8: 3, 9: 2, 15: 1, 16: 2, 17: 2, 31: 1, 32: 1, 33: 1})


def per_axis(rng, rank, weighted):
    """The same for all axes, or one for each."""
    if rng.random() < 0.5:
        return [pick(rng, weighted)] * rank
    return [pick(rng, weighted) for _ in range(rank)]


def drawn_modes(rng, rank):
    kind = pick(rng, {"zeros": 4, "one": 4, "each": 2})
    if kind == "zeros":
        return ["constant"] * rank
    return [rng.choice(MODES)] * rank if kind == "one" else [rng.choice(MODES) for _ in range(rank)]


def drawn_value(rng, modes):
    """What lies outside; exact in every dtype."""
    return rng.choice([0.0, 0.0, 0.0, 1.0, -2.5, 0.375]) if "constant" in modes else 0.0


def drawn_sides(rng, extent, far):
    """{before, after} of an axis: none, equal, uneven, crops, rarely far beyond the input."""
    kind = pick(rng, {"none": 3, "equal": 4, "uneven": 3, "crop": 1.5, "wide": 1})
    if kind == "none":
        return [0, 0]
    if kind == "equal":
        return [rng.randint(1, far)] * 2
    if kind == "uneven":
        return [rng.randint(0, far), rng.randint(0, far)]
    if kind == "wide":
        return [rng.randint(0, 2 * extent + 2), rng.randint(0, 2 * extent + 2)]
    crop = -rng.randint(0, extent // 2)
    return [crop, rng.randint(-(extent // 2), far)] if rng.random() < 0.5 else [rng.randint(0, far), crop]


# ---- layouts

def channels_first(t):
    return t.movedim(-1, 1)


def channels_last(t):
    return t.movedim(1, -1)


def filters_first(w):
    """[..., c, k] to PyTorch's [k, c, ...]."""
    return w.movedim(-1, 0).movedim(-1, 1).contiguous()


def along(t, axis, matrix):
    """Every line of t along an axis times a matrix [out, in]."""
    return (t.movedim(axis, -1) @ matrix.T).movedim(-1, axis)


# ---- the border

def index_map(mode, extent, before, after):
    """The element of an axis that each coordinate from -before to extent + after - 1 reads, -1 for the constant: found by
    walking from the edge outwards, a step for every coordinate."""
    if mode == "constant":
        return [i if 0 <= i < extent else -1 for i in range(-before, extent + after)]
    found = {i: i for i in range(extent)}

    def walk(start, step, count):
        at, way = start, step
        for i in range(1, count + 1):
            if mode == "circular":
                at = (at + step) % extent
            elif extent > 1 and mode in ("reflect", "symmetric"):
                # A mirror behind the last element turns the walk round; symmetric stays on the element once.
                if not 0 <= at + way < extent:
                    way = -way
                    if mode == "symmetric":
                        found[start + step * i] = at
                        continue
                at += way
            found[start + step * i] = at

    walk(extent - 1, 1, max(after, 0))
    walk(0, -1, max(before, 0))
    return [found[i] for i in range(-before, extent + after)]


def torch_pads(mode, extent, before, after):
    """Whether F.pad itself has this mode at these widths."""
    if mode == "constant":
        return True
    if min(before, after) < 0 or mode == "symmetric":
        return False
    limit = {"reflect": extent - 1, "replicate": extent + 10**6, "circular": extent}[mode]
    return max(before, after) <= limit


def pad_axis(t, axis, mode, before, after, value=0.0):
    """t padded on one axis; `value` where the mode is constant. By F.pad where it has the mode, else by a gather."""
    extent = t.shape[axis]
    if before == 0 and after == 0:
        return t
    if mode == "constant":
        widths = [0, 0] * (t.dim() - 1 - axis) + [before, after]
        return F.pad(t, widths, value=value)
    if t.numel() and 1 < t.dim() and torch_pads(mode, extent, before, after):
        moved = t.movedim(axis, -1)
        lines = moved.reshape(1, -1, extent)  # F.pad wants [n, c, w]
        padded = F.pad(lines, (before, after), mode=mode)
        return padded.reshape(moved.shape[:-1] + (padded.shape[-1],)).movedim(-1, axis)
    return t.index_select(axis, torch.tensor(index_map(mode, extent, before, after), dtype=torch.long))


def pad_spatial(t, pads, modes, value=0.0):
    """All spatial axes of t[n, c, ...]."""
    for i, ((before, after), mode) in enumerate(zip(pads, modes)):
        t = pad_axis(t, i + 2, mode, before, after, value)
    return t


def pad_mask(shape, pads, modes):
    """One where the padded tensor holds the constant."""
    return 1 - pad_spatial(torch.ones(shape, dtype=torch.float64), pads, modes, 0.0)


def check_crops(extent, pads):
    for size, (before, after) in zip(extent, pads):
        if size + min(before, 0) + min(after, 0) < 0:
            raise ValueError(f"pads {before}, {after} crop more than {size}")


def rule_pads(rule, extent, filters, stride, dilation):
    """The widths that a rule stands for."""
    found = []
    for i, f, s, d in zip(extent, filters, stride, dilation):
        reach = d * (f - 1)
        if rule in ("same_upper", "same_lower"):
            whole = max(0, (-(-i // s) - 1) * s + reach + 1 - i)
            small = whole // 2
            found.append([small, whole - small] if rule == "same_upper" else [whole - small, small])
        else:
            found.append({"valid": [0, 0], "full": [reach, reach], "causal": [reach, 0]}[rule])
    return found


def activate(name, z):
    """The slope of leaky_relu at 0 is 1 here (PyTorch's kernel takes the other side)."""
    if name == "none":
        return z
    if name == "leaky_relu":
        return torch.where(z < 0, SLOPE * z, z)
    return {"relu": F.relu, "silu": F.silu, "sigmoid": torch.sigmoid, "tanh": torch.tanh, "gelu": F.gelu}[name](z)
