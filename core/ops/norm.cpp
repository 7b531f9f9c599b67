// batch_norm, layer_norm, group_norm and instance_norm: statistics, then one affine pass. Statistics and
// affine parameters are of the compute type (f64 for f64, else f32). The gradients are in norm_gradient.cpp.
#include "core/ops/norm.h"

#include <cmath>

#include "core/fused_norm.h"

namespace isobit {

namespace ops {

Tensor affine(const char* op, const char* what, const Tensor& t, const Tensor& x, std::int64_t channels) {
  if (!t.defined()) return t;
  if (t.device() != x.device())
    fail(op, "x lives on {}, {} on {}, expected one device", x.device(), what, t.device());
  if (t.dtype() != x.dtype() && t.dtype() != compute_type(x.dtype()))
    fail(op, "{} is {}, x is {}, expected {}", what, t.dtype(), x.dtype(), compute_type(x.dtype()));
  if (t.rank() != 1 || t.shape().begin()[0] != channels)
    fail(op, "{} has shape {}, expected [{}] (x {})", what, t.shape(), channels, x.shape());
  return t.to(compute_type(x.dtype()));
}

namespace {

void require_input(const char* op, const Tensor& x, int rank, double eps) {
  require_defined(op, {&x});
  if (!is_floating(x.dtype())) fail(op, "x is {}, expected a floating dtype", x.dtype());
  if (x.rank() < rank) fail(op, "x {} has {} axes, expected at least {}", x.shape(), x.rank(), rank);
  if (!(eps >= 0) || !std::isfinite(eps)) fail(op, "eps is {}, expected a finite number >= 0", eps);
}

/// x[n, ..., c] with groups of channels.
NormGeometry grouped(const Shape& x, std::int64_t groups) {
  NormGeometry g;
  g.a = x.begin()[0];
  for (int i = 1; i < x.rank() - 1; ++i) g.b *= x.begin()[i];
  g.g = groups;
  g.d = x.begin()[x.rank() - 1] / groups;
  return g;
}

Tensor apply(const NormGeometry& g, double eps, const Tensor& x, const Statistics& s, const Tensor& gamma,
             const Tensor& beta) {
  Tensor y = empty_as(x, x.shape());
  backend(x.device())
      .norm_apply(g, eps, view(x), view(s.mean), view(s.variance), view_or_null(gamma), view_or_null(beta),
                  fresh_view(y));
  return y;
}

struct Normalized {
  Tensor y;
  Statistics statistics;
};

/// Normalises with the statistics of x itself.
Normalized normalized(const char* op, const NormGeometry& g, double eps, const Tensor& x, const Tensor& gamma,
                      const Tensor& beta) {
  const TensorOptions options{.dtype = compute_type(x.dtype()), .device = x.device()};
  Statistics s{empty({g.statistics()}, options), empty({g.statistics()}, options)};
  Tensor y;
  Backend& device = backend(x.device());
  if (auto* fused = dynamic_cast<HasFusedNorm*>(&device)) {
    y = empty_as(x, x.shape());
    fused->norm(g, eps, view(x), view_or_null(gamma), view_or_null(beta), fresh_view(s.mean),
                fresh_view(s.variance), fresh_view(y));
  } else {
    device.norm_statistics(g, view(x), fresh_view(s.mean), fresh_view(s.variance));
    y = apply(g, eps, x, s, gamma, beta);
  }
  if (!recording({&x, &gamma, &beta})) return {y, s};
  y = record(op, {x, gamma, beta}, y, {x, s.mean, s.variance, gamma}, [g, eps](const BackwardContext& c) {
    const Tensor x0 = c.saved(0), scale = c.saved(3);
    const Statistics s0{c.saved(1), c.saved(2)};
    Gradients d(3);
    if (c.needs(0)) d[0] = norm_backward(g, eps, c.dy(), x0, s0, scale);
    const auto [dgamma, dbeta] = norm_backward_affine(g, eps, c.dy(), x0, s0, c.needs(1), c.needs(2));
    d[1] = dgamma;
    d[2] = dbeta;
    return d;
  });
  return {y, s};
}

}  // namespace
}  // namespace ops

BatchNormResult batch_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta,
                           const NormOptions& options) {
  ops::require_input("batch_norm", x, 2, options.eps);
  NormGeometry g = ops::grouped(x.shape(), 1);
  std::swap(g.g, g.d);  // every channel is a group of its own
  g.over_batch = true;
  if (g.count() == 0) fail("batch_norm", "x {} has no samples to take statistics of", x.shape());
  const Tensor scale = ops::affine("batch_norm", "gamma", gamma, x, g.channels());
  const Tensor shift = ops::affine("batch_norm", "beta", beta, x, g.channels());
  const auto [y, s] = ops::normalized("batch_norm", g, options.eps, x, scale, shift);
  return {y, s.mean, s.variance};
}

