// The kernel of depthwise_gradient.h for groups of 2, 4 or 8 channels and as many filters: a vector of
// channels holds whole groups, and channel i of x, spread over the lanes of its group, meets dy. Buffers of
// sums are [vectors][tap_rows][taps][i][lanes]; the order of each sum is the same, and so is all else.
#pragma once
#include "cpu/kernels/depthwise_gradient.h"

namespace isobit::cpu::gemm {

/// Of the current instruction set, for groups of so many channels; null where there is none.
template <class T>
const GradientSet<T>* group_gradients(std::int64_t group, std::int64_t taps, std::int64_t step);

}  // namespace isobit::cpu::gemm
