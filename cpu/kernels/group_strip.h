// The strips of depthwise_strip.h for groups of 2, 4 or 8 channels and as many filters: a vector of channels
// holds whole groups.
//
// A vector of the source's column is loaded once, and for each channel i of the groups its element is spread
// over the lanes of its group; that meets the filter's vector (tap, i) of every sum that reads the column.
// Columns ascend, and i within a column, so each sum meets its terms in the order (t, r, s, i): acc = +0,
// then acc = fma(x, w, acc), one chain of at most 256 terms. One row of outputs. The filter is
// [vectors][planes][row_taps][taps][i][lanes]; all else as in depthwise_strip.h, and channels are a multiple
// of the group, so that the last vector, which may overlap, begins with a group too. Twin: the reference
// (cpu/reference/), which the CUDA tiles follow as well.
#pragma once
#include "cpu/kernels/depthwise_strip.h"

namespace isobit::cpu::gemm {

/// Of the current instruction set, for groups of so many channels; null where there is none.
template <class T>
const StripSet<T>* group_strips(std::int64_t group, std::int64_t taps, std::int64_t step);

}  // namespace isobit::cpu::gemm
