// Pooling by p-norms, composed of element-wise ops and sums in the compute type: s = sum of |x|^p, y =
// s^(1/p). The root has no derivative at 0, nor has exp(p log|x|): there constants are chosen, so that no
// gradient flows and none is NaN.
#include <cmath>

#include "core/ops/internal.h"

namespace isobit {
namespace {

/// Where t is 0, `at_zero`; elsewhere f(t), which never sees a 0.
template <class Fn>
Tensor except_at_zero(const Tensor& t, double at_zero, const Fn& f) {
  const Tensor zero = eq(t, ops::scalar_like(t, 0));
  return select(zero, ops::scalar_like(t, at_zero), f(select(zero, ops::scalar_like(t, 1), t)));
}

/// |t|^p.
Tensor magnitude_power(const Tensor& t, double p) {
  constexpr double kMostByProducts = 1024;
  if (p > kMostByProducts || p != std::floor(p))
    return except_at_zero(t, 0, [p](const Tensor& v) { return exp(mul_scalar(log(abs(v)), p)); });
  auto rest = static_cast<std::int64_t>(p);
  Tensor power, factor;
  if (rest % 2 == 1) power = abs(t);
  for (rest /= 2; rest > 0; rest /= 2) {
    factor = square(factor.defined() ? factor : t);  // t^2, t^4, t^8, ...
    if (rest % 2 == 1) power = power.defined() ? mul(power, factor) : factor;
  }
  return power;
}

/// s^(1/p) of sums that are not negative.
Tensor root(const Tensor& s, double p) {
  if (p == 1) return s;
  return except_at_zero(s, 0, [p](Tensor v) {
    double rest = p;
    for (; rest == 2 * std::floor(rest / 2); rest /= 2) v = sqrt(v);
    return rest == 1 ? v : exp(div_scalar(log(v), rest));
  });
}

void require_power(const char* op, double p) {
  if (!(p >= 1) || !std::isfinite(p)) fail(op, "p is {}, expected a finite number of at least 1", p);
}

}  // namespace

Tensor lp_pool(const Tensor& x, PerAxis window, double p, const PoolOptions& options) {
  ops::require_pool_input("lp_pool", x);
  require_power("lp_pool", p);
  PoolGeometry g = make_pool_geometry("lp_pool", x.shape(), window, options);
  g.sum = true;
  const Tensor powers = magnitude_power(x.to(ops::compute_type(x.dtype())), p);
  return root(ops::avg_pool_recorded(g, powers), p).to(x.dtype());
}

Tensor global_lp_pool(const Tensor& x, double p) {
  const std::span<const int> axes = ops::pooled_axes("global_lp_pool", x);
  require_power("global_lp_pool", p);
  return root(sum(magnitude_power(x.to(ops::compute_type(x.dtype())), p), axes), p).to(x.dtype());
}

}  // namespace isobit
