// Gradients of norms. The fused kernels are ops themselves; their derivatives are composed of public ops,
// from these formulas. Over one set of statistics with N elements, M[.] the mean, h = (x - M[x]) r,
// r = 1 / sqrt(variance + eps), e = dy gamma:
//
//   dx = r (e - M[e] - h M[e h])
//
// Let u flow into dx. <u, dx> = N r (M[u e] - M[u] M[e] - M[u h] M[e h]) is symmetric in u and e, so
//
//   gradient in e:  r (u - M[u] - h M[u h])                               the same kernel, without gamma
//   gradient in x:  -r^2 ((u - M[u]) C + (e - M[e]) B + h (A - 3 B C)),   A = M[u e] - M[u] M[e],
//                                                                         B = M[u h], C = M[e h]
#include "core/ops/norm.h"

namespace isobit::ops {
namespace {

/// t as [a, b, g, d] in the compute type, and back.
Tensor spread(const NormGeometry& g, const Tensor& t) {
  return t.to(compute_type(t.dtype())).reshape({g.a, g.b, g.g, g.d});
}
Tensor restored(const Tensor& t, const Tensor& like) {
  return t.reshape(like.shape()).to(like.dtype());
}

/// A parameter [channels] beside x[a, b, g, d].
Tensor per_channel(const NormGeometry& g, const Tensor& t) {
  return t.reshape({g.g, g.d});
}
/// Sum of [a, b, g, d] to [channels]: batch tree over a.
Tensor to_channels(const NormGeometry& g, const Tensor& t) {
  return sum(t, {0, 1}).reshape({g.channels()});
}

Tensor average(const NormGeometry& g, const Tensor& t) {
  return g.over_batch ? mean(t, {0, 1}, true) : mean(t, {1, 3}, true);
}

/// r and h as differentiable functions of x.
std::pair<Tensor, Tensor> normalized(const NormGeometry& g, double eps, const Tensor& x4) {
  const Tensor centred = sub(x4, average(g, x4));
  const Tensor r = reciprocal(sqrt(add_scalar(average(g, square(centred)), eps)));
  return {r, mul(centred, r)};
}

/// The gradient in x of <u, dx>, all as [a, b, g, d].
Tensor gradient_in_x(const NormGeometry& g, double eps, const Tensor& u, const Tensor& e, const Tensor& x) {
  const auto [r, h] = normalized(g, eps, x);
  const Tensor mean_u = average(g, u), mean_e = average(g, e);
  const Tensor a = sub(average(g, mul(u, e)), mul(mean_u, mean_e));
  const Tensor b = average(g, mul(u, h)), c = average(g, mul(e, h));
  const Tensor bend = sub(a, mul_scalar(mul(b, c), 3));
  const Tensor inner = add(add(mul(sub(u, mean_u), c), mul(sub(e, mean_e), b)), mul(h, bend));
  return neg(mul(square(r), inner));
}

Tensor recorded_gamma(const NormGeometry& g, double eps, const Tensor& dy, const Tensor& x,
                      const Statistics& s, const Tensor& dgamma) {
  if (!recording({&dy, &x})) return dgamma;
  return record("norm_backward_gamma", {dy, x}, dgamma, {dy, x, s.mean, s.variance},
                [g, eps](const BackwardContext& c) {
                  const Tensor dy0 = c.saved(0), x0 = c.saved(1);
                  Gradients d(2);
                  if (c.needs(0)) {
                    const Tensor h = normalized(g, eps, spread(g, x0)).second;
                    d[0] = restored(mul(h, per_channel(g, c.dy())), dy0);
                  }
                  // <v, sum(dy h)> = <v dy, h>: what flows into h is dy with v as gamma.
                  if (c.needs(1)) d[1] = norm_backward(g, eps, dy0, x0, {c.saved(2), c.saved(3)}, c.dy());
                  return d;
                });
}

Tensor recorded_beta(const NormGeometry& g, const Tensor& dy, const Tensor& dbeta) {
  if (!recording({&dy})) return dbeta;
  return record("norm_backward_beta", {dy}, dbeta, {},
                [g, like = dy.shape(), dtype = dy.dtype()](const BackwardContext& c) {
                  const Tensor wide = broadcast_to(per_channel(g, c.dy()), {g.a, g.b, g.g, g.d});
                  return Gradients{wide.reshape(like).to(dtype)};
                });
}

/// Rows per sample of a layer norm over more than two axes: the kernel's batch tree counts rows, the promise
/// of parts needs samples.
bool rows_are_samples(const NormGeometry& g, const Tensor& x) {
  return g.over_batch || g.b != 1 || g.g != 1 || x.rank() <= 2 || g.a == x.shape().begin()[0];
}

}  // namespace

Tensor norm_backward(const NormGeometry& g, double eps, const Tensor& dy, const Tensor& x,
                     const Statistics& s, const Tensor& gamma) {
  Tensor dx = empty_as(x, x.shape());
  backend(x.device())
      .norm_backward(g, eps, view(dy), view(x), view(s.mean), view(s.variance), view_or_null(gamma),
                     fresh_view(dx));
  if (!recording({&dy, &x, &gamma})) return dx;
  return record("norm_backward", {dy, x, gamma}, dx, {dy, x, gamma, s.mean, s.variance},
                [g, eps](const BackwardContext& c) {
                  const Tensor dy0 = c.saved(0), x0 = c.saved(1), scale = c.saved(2);
                  const Statistics s0{c.saved(3), c.saved(4)};
                  const bool scaled = scale.defined();
                  Gradients d(3);
                  if (c.needs(0) || c.needs(2)) {
                    const Tensor de = spread(g, norm_backward(g, eps, c.dy(), x0, s0, {}));
                    if (c.needs(0)) d[0] = restored(scaled ? mul(de, per_channel(g, scale)) : de, dy0);
                    if (c.needs(2)) d[2] = to_channels(g, mul(de, spread(g, dy0)));
                  }
                  if (c.needs(1)) {
                    const Tensor dy4 = spread(g, dy0);
                    const Tensor e = scaled ? mul(dy4, per_channel(g, scale)) : dy4;
                    d[1] = restored(gradient_in_x(g, eps, spread(g, c.dy()), e, spread(g, x0)), x0);
                  }
                  return d;
                });
}

std::pair<Tensor, Tensor> norm_backward_affine(const NormGeometry& g, double eps, const Tensor& dy,
                                               const Tensor& x, const Statistics& s, bool want_gamma,
                                               bool want_beta) {
  if (!want_gamma && !want_beta) return {};
  Tensor dgamma, dbeta;
  if (!rows_are_samples(g, x)) {
    // [samples, rows, 1, d]: the order of norm_backward_affine with the rows as positions.
    NormGeometry by_sample = g;
    by_sample.a = x.shape().begin()[0];
    by_sample.b = by_sample.a == 0 ? 0 : g.a / by_sample.a;
    const Tensor dy4 = spread(by_sample, dy);
    if (want_beta) dbeta = to_channels(by_sample, dy4);
    if (want_gamma) {
      const Tensor h = layer_norm(x.to(compute_type(x.dtype())), {}, {}, {.eps = eps});
      dgamma = to_channels(by_sample, mul(dy4, h.reshape(dy4.shape())));
    }
    return {dgamma, dbeta};
  }
  const TensorOptions options{.dtype = compute_type(x.dtype()), .device = x.device()};
  if (want_gamma) dgamma = empty({g.channels()}, options);
  if (want_beta) dbeta = empty({g.channels()}, options);
  backend(x.device())
      .norm_backward_affine(g, eps, view(dy), view(x), view(s.mean), view(s.variance),
                            want_gamma ? fresh_view(dgamma) : View{}, want_beta ? fresh_view(dbeta) : View{});
  if (want_gamma) dgamma = recorded_gamma(g, eps, dy, x, s, dgamma);
  if (want_beta) dbeta = recorded_beta(g, dy, dbeta);
  return {dgamma, dbeta};
}

Gradients norm_inference_gradients(double eps, const BackwardContext& c) {
  const Tensor x = c.saved(0), gamma = c.saved(3);
  const DType wide = compute_type(x.dtype());
  const Tensor dy = c.dy().to(wide);
  const Tensor r = reciprocal(sqrt(add_scalar(c.saved(2), eps)));
  Gradients d(3);
  if (c.needs(0)) d[0] = mul(dy, gamma.defined() ? mul(r, gamma) : r).to(x.dtype());
  if (c.needs(1)) d[1] = bias_gradient(mul(dy, mul(sub(x.to(wide), c.saved(1)), r)));
  if (c.needs(2)) d[2] = bias_gradient(dy);
  return d;
}

}  // namespace isobit::ops