Tensor batch_norm_inference(const Tensor& x, const Tensor& gamma, const Tensor& beta, const Tensor& mean,
                            const Tensor& variance, const NormOptions& options) {
  constexpr const char* kOp = "batch_norm_inference";
  ops::require_input(kOp, x, 2, options.eps);
  ops::require_defined(kOp, {&x, &mean, &variance});
  NormGeometry g = ops::grouped(x.shape(), 1);
  std::swap(g.g, g.d);
  g.over_batch = true;
  const Tensor scale = ops::affine(kOp, "gamma", gamma, x, g.channels());
  const Tensor shift = ops::affine(kOp, "beta", beta, x, g.channels());
  const ops::Statistics s{ops::affine(kOp, "mean", mean, x, g.channels()).detach(),
                          ops::affine(kOp, "variance", variance, x, g.channels()).detach()};
  Tensor y = ops::apply(g, options.eps, x, s, scale, shift);
  if (!recording({&x, &scale, &shift})) return y;
  return record(
      kOp, {x, scale, shift}, y, {x, s.mean, s.variance, scale},
      [eps = options.eps](const BackwardContext& c) { return ops::norm_inference_gradients(eps, c); });
}

Tensor layer_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, const NormOptions& options) {
  ops::require_input("layer_norm", x, 1, options.eps);
  NormGeometry g;
  g.d = x.shape(-1);
  if (g.d < 1) fail("layer_norm", "last axis of x {} has extent 0, expected at least 1", x.shape());
  g.a = x.numel() / g.d;
  const Tensor scale = ops::affine("layer_norm", "gamma", gamma, x, g.channels());
  const Tensor shift = ops::affine("layer_norm", "beta", beta, x, g.channels());
  return ops::normalized("layer_norm", g, options.eps, x, scale, shift).y;
}

namespace {

Tensor norm_of_groups(const char* op, const Tensor& x, std::int64_t groups, const Tensor& gamma,
                      const Tensor& beta, double eps) {
  const NormGeometry g = ops::grouped(x.shape(), groups);
  if (g.b == 0) fail(op, "x {} has no positions to take statistics of", x.shape());
  const Tensor scale = ops::affine(op, "gamma", gamma, x, g.channels());
  const Tensor shift = ops::affine(op, "beta", beta, x, g.channels());
  return ops::normalized(op, g, eps, x, scale, shift).y;
}

}  // namespace

Tensor group_norm(const Tensor& x, std::int64_t groups, const Tensor& gamma, const Tensor& beta,
                  const NormOptions& options) {
  ops::require_input("group_norm", x, 2, options.eps);
  const std::int64_t channels = x.shape(-1);
  if (groups < 1 || channels % groups != 0 || channels == 0)
    fail("group_norm", "{} channels do not divide into {} groups (x {})", channels, groups, x.shape());
  return norm_of_groups("group_norm", x, groups, gamma, beta, options.eps);
}

Tensor instance_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, const NormOptions& options) {
  ops::require_input("instance_norm", x, 2, options.eps);
  if (x.shape(-1) == 0) fail("instance_norm", "x {} has no channels, expected at least 1", x.shape());
  return norm_of_groups("instance_norm", x, x.shape(-1), gamma, beta, options.eps);
}

}  // namespace isobit
