// The definition of every kernel of the seam, on the CPU: the plainest loops that can be read against
// docs/numerics.md, one family a file. They judge the fast kernels and share no code with them: their index
// and extent arithmetic is their own, and from elsewhere they use only core/numerics and the seam's structs.
// The contract of each function is the comment at its twin in core/backend.h. Single-threaded, never fast.
#pragma once
#include "core/backend.h"

namespace isobit::cpu::reference {

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
void reduce_extreme(ReduceOp op, const ReduceGeometry& g, ConstView x, View out, View index);
void matmul(const MatmulGeometry& g, ConstView a, ConstView b, View c);
void conv_forward(const ConvGeometry& g, ConstView x, ConstView w, const Epilogue& epilogue, View y);
void conv_backward_input(const ConvGeometry& g, ConstView dy, ConstView w, View dx);
void conv_backward_filter(const ConvGeometry& g, ConstView x, ConstView dy, View dw);
void unfold(const ConvGeometry& g, ConstView x, View columns);
void fold(const ConvGeometry& g, ConstView columns, View dx);
void resample(const ResampleGeometry& g, ConstView x, ConstView start, ConstView column, ConstView weight,
              View y);
void max_pool(const PoolGeometry& g, ConstView x, View y, View index);
void max_pool_backward(const PoolGeometry& g, ConstView dy, ConstView index, View dx);
void max_pool_gather(const PoolGeometry& g, ConstView x, ConstView index, View y);
void avg_pool(const PoolGeometry& g, ConstView x, View y);
void avg_pool_backward(const PoolGeometry& g, ConstView dy, View dx);
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

}  // namespace isobit::cpu::reference
