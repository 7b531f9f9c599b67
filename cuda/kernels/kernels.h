// The kernels of the seam, as host functions that launch them on the current stream: contracts at their twins
// in core/backend.h, code in the file that carries the CPU twin's name. Where a kernel has several algorithms
// each is a function of its own, with `const char* refuse_...` beside it (core/algorithm.h).
#pragma once
#include "core/backend.h"

namespace isobit::gpu::kernels {

void fill(View out, Scalar value);
void cast(ConstView in, View out);
void strided_copy(const StridedGeometry& g, ConstView in, View out);
void pad(const PadGeometry& g, ConstView x, View y);
void pad_backward(const PadGeometry& g, ConstView dy, View dx);
void gather_rows(ConstView rows, ConstView index, std::int64_t row_size, View out);
void scatter_add_rows(ConstView dy, ConstView index, std::int64_t row_count, std::int64_t row_size, View out);
void arange(double start, double step, View out);
void one_hot(ConstView label, std::int64_t classes, double on, double off, View out);
void unary(UnaryOp op, Scalar a, ConstView x, View out);
void binary(BinaryOp op, Scalar parameter, const StridedGeometry& g, ConstView a, ConstView b, View out);
void select(const StridedGeometry& g, ConstView condition, ConstView a, ConstView b, View out);
void reduce_sum(const ReduceGeometry& g, ConstView x, View out);
void reduce_sum_shared(const ReduceGeometry& g, ConstView x, View out);
const char* refuse_reduce_sum_shared(const ReduceGeometry& g, ConstView x, View out);
void reduce_extreme(ReduceOp op, const ReduceGeometry& g, ConstView x, View out, View index);
void reduce_extreme_shared(ReduceOp op, const ReduceGeometry& g, ConstView x, View out, View index);
const char* refuse_reduce_extreme_shared(ReduceOp op, const ReduceGeometry& g, ConstView x, View out,
                                         View index);
void max_pool(const PoolGeometry& g, ConstView x, View y, View index);
void max_pool_backward(const PoolGeometry& g, ConstView dy, ConstView index, View dx);
void max_pool_gather(const PoolGeometry& g, ConstView x, ConstView index, View y);
/// Taps in the window, as cuDNN counts maxima, to positions in the sample, as max_pool does, and back.
void pool_taps_to_positions(const PoolGeometry& g, const std::int32_t* tap, View index);
void pool_positions_to_taps(const PoolGeometry& g, ConstView index, std::int32_t* tap);
void avg_pool(const PoolGeometry& g, ConstView x, View y);
void avg_pool_backward(const PoolGeometry& g, ConstView dy, View dx);
void unfold(const ConvGeometry& g, ConstView x, View columns);
void fold(const ConvGeometry& g, ConstView columns, View dx);
void resample(const ResampleGeometry& g, ConstView x, ConstView start, ConstView column, ConstView weight,
              View y);
void softmax(std::int64_t columns, ConstView x, View y);
void log_softmax(std::int64_t columns, ConstView x, View y);
void softmax_block(std::int64_t columns, ConstView x, View y);
void log_softmax_block(std::int64_t columns, ConstView x, View y);
const char* refuse_softmax_block(std::int64_t columns, ConstView x, View y);
void softmax_backward(std::int64_t columns, ConstView dy, ConstView y, View dx);
void log_softmax_backward(std::int64_t columns, ConstView dy, ConstView y, View dx);
void softmax_backward_block(std::int64_t columns, ConstView dy, ConstView y, View dx);
void log_softmax_backward_block(std::int64_t columns, ConstView dy, ConstView y, View dx);
const char* refuse_softmax_backward_block(std::int64_t columns, ConstView dy, ConstView y, View dx);
/// 1 / sqrt(variance + eps), as cuDNN keeps a norm's statistics, in f32, and the variance of it.
void inverse_deviations(ConstView variance, double eps, float* inverse);
void variances(const float* inverse, double eps, View variance);
void norm_statistics(const NormGeometry& g, ConstView x, View mean, View variance);
void norm_statistics_shared(const NormGeometry& g, ConstView x, View mean, View variance);
const char* refuse_norm_statistics_shared(const NormGeometry& g, ConstView x, View mean, View variance);
void norm_apply(const NormGeometry& g, double eps, ConstView x, ConstView mean, ConstView variance,
                ConstView gamma, ConstView beta, View y);
void norm_backward(const NormGeometry& g, double eps, ConstView dy, ConstView x, ConstView mean,
                   ConstView variance, ConstView gamma, View dx);
void norm_backward_shared(const NormGeometry& g, double eps, ConstView dy, ConstView x, ConstView mean,
                          ConstView variance, ConstView gamma, View dx);
const char* refuse_norm_backward_shared(const NormGeometry& g, double eps, ConstView dy, ConstView x,
                                        ConstView mean, ConstView variance, ConstView gamma, View dx);
void norm_backward_affine(const NormGeometry& g, double eps, ConstView dy, ConstView x, ConstView mean,
                          ConstView variance, View dgamma, View dbeta);
void norm_backward_affine_shared(const NormGeometry& g, double eps, ConstView dy, ConstView x, ConstView mean,
                                 ConstView variance, View dgamma, View dbeta);
const char* refuse_norm_backward_affine_shared(const NormGeometry& g, double eps, ConstView dy, ConstView x,
                                               ConstView mean, ConstView variance, View dgamma, View dbeta);
void local_response_norm(const LocalResponseGeometry& g, ConstView x, View y);
void local_response_norm_backward(const LocalResponseGeometry& g, ConstView dy, ConstView x, View dx);
void local_response_norm_backward_shared(const LocalResponseGeometry& g, ConstView dy, ConstView x, View dx);
const char* refuse_local_response_norm_backward_shared(const LocalResponseGeometry& g, ConstView dy,
                                                       ConstView x, View dx);
void random_uniform(RandomKey key, std::uint64_t first, double low, double high, View out);
void random_normal(RandomKey key, std::uint64_t first, double mean, double deviation, View out);
void dropout(RandomKey key, std::uint64_t first, double p, ConstView x, View out);
void optimizer_step(const OptimizerHyper& hyper, std::span<const OptimizerSlot> slots);

}  // namespace isobit::gpu::kernels
