"""All ops of the differential test, and one case of any of them."""
import convolutions
import images
import movements
import pools
import rows
import windows
from common import generator

FAMILIES = (convolutions, movements, windows, pools, images, rows)
OPS = {name: op for family in FAMILIES for name, op in family.OPS.items()}
# How often each is drawn.
WEIGHTS = {"conv": 50, "conv_backward_input": 8, "conv_backward_filter": 8, "conv_transpose": 30, "pad": 10, "unfold": 8,
           "fold": 6, "resize": 8}


def draw(seed, index, ops):
    """Case `index` of the sequence that a seed stands for; each depends on these two numbers and the list of
    ops alone."""
    rng = generator(seed, index)
    name = rng.choices(ops, [WEIGHTS.get(op, 4) for op in ops])[0]
    dtype = rng.choices(["f64", "f32", "f16", "bf16"], [70, 16, 7, 7])[0]
    spread = rng.choices(["uniform", "integers", "wide"], [6, 2, 0 if dtype == "f16" else 2])[0]
    return {"op": name, "dtype": dtype, "values": spread, "seed": rng.randrange(2**31), **OPS[name].draw(rng)}
