"""pad and flip over any axes."""
import torch

import majorant as m
from common import MODES, Op, check_crops, drawn_modes, drawn_sides, drawn_value, pad_axis


def draw_pad(rng):
    rank = rng.randint(1, 5)
    extent = [rng.randint(1, {1: 30, 2: 12, 3: 8, 4: 5, 5: 4}[rank]) for _ in range(rank)]
    if rng.random() < 0.05:
        extent[0] = 0
    modes = drawn_modes(rng, rank)
    if rng.random() < 0.3:
        modes = [rng.choice(MODES)] * rank
    pads = [drawn_sides(rng, e, 4) for e in extent]
    return {"in": extent, "pads": pads, "modes": modes, "value": drawn_value(rng, modes)}


def padded(case, t, value):
    check_crops(case["in"], case["pads"])
    for i, ((before, after), mode) in enumerate(zip(case["pads"], case["modes"])):
        if t.shape[i] == 0 and mode != "constant" and max(before, after) > 0:
            raise ValueError(f"axis {i} has no element to {mode}")
        t = pad_axis(t, i, mode, before, after, value)
    return t


def bound_pad(case, t):
    y = m.linear(t["x"], lambda x: padded(case, x, 0.0))
    if case["value"] != 0:
        outside = 1 - padded(case, torch.ones(case["in"], dtype=torch.float64), 0.0)
        y = m.add(y, m.constant(case["value"] * outside, 0), rounded=False)
    return y


def draw_flip(rng):
    rank = rng.randint(1, 5)
    return {"in": [rng.randint(0 if rng.random() < 0.05 else 1, 6) for _ in range(rank)],
            "axes": sorted(rng.sample(range(rank), rng.randint(1, rank)))}


def shape(case):
    return {"x": case["in"]}


OPS = {
    "pad": Op(draw_pad, shape, lambda case, t: padded(case, t["x"], case["value"]), bound_pad),
    "flip": Op(draw_flip, shape, lambda case, t: t["x"].flip(case["axes"]),
               lambda case, t: m.linear(t["x"], lambda x: x.flip(case["axes"]))),
}
