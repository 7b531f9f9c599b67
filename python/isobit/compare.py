"""Why two results differ: verdicts, the fault that explains them, and where (docs/compare.md)."""

from isobit._core.compare import *  # noqa: F401,F403
from isobit._core.compare import Judgement, Problem


def judge(op, got, x, w=None, b=None, dy=None, result="y", **options) -> Judgement:
    """Judges `got`, the result of an op ("conv", "conv_transpose", "linear", "avg_pool", "max_pool") from whatever device or
    library: bits, order of summation, precision of operands, or a fault, and where. result is "y", or of the gradients for dy
    "dx", "dw", "db"; the options are those of the op (see Problem)."""
    return Problem(op, x, w, b, dy, result, **options).judge(got)
