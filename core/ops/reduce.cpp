// Reductions over axes, and sum_to, the adjoint of broadcasting. Orders: ReduceGeometry.
#include "core/ops/internal.h"

namespace isobit {

namespace ops {
namespace {

/// dy of a reduction with its removed axes back as extent 1.
Tensor with_axes(const Tensor& dy, const Shape& kept) {
  return dy.shape() == kept ? dy : dy.reshape(kept);
}

Tensor run_extreme(ReduceOp op, const Tensor& x, const AxisList& axes, const Shape& shape, View index) {
  Tensor y = empty_as(x, shape);
  backend(x.device())
      .reduce_extreme(op, make_reduce_geometry(x.shape(), axes.list()), view(x), fresh_view(y), index);
  return y;
}

AxisList extreme_axes(const char* name, const Tensor& x, std::span<const int> axes) {
  require_defined(name, {&x});
  if (x.dtype() == DType::boolean) fail(name, "x is bool, expected numbers");
  const AxisList list = make_axes(name, x.shape(), axes);
  for (int axis : list.list())
    if (x.shape(axis) == 0) fail(name, "axis {} of x {} has extent 0, expected at least 1", axis, x.shape());
  return list;
}

/// dy[..] to the elements of x's shape that `index` chose: x is seen with the reduced axes last, as rows of
/// which each gets one value.
Tensor to_chosen(const Tensor& dy, const Tensor& index, const Shape& x, const AxisList& axes) {
  std::array<int, Shape::max_rank> order{}, inverse{};
  int count = 0;
  std::array<std::int64_t, Shape::max_rank> extents{};
  std::int64_t rows = 1, columns = 1;
  for (const bool reduced : {false, true})
    for (int i = 0; i < x.rank(); ++i) {
      if (axes.mask[i] != reduced) continue;
      (reduced ? columns : rows) *= x.begin()[i];
      extents[count] = x.begin()[i];
      inverse[i] = count;
      order[count++] = i;
    }
  const std::size_t rank = static_cast<std::size_t>(x.rank());
  Tensor position;
  {
    NoGrad off;
    const Tensor first =
        arange(rows, 0, static_cast<double>(columns), {.dtype = DType::i64, .device = dy.device()});
    position = add(first, index.reshape({rows}));
  }
  const Tensor flat = scatter_add(dy.reshape({rows}), position, rows * columns);
  const Tensor moved = flat.reshape(std::span<const std::int64_t>(extents.data(), rank));
  for (int i = 0; i < x.rank(); ++i)
    if (order[i] != i) return permute(moved, std::span<const int>(inverse.data(), rank));
  return moved;
}

Tensor extreme(ReduceOp op, const Tensor& x, std::span<const int> axes, bool keep) {
  const char* name = name_of(op);
  const AxisList list = extreme_axes(name, x, axes);
  const Shape shape = reduced_shape(x.shape(), list, keep);
  if (!recording({&x})) return run_extreme(op, x, list, shape, {});
  Tensor index = empty(shape, {.dtype = DType::i64, .device = x.device()});
  Tensor y = run_extreme(op, x, list, shape, fresh_view(index));
  return record(name, {x}, y, {index}, [list, from = x.shape()](const BackwardContext& c) {
    return Gradients{to_chosen(c.dy(), c.saved(0), from, list)};
  });
}

}  // namespace
}  // namespace ops

Tensor sum(const Tensor& x, std::span<const int> axes, bool keep) {
  ops::require_defined("sum", {&x});
  const DType dtype = x.dtype();
  if (!is_floating(dtype) && dtype != DType::i32 && dtype != DType::i64)
    fail("sum", "x is {}, expected a floating dtype, i32 or i64", dtype);
  const ops::AxisList list = ops::make_axes("sum", x.shape(), axes);
  Tensor y = ops::empty_as(x, ops::reduced_shape(x.shape(), list, keep));
  backend(x.device()).reduce_sum(make_reduce_geometry(x.shape(), list.list()), view(x), fresh_view(y));
  if (!recording({&x})) return y;
  return record("sum", {x}, y, {}, [list, from = x.shape()](const BackwardContext& c) {
    return ops::Gradients{broadcast_to(ops::with_axes(c.dy(), ops::reduced_shape(from, list, true)), from)};
  });
}

Tensor mean(const Tensor& x, std::span<const int> axes, bool keep) {
  ops::require_defined("mean", {&x});
  const DType dtype = x.dtype();
  if (!is_floating(dtype)) fail("mean", "x is {}, expected a floating dtype", dtype);
  const ops::AxisList list = ops::make_axes("mean", x.shape(), axes);
  std::int64_t count = 1;
  for (int axis : list.list()) count *= x.shape(axis);
  if (count == 0) fail("mean", "nothing to average: x {} has extent 0 on a reduced axis", x.shape());
  // A sum of halves may leave their range where the mean does not.
  if (ops::is_half(dtype)) return mean(x.to(DType::f32), list.list(), keep).to(dtype);
  if (x.rank() == 0) return x;
  return div_scalar(sum(x, list.list(), keep), static_cast<double>(count));
}

Tensor max(const Tensor& x, std::span<const int> axes, bool keep) {
  return ops::extreme(ReduceOp::max, x, axes, keep);
}

Tensor min(const Tensor& x, std::span<const int> axes, bool keep) {
  return ops::extreme(ReduceOp::min, x, axes, keep);
}

Tensor argmax(const Tensor& x, std::span<const int> axes, bool keep) {
  const ops::AxisList list = ops::extreme_axes("argmax", x, axes);
  const Shape shape = ops::reduced_shape(x.shape(), list, keep);
  Tensor index = empty(shape, {.dtype = DType::i64, .device = x.device()});
  ops::run_extreme(ReduceOp::max, x, list, shape, fresh_view(index));
  return index;
}

Tensor sum_to(const Tensor& x, const Shape& shape) {
  ops::require_defined("sum_to", {&x});
  if (x.shape() == shape) return x;
  const int lead = x.rank() - shape.rank();
  std::array<int, Shape::max_rank> axes{};
  std::size_t count = 0;
  bool fits = lead >= 0;
  for (int i = 0; i < x.rank() && fits; ++i) {
    const std::int64_t from = x.shape().begin()[i], to = i < lead ? 1 : shape.begin()[i - lead];
    if (i < lead || (to == 1 && from != 1))
      axes[count++] = i;
    else
      fits = from == to;
  }
  if (!fits) fail("sum_to", "shape {} does not broadcast to x {}", shape, x.shape());
  return sum(x, std::span<const int>(axes.data(), count), true).reshape(shape);
}

}  // namespace isobit
