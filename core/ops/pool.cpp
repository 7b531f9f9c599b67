// Pooling. max_pool's gradient scatters by the saved positions, whose own gradient gathers by them; average
// pooling's two kernels are each other's adjoints.
#include "core/ops/internal.h"

namespace isobit {

namespace ops {
namespace {

void require_input(const char* op, const Tensor& x) {
  require_defined(op, {&x});
  if (!is_floating(x.dtype())) fail(op, "x is {}, expected a floating dtype", x.dtype());
}

Tensor max_pool_gather_recorded(const PoolGeometry& g, const Tensor& x, const Tensor& index);

Tensor max_pool_backward_recorded(const PoolGeometry& g, const Tensor& dy, const Tensor& index,
                                  const Shape& x_shape) {
  Tensor dx = empty_as(dy, x_shape);
  backend(dy.device()).max_pool_backward(g, view(dy), view(index), fresh_view(dx));
  if (!recording({&dy})) return dx;
  return record("max_pool_backward", {dy}, dx, {index}, [g](const BackwardContext& c) {
    return Gradients{max_pool_gather_recorded(g, c.dy(), c.saved(0))};
  });
}

Tensor max_pool_gather_recorded(const PoolGeometry& g, const Tensor& x, const Tensor& index) {
  Tensor y = empty_as(x, index.shape());
  backend(x.device()).max_pool_gather(g, view(x), view(index), fresh_view(y));
  if (!recording({&x})) return y;
  return record("max_pool_gather", {x}, y, {index}, [g, from = x.shape()](const BackwardContext& c) {
    return Gradients{max_pool_backward_recorded(g, c.dy(), c.saved(0), from)};
  });
}

Tensor avg_pool_backward_recorded(const PoolGeometry& g, const Tensor& dy, const Shape& x_shape);

Tensor avg_pool_recorded(const PoolGeometry& g, const Tensor& x, const Shape& y_shape) {
  Tensor y = empty_as(x, y_shape);
  backend(x.device()).avg_pool(g, view(x), fresh_view(y));
  if (!recording({&x})) return y;
  return record("avg_pool", {x}, y, {}, [g, from = x.shape()](const BackwardContext& c) {
    return Gradients{avg_pool_backward_recorded(g, c.dy(), from)};
  });
}

Tensor avg_pool_backward_recorded(const PoolGeometry& g, const Tensor& dy, const Shape& x_shape) {
  Tensor dx = empty_as(dy, x_shape);
  backend(dy.device()).avg_pool_backward(g, view(dy), fresh_view(dx));
  if (!recording({&dy})) return dx;
  return record("avg_pool_backward", {dy}, dx, {}, [g, to = dy.shape()](const BackwardContext& c) {
    return Gradients{avg_pool_recorded(g, c.dy(), to)};
  });
}

/// The spatial axes of [n, ..., c].
std::span<const int> spatial_axes(const char* op, const Tensor& x) {
  static constexpr int kAxes[] = {1, 2, 3, 4, 5, 6};
  require_input(op, x);
  if (x.rank() < 3) fail(op, "x {} has {} axes, expected [n, ..., c] with spatial axes", x.shape(), x.rank());
  return std::span<const int>(kAxes, static_cast<std::size_t>(x.rank() - 2));
}

}  // namespace
}  // namespace ops

Tensor max_pool(const Tensor& x, PerAxis window, const PoolOptions& options) {
  ops::require_input("max_pool", x);
  const PoolGeometry g = make_pool_geometry("max_pool", x.shape(), window, options);
  const Shape shape = pool_output_shape(g, x.rank());
  Tensor y = ops::empty_as(x, shape);
  Tensor index = empty(shape, {.dtype = DType::i64, .device = x.device()});
  backend(x.device()).max_pool(g, view(x), fresh_view(y), fresh_view(index));
  if (!recording({&x})) return y;
  return record("max_pool", {x}, y, {index}, [g, from = x.shape()](const BackwardContext& c) {
    return ops::Gradients{ops::max_pool_backward_recorded(g, c.dy(), c.saved(0), from)};
  });
}

Tensor avg_pool(const Tensor& x, PerAxis window, const PoolOptions& options) {
  ops::require_input("avg_pool", x);
  const PoolGeometry g = make_pool_geometry("avg_pool", x.shape(), window, options);
  for (const AxisGeometry& a : g.axis)
    if (a.dilation != 1) fail("avg_pool", "dilation is {}, average pooling has none", a.dilation);
  return ops::avg_pool_recorded(g, x, pool_output_shape(g, x.rank()));
}

Tensor global_avg_pool(const Tensor& x) {
  return mean(x, ops::spatial_axes("global_avg_pool", x));
}
Tensor global_max_pool(const Tensor& x) {
  return max(x, ops::spatial_axes("global_max_pool", x));
}

}  // namespace isobit
