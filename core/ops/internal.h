// What the op files share: checks, the door to the element-wise kernels, and the ops that only gradients use.
// Nothing here allocates memory besides results.
#pragma once
#include <isobit/autograd.h>
#include <isobit/error.h>
#include <isobit/ops.h>

#include <array>
#include <span>

#include "core/backend.h"
#include "core/tensor/impl.h"

namespace isobit::ops {

using Gradients = std::vector<Tensor>;

// ---- checks
void require_defined(const char* op, std::initializer_list<const Tensor*> tensors);
/// One dtype and one device; names both of what differs.
void require_alike(const char* op, const Tensor& a, const Tensor& b);
void require_shape(const char* op, const char* what, const Tensor& t, const Shape& expected);
/// eps, p, slopes: a NaN or an infinity is refused.
void require_finite(const char* op, const char* what, double value);
/// Every index in [0, limit); the message names the first offender's value and position. In a step that is
/// recorded as a graph, indices of before it are looked at now and before each replay; others are refused.
void require_indices(const char* op, const char* what, const Tensor& index, std::int64_t limit);

/// The axes of a reduction as a checked list without heap memory; none given: all.
struct AxisList {
  std::array<int, Shape::max_rank> axis{};
  int count = 0;
  std::array<bool, Shape::max_rank> mask{};
  std::span<const int> list() const { return {axis.data(), static_cast<std::size_t>(count)}; }
};
AxisList make_axes(const char* op, const Shape& x, std::span<const int> axes);
/// x's shape without the axes, or with extent 1 there.
Shape reduced_shape(const Shape& x, const AxisList& axes, bool keep);

/// The type that norms keep statistics in, and that halves are summed in: f64 for f64, else f32.
inline DType compute_type(DType t) {
  return t == DType::f64 ? DType::f64 : DType::f32;
}
inline bool is_half(DType t) {
  return t == DType::f16 || t == DType::bf16;
}
/// A 0-dimensional constant of t's dtype and device.
Tensor scalar_like(const Tensor& t, double value);
inline Tensor empty_as(const Tensor& t, const Shape& shape) {
  return empty(shape, {.dtype = t.dtype(), .device = t.device()});
}

// ---- kernels without recording
Tensor run_unary(UnaryOp op, Scalar a, const Tensor& x, DType result);
Tensor run_binary(BinaryOp op, double a, const Tensor& x, const Tensor& y, DType result);

// ---- recorded ops that only gradients use
/// The element-wise gradient op of core/op_codes.h: dy is the first operand, `other` x or y.
Tensor gradient_op(BinaryOp op, const Tensor& dy, const Tensor& other, double a = 0);

/// y = conv(x, w) + b, activated; the op's name is for messages and the graph.
Tensor conv_recorded(const char* op, const ConvGeometry& g, const Tensor& x, const Tensor& w, const Tensor& b,
                     Activate activation, double slope, const Shape& y);
Tensor conv_backward_input_recorded(const ConvGeometry& g, const Tensor& dy, const Tensor& w, const Shape& x);
Tensor conv_backward_filter_recorded(const ConvGeometry& g, const Tensor& x, const Tensor& dy,
                                     const Shape& w);
/// Filters as the kernels take them: a true convolution's are reversed on their spatial axes.
Tensor oriented_filter(const Tensor& w, bool flipped);
/// x[n, ..., c] of floating elements; and the spatial axes of one that has some.
void require_pool_input(const char* op, const Tensor& x);
std::span<const int> pooled_axes(const char* op, const Tensor& x);
/// Averages or sums, as g says.
Tensor avg_pool_recorded(const PoolGeometry& g, const Tensor& x);
/// scatter_add with indices that are checked already.
Tensor scatter_add_recorded(const Tensor& y, const Tensor& index, const Shape& x_shape);
/// gather of indices that are known to be right: y_shape is index.shape followed by x's other axes.
Tensor gather_recorded(const Tensor& x, const Tensor& index, const Shape& y_shape);
/// The op that an activation stands for.
Tensor activated(Activate activation, double slope, const Tensor& z);
/// The adjoint of pad; its own gradient is pad with zeros.
Tensor pad_backward_recorded(const PadGeometry& g, const Tensor& dy, const Shape& x_shape);
/// Sum over all axes but the last: the gradient of a bias.
Tensor bias_gradient(const Tensor& dy);

}  // namespace isobit::ops
