// The place of a maximum, told in two ways: the position in the sample, which the seam has (core/backend.h),
// and the tap in the window, row-major, which cuDNN's index tensors have. A thread owns one output at a time;
// no sums. No twin on the CPU: nothing there counts taps. Windows are neither adaptive nor dilated.
#include "cuda/kernels/elements.cuh"
#include "cuda/kernels/kernels.h"
#include "cuda/kernels/pool.cuh"

namespace isobit::gpu::kernels {
namespace {

// A tap that is none of the window's, or lies in the padding, becomes the first that is real: what the
// library gives where no tap compares greater is not documented, and no index may lead out of the sample.
__global__ void __launch_bounds__(kPoolThreads)
    pool_taps_to_positions_grid(Pool g, const std::int32_t* tap, std::int64_t* index, std::int64_t items) {
  for (std::int64_t i = grid_thread(); i < items; i += grid_threads()) {
    const PoolPlace out = pool_place(i, g.c, g.axis[0].out, g.axis[1].out, g.axis[2].out);
    std::int64_t rest = tap[i], position = 0, first = 0, step = 1;
    bool real = true;  // of a tap below 0 a remainder is, or the rest
    for (int k = 2; k >= 0; --k) {
      const PoolAxis& a = g.axis[k];
      const PoolTaps taps = a.taps(out.at[k]);
      const std::int64_t at = out.at[k] * a.stride - a.before + rest % a.filter;
      rest /= a.filter;
      real = real && at >= taps.first && at < taps.end;
      position += at * step;
      first += taps.first * step;
      step *= a.in;
    }
    index[i] = real && rest == 0 ? position : first;
  }
}

// -1, which is no tap, for a position outside of the window: none of max_pool's own.
__global__ void __launch_bounds__(kPoolThreads)
    pool_positions_to_taps_grid(Pool g, const std::int64_t* index, std::int32_t* tap, std::int64_t items) {
  for (std::int64_t i = grid_thread(); i < items; i += grid_threads()) {
    const PoolPlace out = pool_place(i, g.c, g.axis[0].out, g.axis[1].out, g.axis[2].out);
    std::int64_t rest = index[i], found = 0, step = 1;
    bool inside = rest >= 0;
    for (int k = 2; k >= 0; --k) {
      const PoolAxis& a = g.axis[k];
      const std::int64_t at = rest % a.in - (out.at[k] * a.stride - a.before);
      rest /= a.in;
      inside = inside && at >= 0 && at < a.filter;
      found += at * step;
      step *= a.filter;
    }
    tap[i] = inside ? static_cast<std::int32_t>(found) : -1;
  }
}

}  // namespace

void pool_taps_to_positions(const PoolGeometry& g, const std::int32_t* tap, View index) {
  launch(pool_taps_to_positions_grid, grid_stride_blocks(index.numel, kPoolThreads), kPoolThreads, 0, Pool(g),
         tap, index.as<std::int64_t>(), index.numel);
}
void pool_positions_to_taps(const PoolGeometry& g, ConstView index, std::int32_t* tap) {
  launch(pool_positions_to_taps_grid, grid_stride_blocks(index.numel, kPoolThreads), kPoolThreads, 0, Pool(g),
         index.as<std::int64_t>(), tap, index.numel);
}

}  // namespace isobit::gpu::kernels
