// The algorithms of scatter_add_rows (core/algorithm.h): "sorted", then "scan".
#pragma once
#include "core/backend.h"

namespace isobit::gpu::kernels {

const char* refuse_scatter_sorted(ConstView dy, ConstView index, std::int64_t row_count,
                                  std::int64_t row_size, View out);
void scatter_add_rows_sorted(ConstView dy, ConstView index, std::int64_t row_count, std::int64_t row_size,
                             View out);

}  // namespace isobit::gpu::kernels
