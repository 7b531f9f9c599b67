// softmax and log_softmax over the last axis. Their fused gradients are ops themselves, with derivatives
// composed of public ops.
#include "core/ops/internal.h"

namespace isobit {

namespace ops {
namespace {

/// Extent of the last axis, at least 1.
std::int64_t columns(const char* op, const Tensor& x) {
  require_defined(op, {&x});
  if (!is_floating(x.dtype())) fail(op, "x is {}, expected a floating dtype", x.dtype());
  if (x.rank() < 1) fail(op, "x is a scalar, expected at least one axis");
  const std::int64_t last = x.shape().begin()[x.rank() - 1];
  if (last < 1) fail(op, "last axis of x {} has extent 0, expected at least 1", x.shape());
  return last;
}

Tensor row_sum(const Tensor& x) {
  return sum(x, {-1}, true);
}

/// (dy - t) * y with t = sum(dy * y) of the row.
Tensor softmax_backward(const Tensor& dy, const Tensor& y) {
  Tensor dx = empty_as(dy, dy.shape());
  backend(dy.device()).softmax_backward(dy.shape(-1), view(dy), view(y), fresh_view(dx));
  if (!recording({&dy, &y})) return dx;
  return record("softmax_backward", {dy, y}, dx, {dy, y}, [](const BackwardContext& c) {
    const Tensor& u = c.dy();
    const Tensor dy0 = c.saved(0), y0 = c.saved(1);
    Gradients g(2);
    if (c.needs(0)) g[0] = softmax_backward(u, y0);  // symmetric in dy and u
    if (c.needs(1)) g[1] = sub(mul(u, sub(dy0, row_sum(mul(dy0, y0)))), mul(dy0, row_sum(mul(u, y0))));
    return g;
  });
}

/// dy - exp(y) * t with t = sum(dy) of the row.
Tensor log_softmax_backward(const Tensor& dy, const Tensor& y) {
  Tensor dx = empty_as(dy, dy.shape());
  backend(dy.device()).log_softmax_backward(dy.shape(-1), view(dy), view(y), fresh_view(dx));
  if (!recording({&dy, &y})) return dx;
  return record("log_softmax_backward", {dy, y}, dx, {dy, y}, [](const BackwardContext& c) {
    const Tensor& u = c.dy();
    const Tensor dy0 = c.saved(0), p = exp(c.saved(1)), up = mul(u, p);
    Gradients g(2);
    if (c.needs(0)) g[0] = sub(u, row_sum(up));
    if (c.needs(1)) g[1] = neg(mul(up, row_sum(dy0)));
    return g;
  });
}

}  // namespace
}  // namespace ops

Tensor softmax(const Tensor& x) {
  const std::int64_t columns = ops::columns("softmax", x);
  Tensor y = ops::empty_as(x, x.shape());
  backend(x.device()).softmax(columns, view(x), fresh_view(y));
  if (!recording({&x})) return y;
  return record("softmax", {x}, y, {y}, [](const BackwardContext& c) {
    return ops::Gradients{ops::softmax_backward(c.dy(), c.saved(0))};
  });
}

Tensor log_softmax(const Tensor& x) {
  const std::int64_t columns = ops::columns("log_softmax", x);
  Tensor y = ops::empty_as(x, x.shape());
  backend(x.device()).log_softmax(columns, view(x), fresh_view(y));
  if (!recording({&x})) return y;
  return record("log_softmax", {x}, y, {y}, [](const BackwardContext& c) {
    return ops::Gradients{ops::log_softmax_backward(c.dy(), c.saved(0))};
  });
}

}  // namespace isobit
