// norm_statistics: the mean, then, in a second pass, the mean of the squared differences from it. Batch norm:
// sums of columns (columns.cuh). Layer norm: a row belongs to a group of lanes, or (shared) to a block, which
// makes both passes. Group norm over several positions: lanes sums of rows, then blocked chains of these.
#include "cuda/kernels/kernels.h"
#include "cuda/kernels/norm.cuh"

namespace isobit::gpu::kernels {
namespace {

// (x - mean)^2, the square rounded.
template <class S>
struct SquareTerm {
  using Compute = kernels::Compute<S>;
  static constexpr int kSums = 1;
  NormGeometry g;
  const S* x;
  const Compute* mean;

  struct Column {
    const S* x;
    Compute mean;
    __device__ void value(std::int64_t at, std::int64_t, Compute (&out)[1]) const {
      const Compute distance = widen(x[at]) - mean;
      out[0] = distance * distance;
    }
  };
  struct Row {
    const S* x;
    Compute mean;
    __device__ void value(std::int64_t j, Compute* out) const {
      const Compute distance = widen(x[j]) - mean;
      out[0] = distance * distance;
    }
  };
  __device__ Column column(std::int64_t i) const { return {x, mean[i]}; }
  __device__ Row row(std::int64_t r, std::int64_t columns) const {
    return {x + r * columns, mean[statistic_of_row(g, r)]};
  }
};

// A row of d elements belongs to a group of lanes.
template <class S>
__global__ void __launch_bounds__(kRowThreads, 2)
    group_statistics(std::int64_t rows, std::int64_t columns, int width, Compute<S> divisor, const S* x,
                     Compute<S>* mean, Compute<S>* variance) {
  using V = Compute<S>;
  for_each_row(rows, columns, width, [&](std::int64_t row, int lane, std::int64_t count) {
    const S* const from = x + (row < rows ? row : 0) * columns;
    const V m =
        group_sum<V>(count, lane, width, [&](V acc, std::int64_t j) { return acc + widen(from[j]); }) /
        divisor;
    const V squares = group_sum<V>(count, lane, width, [&](V acc, std::int64_t j) {
      const V distance = widen(from[j]) - m;
      return acc + distance * distance;
    });
    if (lane != 0 || row >= rows) return;
    mean[row] = m;
    variance[row] = squares / divisor;
  });
}

// A row belongs to a block.
template <class S>
__global__ void __launch_bounds__(kRowThreads, 2)
    block_statistics(std::int64_t rows, std::int64_t columns, Compute<S> divisor, const S* x,
                     Compute<S>* mean, Compute<S>* variance) {
  using V = Compute<S>;
  using Stage = RowStage<V, 1>;
  SHARED(stage, Stage);
  for (std::int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    const S* const from = x + row * columns;
    V sum[1];
    block_row_sums<false>(columns, stage, sum, [&](std::int64_t j, V* out) { out[0] = widen(from[j]); });
    const V m = sum[0] / divisor;
    block_row_sums<false>(columns, stage, sum, [&](std::int64_t j, V* out) {
      const V distance = widen(from[j]) - m;
      out[0] = distance * distance;
    });
    if (threadIdx.x != 0) continue;
    mean[row] = m;
    variance[row] = sum[0] / divisor;
  }
}

template <class S>
void statistics(const NormGeometry& g, const S* x, Compute<S>* mean, Compute<S>* variance, bool share) {
  using V = Compute<S>;
  Sink<V, 1> sink = mean_sink<V, 1>(g);
  if (g.over_batch || g.b != 1) {
    sink.out[0] = mean;
    sum_statistics(g, PlainTerm<S>{x}, share, sink);
    sink.out[0] = variance;
    return sum_statistics(g, SquareTerm<S>{g, x, mean}, share, sink);
  }
  const std::int64_t rows = g.a * g.g;
  if (share && refuse_block_rows(rows, g.d) == nullptr)
    return launch(block_statistics<S>, grid_stride_blocks(rows, 1), kRowThreads, 0, rows, g.d, sink.divisor,
                  x, mean, variance);
  const int width = lane_group(g.d);
  launch(group_statistics<S>, row_blocks(rows, width), kRowThreads, 0, rows, g.d, width, sink.divisor, x,
         mean, variance);
}

void run(const NormGeometry& g, ConstView x, View mean, View variance, bool share) {
  with_floating("norm_statistics", x.dtype, [&](auto type) {
    using S = decltype(type);
    statistics(g, x.as<S>(), mean.as<Compute<S>>(), variance.as<Compute<S>>(), share);
  });
}

}  // namespace

void norm_statistics(const NormGeometry& g, ConstView x, View mean, View variance) {
  run(g, x, mean, variance, false);
}
void norm_statistics_shared(const NormGeometry& g, ConstView x, View mean, View variance) {
  run(g, x, mean, variance, true);
}
const char* refuse_norm_statistics_shared(const NormGeometry& g, ConstView, View, View) {
  return refuse_shared_statistics(g);
}

}  // namespace isobit::gpu::kernels
