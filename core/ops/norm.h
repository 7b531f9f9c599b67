// What norms and their gradients share.
#pragma once
#include <utility>

#include "core/ops/internal.h"

namespace isobit::ops {

/// gamma, beta or a statistic: absent, or [channels] on x's device in the compute type (halves are widened).
Tensor affine(const char* op, const char* what, const Tensor& t, const Tensor& x, std::int64_t channels);

/// Values, without history: the gradients know how they depend on x.
struct Statistics {
  Tensor mean, variance;
};

/// dx of a norm that takes its statistics from x: an op of (dy, x, gamma). gamma may be undefined.
Tensor norm_backward(const NormGeometry& g, double eps, const Tensor& dy, const Tensor& x,
                     const Statistics& s, const Tensor& gamma);
/// {dgamma, dbeta} of such a norm; undefined where not wanted. One pass for both.
std::pair<Tensor, Tensor> norm_backward_affine(const NormGeometry& g, double eps, const Tensor& dy,
                                               const Tensor& x, const Statistics& s, bool want_gamma,
                                               bool want_beta);
/// Gradients of batch_norm_inference, whose statistics are constants; saved: x, mean, variance, gamma.
Gradients norm_inference_gradients(double eps, const BackwardContext& c);

}  // namespace isobit::ops
