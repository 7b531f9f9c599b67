// The vectorised, threaded kernels besides convolution and matmul. Each has the bits of its definition in
// cpu/reference/ on every instruction set and for any number of threads; its contract is the comment at its
// twin in core/backend.h, its order of work the head comment of its file. A refuse_... function says what a
// kernel does not serve (null: nothing is refused).
#pragma once
#include "core/backend.h"

namespace isobit::cpu::kernels {

void fill(View out, Scalar value);
void cast(ConstView in, View out);
void strided_copy(const StridedGeometry& g, ConstView in, View out);
void pad(const PadGeometry& g, ConstView x, View y);
void pad_backward(const PadGeometry& g, ConstView dy, View dx);
void gather_rows(ConstView rows, ConstView index, std::int64_t row_size, View out);
void scatter_add_rows(ConstView dy, ConstView index, std::int64_t row_count, std::int64_t row_size, View out);
void arange(double start, double step, View out);
void one_hot(ConstView label, std::int64_t classes, double on, double off, View out);
const char* refuse_unary(UnaryOp op, Scalar a, ConstView x, View out);
void unary(UnaryOp op, Scalar a, ConstView x, View out);
const char* refuse_binary(BinaryOp op, Scalar parameter, const StridedGeometry& g, ConstView a, ConstView b,
                          View out);
void binary(BinaryOp op, Scalar parameter, const StridedGeometry& g, ConstView a, ConstView b, View out);
void select(const StridedGeometry& g, ConstView condition, ConstView a, ConstView b, View out);
void reduce_sum(const ReduceGeometry& g, ConstView x, View out);
const char* refuse_reduce_extreme(ReduceOp op, const ReduceGeometry& g, ConstView x, View out, View index);
void reduce_extreme(ReduceOp op, const ReduceGeometry& g, ConstView x, View out, View index);
const char* refuse_max_pool(const PoolGeometry& g, ConstView x, View y, View index);
void max_pool(const PoolGeometry& g, ConstView x, View y, View index);
const char* refuse_max_pool_backward(const PoolGeometry& g, ConstView dy, ConstView index, View dx);
void max_pool_backward(const PoolGeometry& g, ConstView dy, ConstView index, View dx);
void max_pool_gather(const PoolGeometry& g, ConstView x, ConstView index, View y);
void avg_pool(const PoolGeometry& g, ConstView x, View y);
void avg_pool_backward(const PoolGeometry& g, ConstView dy, View dx);
void unfold(const ConvGeometry& g, ConstView x, View columns);
void fold(const ConvGeometry& g, ConstView columns, View dx);
void resample(const ResampleGeometry& g, ConstView x, ConstView start, ConstView column, ConstView weight,
              View y);
void softmax(std::int64_t columns, ConstView x, View y);
void log_softmax(std::int64_t columns, ConstView x, View y);
void softmax_backward(std::int64_t columns, ConstView dy, ConstView y, View dx);
void log_softmax_backward(std::int64_t columns, ConstView dy, ConstView y, View dx);
void norm_statistics(const NormGeometry& g, ConstView x, View mean, View variance);
void norm_apply(const NormGeometry& g, double eps, ConstView x, ConstView mean, ConstView variance,
                ConstView gamma, ConstView beta, View y);
void norm_backward(const NormGeometry& g, double eps, ConstView dy, ConstView x, ConstView mean,
                   ConstView variance, ConstView gamma, View dx);
void norm_backward_affine(const NormGeometry& g, double eps, ConstView dy, ConstView x, ConstView mean,
                          ConstView variance, View dgamma, View dbeta);
void local_response_norm(const LocalResponseGeometry& g, ConstView x, View y);
void local_response_norm_backward(const LocalResponseGeometry& g, ConstView dy, ConstView x, View dx);
void random_uniform(RandomKey key, std::uint64_t first, double low, double high, View out);
void random_normal(RandomKey key, std::uint64_t first, double mean, double deviation, View out);
void dropout(RandomKey key, std::uint64_t first, double p, ConstView x, View out);
void optimizer_step(const OptimizerHyper& hyper, std::span<const OptimizerSlot> slots);

}  // namespace isobit::cpu::kernels
