// gather_rows: runs of elements that move as they are, in units of 1 to 16 bytes: the largest that no row and
// no pointer cuts. A thread owns a unit of the output; neighbours write neighbours (grid-stride loops).
#include "cuda/kernels/kernels.h"
#include "cuda/kernels/units.cuh"

namespace isobit::gpu::kernels {
namespace {

template <class U>
__global__ void __launch_bounds__(kMapThreads)
    copy_rows(const U* rows, const std::int64_t* index, Divisor row_units, U* out, std::int64_t n) {
  for (std::int64_t i = grid_thread(); i < n; i += grid_threads()) {
    std::int64_t row = 0, unit = 0;
    row_units.split(i, row, unit);
    out[i] = rows[index[row] * row_units.value + unit];
  }
}

}  // namespace

void gather_rows(ConstView rows, ConstView index, std::int64_t row_size, View out) {
  if (out.numel == 0) return;
  const std::int64_t size = size_of(out.dtype);
  const std::int64_t n = unit_of(size, {row_size}, rows.data, out.data);
  const std::int64_t units = out.numel / n;
  const Divisor row_units(row_size / n, units);
  with_unit(n * size, [&](auto unit) {
    using U = decltype(unit);
    launch(copy_rows<U>, grid_stride_blocks(units, kMapThreads), kMapThreads, 0, rows.as<U>(),
           index.as<std::int64_t>(), row_units, out.as<U>(), units);
  });
}

}  // namespace isobit::gpu::kernels
