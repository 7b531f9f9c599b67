// local_response_norm. Its fused gradient is an op itself, whose derivatives are composed of public ops, from
// these formulas. W sums over the window of a channel, W' over the channels whose windows hold it;
// a = alpha / size, d = bias + a W(x x), s = d^-beta, p = s / d, and
//
//   dx = dy s - k x W'(dy x p),   k = 2 a beta.
//
// Let u flow into dx, m = W(u x):
//
//   gradient in dy:  u s - k x p m
//   gradient in x:   -k (u W'(dy x p) + dy p m + x W'(u dy p - 2 a (beta + 1) dy x m p / d))
#include "core/ops/internal.h"

namespace isobit {

namespace ops {
namespace {

/// t as rows in the compute type, and back.
Tensor spread(const LocalResponseGeometry& g, const Tensor& t) {
  return t.to(compute_type(t.dtype())).reshape({g.rows, g.c});
}
Tensor restored(const Tensor& t, const Tensor& like) {
  return t.reshape(like.shape()).to(like.dtype());
}

/// Sums over `before` channels, the channel and `after` channels of t[rows, c]: an average pool over
/// channels.
Tensor window_sum(const Tensor& t, std::int64_t before, std::int64_t after) {
  PoolOptions options;
  options.stride = 1;
  options.padding = Padding(std::vector<std::pair<std::int64_t, std::int64_t>>{{before, after}});
  options.count_include_pad = true;
  const std::int64_t width = before + 1 + after;
  const Tensor average = avg_pool(t.reshape({t.shape(0), t.shape(1), 1}), PerAxis(width), options);
  return mul_scalar(average.reshape(t.shape()), static_cast<double>(width));
}

Gradients second_gradients(const LocalResponseGeometry& g, const BackwardContext& c) {
  const auto over_window = [&g](const Tensor& t) { return window_sum(t, g.before, g.after); };
  const auto over_holders = [&g](const Tensor& t) { return window_sum(t, g.after, g.before); };
  const Tensor dy0 = c.saved(0), x0 = c.saved(1);
  const Tensor u = spread(g, c.dy()), dy = spread(g, dy0), x = spread(g, x0);
  const Tensor d = add_scalar(mul_scalar(over_window(square(x)), g.scale), g.bias);
  const Tensor s = exp(mul_scalar(log(d), -g.beta)), p = div(s, d);
  const Tensor pm = mul(p, over_window(mul(u, x)));
  const double k = 2 * g.scale * g.beta;
  Gradients result(2);
  if (c.needs(0)) result[0] = restored(sub(mul(u, s), mul_scalar(mul(x, pm), k)), dy0);
  if (c.needs(1)) {
    const Tensor bend = mul_scalar(div(mul(mul(dy, x), pm), d), 2 * g.scale * (g.beta + 1));
    const Tensor inner = add(mul(u, over_holders(mul(mul(dy, x), p))), mul(dy, pm));
    const Tensor outer = mul(x, over_holders(sub(mul(mul(u, dy), p), bend)));
    result[1] = restored(mul_scalar(add(inner, outer), -k), x0);
  }
  return result;
}

Tensor local_response_norm_backward(const LocalResponseGeometry& g, const Tensor& dy, const Tensor& x) {
  Tensor dx = empty_as(x, x.shape());
  backend(x.device()).local_response_norm_backward(g, view(dy), view(x), fresh_view(dx));
  if (!recording({&dy, &x})) return dx;
  return record("local_response_norm_backward", {dy, x}, dx, {dy, x},
                [g](const BackwardContext& c) { return second_gradients(g, c); });
}

}  // namespace
}  // namespace ops

Tensor local_response_norm(const Tensor& x, std::int64_t size, const LocalResponseOptions& options) {
  constexpr const char* kOp = "local_response_norm";
  ops::require_defined(kOp, {&x});
  if (!is_floating(x.dtype())) fail(kOp, "x is {}, expected a floating dtype", x.dtype());
  const LocalResponseGeometry g = make_local_response_geometry(kOp, x.shape(), size, options);
  Tensor y = ops::empty_as(x, x.shape());
  backend(x.device()).local_response_norm(g, view(x), fresh_view(y));
  if (!recording({&x})) return y;
  return record(kOp, {x}, y, {x}, [g](const BackwardContext& c) {
    return ops::Gradients{ops::local_response_norm_backward(g, c.dy(), c.saved(0))};
  });
}

}  // namespace isobit
