// Pooling by the kernels. max_pool's gradient scatters by the saved positions, whose own gradient gathers by
// them; average pooling's two kernels are each other's adjoints. unpool.cpp and lp_pool.cpp compose others.
#include "core/ops/internal.h"

namespace isobit {

namespace ops {
namespace {

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

Tensor avg_pool_backward_recorded(const PoolGeometry& g, const Tensor& dy, const Shape& x_shape) {
  Tensor dx = empty_as(dy, x_shape);
  backend(dy.device()).avg_pool_backward(g, view(dy), fresh_view(dx));
  if (!recording({&dy})) return dx;
  return record("avg_pool_backward", {dy}, dx, {},
                [g](const BackwardContext& c) { return Gradients{avg_pool_recorded(g, c.dy())}; });
}

MaxPoolResult max_pool_recorded(const PoolGeometry& g, const Tensor& x) {
  const Shape shape = pool_output_shape(g, x.rank());
  MaxPoolResult result{empty_as(x, shape), empty(shape, {.dtype = DType::i64, .device = x.device()})};
  backend(x.device()).max_pool(g, view(x), fresh_view(result.y), fresh_view(result.index));
  if (!recording({&x})) return result;
  result.y =
      record("max_pool", {x}, result.y, {result.index}, [g, from = x.shape()](const BackwardContext& c) {
        return Gradients{max_pool_backward_recorded(g, c.dy(), c.saved(0), from)};
      });
  return result;
}

}  // namespace

Tensor avg_pool_recorded(const PoolGeometry& g, const Tensor& x) {
  Tensor y = empty_as(x, pool_output_shape(g, x.rank()));
  backend(x.device()).avg_pool(g, view(x), fresh_view(y));
  if (!recording({&x})) return y;
  return record("avg_pool", {x}, y, {}, [g, from = x.shape()](const BackwardContext& c) {
    return Gradients{avg_pool_backward_recorded(g, c.dy(), from)};
  });
}

void require_pool_input(const char* op, const Tensor& x) {
  require_defined(op, {&x});
  if (!is_floating(x.dtype())) fail(op, "x is {}, expected a floating dtype", x.dtype());
}

std::span<const int> pooled_axes(const char* op, const Tensor& x) {
  static constexpr int kAxes[] = {1, 2, 3, 4, 5, 6};
  require_pool_input(op, x);
  if (x.rank() < 3) fail(op, "x {} has {} axes, expected [n, ..., c] with spatial axes", x.shape(), x.rank());
  return std::span<const int>(kAxes, static_cast<std::size_t>(x.rank() - 2));
}

}  // namespace ops

Tensor max_pool(const Tensor& x, PerAxis window, const PoolOptions& options) {
  ops::require_pool_input("max_pool", x);
  return ops::max_pool_recorded(make_pool_geometry("max_pool", x.shape(), window, options), x).y;
}

MaxPoolResult max_pool_with_indices(const Tensor& x, PerAxis window, const PoolOptions& options) {
  constexpr const char* kOp = "max_pool_with_indices";
  ops::require_pool_input(kOp, x);
  return ops::max_pool_recorded(make_pool_geometry(kOp, x.shape(), window, options), x);
}

Tensor avg_pool(const Tensor& x, PerAxis window, const PoolOptions& options) {
  ops::require_pool_input("avg_pool", x);
  return ops::avg_pool_recorded(make_pool_geometry("avg_pool", x.shape(), window, options), x);
}

Tensor sum_pool(const Tensor& x, PerAxis window, const PoolOptions& options) {
  ops::require_pool_input("sum_pool", x);
  PoolGeometry g = make_pool_geometry("sum_pool", x.shape(), window, options);
  g.sum = true;
  return ops::avg_pool_recorded(g, x);
}

Tensor adaptive_avg_pool(const Tensor& x, PerAxis output) {
  constexpr const char* kOp = "adaptive_avg_pool";
  ops::require_pool_input(kOp, x);
  return ops::avg_pool_recorded(make_adaptive_pool_geometry(kOp, x.shape(), output), x);
}

Tensor adaptive_max_pool(const Tensor& x, PerAxis output) {
  constexpr const char* kOp = "adaptive_max_pool";
  ops::require_pool_input(kOp, x);
  return ops::max_pool_recorded(make_adaptive_pool_geometry(kOp, x.shape(), output), x).y;
}

MaxPoolResult adaptive_max_pool_with_indices(const Tensor& x, PerAxis output) {
  constexpr const char* kOp = "adaptive_max_pool_with_indices";
  ops::require_pool_input(kOp, x);
  return ops::max_pool_recorded(make_adaptive_pool_geometry(kOp, x.shape(), output), x);
}

Tensor global_avg_pool(const Tensor& x) {
  return mean(x, ops::pooled_axes("global_avg_pool", x));
}
Tensor global_max_pool(const Tensor& x) {
  return max(x, ops::pooled_axes("global_max_pool", x));
}

}  // namespace isobit
