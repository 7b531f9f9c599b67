"""The names of the arithmetics."""

import enum


class Math(str, enum.Enum):
    """What convolutions and matrix products multiply f32 in; equal to its name. Sums are f32, f64 stays exact.

    exact      one order of summation: the same bits on every device
    fast       through tf32 (11 bits, the range of f32), on a CPU with AMX through two bf16 (16 bits)
    fast_f16   through f16 (11 bits; beyond 65504 infinite)
    fast_bf16  through bf16 (8 bits, the range of f32)
    """

    exact = "exact"
    fast = "fast"
    fast_f16 = "fast-f16"
    fast_bf16 = "fast-bf16"

    def __str__(self):
        return self.value
