// softmax, log_softmax and their gradients over rows of the last axis; the sum of a row is its lanes tree
// (lanes.cuh).
// *_grid: a row belongs to a group of up to 32 threads; *_block: to a block, for few long rows. A row is read
// once for its maximum, once for its sum and once for the result; an exponential is computed anew, not kept,
// for it costs less than memory.
#include "cuda/kernels/kernels.h"
#include "cuda/kernels/lanes.cuh"

namespace isobit::gpu::kernels {
namespace {

template <class S>
__device__ inline S forward_value(bool log, S x, Compute<S> m, Compute<S> sum) {
  using V = Compute<S>;
  const V centred = widen(x) - m;
  return numerics::cast<S>(log ? centred - sum : numerics::exp(centred) / sum);
}

// `sum` is the logarithm of the sum when log.
template <class S>
__global__ void __launch_bounds__(kRowThreads, 2)
    softmax_grid(bool log, std::int64_t rows, std::int64_t columns, int width, const S* x, S* y) {
  using V = Compute<S>;
  for_each_row(rows, columns, width, [&](std::int64_t row, int lane, std::int64_t count) {
    const S* const from = x + row * columns;
    const V m = group_maximum<V>(count, lane, width, [&](std::int64_t j) { return widen(from[j]); });
    V sum = group_sum<V>(count, lane, width,
                         [&](V acc, std::int64_t j) { return acc + numerics::exp(widen(from[j]) - m); });
    if (log) sum = numerics::log(sum);
    for (std::int64_t j = lane; j < count; j += width)
      y[row * columns + j] = forward_value<S>(log, from[j], m, sum);
  });
}

template <class S>
__global__ void __launch_bounds__(kRowThreads, 2)
    softmax_block_rows(bool log, std::int64_t rows, std::int64_t columns, const S* x, S* y) {
  using V = Compute<S>;
  using Stage = RowStage<V, 1>;
  SHARED(stage, Stage);
  for (std::int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    const S* const from = x + row * columns;
    const V m = block_maximum<V, 1>(columns, stage, [&](std::int64_t j) { return widen(from[j]); });
    V sums[1];
    block_row_sums<false>(columns, stage, sums,
                          [&](std::int64_t j, V* out) { out[0] = numerics::exp(widen(from[j]) - m); });
    const V sum = log ? numerics::log(sums[0]) : sums[0];
    for (std::int64_t j = threadIdx.x; j < columns; j += kRowThreads)
      y[row * columns + j] = forward_value<S>(log, from[j], m, sum);
  }
}

// t = sum of dy * y for softmax, of dy for log_softmax.
template <class S>
__device__ inline S backward_value(bool log, S dy, S y, Compute<S> t) {
  const Compute<S> d = widen(dy), v = widen(y);
  return numerics::cast<S>(log ? numerics::fma(-numerics::exp(v), t, d) : (d - t) * v);
}

template <class S>
__global__ void __launch_bounds__(kRowThreads, 2)
    softmax_backward_grid(bool log, std::int64_t rows, std::int64_t columns, int width, const S* dy,
                          const S* y, S* dx) {
  using V = Compute<S>;
  for_each_row(rows, columns, width, [&](std::int64_t row, int lane, std::int64_t count) {
    const S *const d = dy + row * columns, *const v = y + row * columns;
    const V t = group_sum<V>(count, lane, width, [&](V acc, std::int64_t j) {
      return log ? acc + widen(d[j]) : numerics::fma(widen(d[j]), widen(v[j]), acc);
    });
    for (std::int64_t j = lane; j < count; j += width)
      dx[row * columns + j] = backward_value<S>(log, d[j], v[j], t);
  });
}

// A plain sum is a sum of products with one: fma(a, 1, acc) rounds a + acc.
template <class S>
__global__ void __launch_bounds__(kRowThreads, 2)
    softmax_backward_block_rows(bool log, std::int64_t rows, std::int64_t columns, const S* dy, const S* y,
                                S* dx) {
  using V = Compute<S>;
  using Stage = RowStage<V, 2>;
  SHARED(stage, Stage);
  for (std::int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    const S *const d = dy + row * columns, *const v = y + row * columns;
    V sums[1];
    block_row_sums<true>(columns, stage, sums, [&](std::int64_t j, V* out) {
      out[0] = widen(d[j]);
      out[1] = log ? V{1} : widen(v[j]);
    });
    const V t = sums[0];
    for (std::int64_t j = threadIdx.x; j < columns; j += kRowThreads)
      dx[row * columns + j] = backward_value<S>(log, d[j], v[j], t);
  }
}

std::int64_t rows_of(std::int64_t numel, std::int64_t columns) {
  return columns == 0 ? 0 : numel / columns;
}

void forward(bool log, std::int64_t columns, ConstView x, View y) {
  const int width = lane_group(columns);
  const std::int64_t rows = rows_of(x.numel, columns);
  with_floating("softmax", x.dtype, [&](auto type) {
    using S = decltype(type);
    launch(softmax_grid<S>, row_blocks(rows, width), kRowThreads, 0, log, rows, columns, width, x.as<S>(),
           y.as<S>());
  });
}

void forward_block(bool log, std::int64_t columns, ConstView x, View y) {
  const std::int64_t rows = rows_of(x.numel, columns);
  with_floating("softmax", x.dtype, [&](auto type) {
    using S = decltype(type);
    launch(softmax_block_rows<S>, grid_stride_blocks(rows, 1), kRowThreads, 0, log, rows, columns, x.as<S>(),
           y.as<S>());
  });
}

void backward(bool log, std::int64_t columns, ConstView dy, ConstView y, View dx) {
  const int width = lane_group(columns);
  const std::int64_t rows = rows_of(dy.numel, columns);
  with_floating("softmax_backward", dy.dtype, [&](auto type) {
    using S = decltype(type);
    launch(softmax_backward_grid<S>, row_blocks(rows, width), kRowThreads, 0, log, rows, columns, width,
           dy.as<S>(), y.as<S>(), dx.as<S>());
  });
}

void backward_block(bool log, std::int64_t columns, ConstView dy, ConstView y, View dx) {
  const std::int64_t rows = rows_of(dy.numel, columns);
  with_floating("softmax_backward", dy.dtype, [&](auto type) {
    using S = decltype(type);
    launch(softmax_backward_block_rows<S>, grid_stride_blocks(rows, 1), kRowThreads, 0, log, rows, columns,
           dy.as<S>(), y.as<S>(), dx.as<S>());
  });
}

}  // namespace

void softmax(std::int64_t columns, ConstView x, View y) {
  forward(false, columns, x, y);
}
void softmax_block(std::int64_t columns, ConstView x, View y) {
  forward_block(false, columns, x, y);
}
void log_softmax(std::int64_t columns, ConstView x, View y) {
  forward(true, columns, x, y);
}
void log_softmax_block(std::int64_t columns, ConstView x, View y) {
  forward_block(true, columns, x, y);
}
const char* refuse_softmax_block(std::int64_t columns, ConstView x, View) {
  return refuse_block_rows(rows_of(x.numel, columns), columns);
}

void softmax_backward(std::int64_t columns, ConstView dy, ConstView y, View dx) {
  backward(false, columns, dy, y, dx);
}
void softmax_backward_block(std::int64_t columns, ConstView dy, ConstView y, View dx) {
  backward_block(false, columns, dy, y, dx);
}
void log_softmax_backward(std::int64_t columns, ConstView dy, ConstView y, View dx) {
  backward(true, columns, dy, y, dx);
}
void log_softmax_backward_block(std::int64_t columns, ConstView dy, ConstView y, View dx) {
  backward_block(true, columns, dy, y, dx);
}
const char* refuse_softmax_backward_block(std::int64_t columns, ConstView dy, ConstView, View) {
  return refuse_block_rows(rows_of(dy.numel, columns), columns);
}

}  // namespace isobit::gpu::kernels
