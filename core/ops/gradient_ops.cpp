// The fused gradients of activations: one kernel each, recorded with derivatives composed of public ops. In
// the formulas g is what flows into the gradient op's result, f the activation.
#include "core/ops/internal.h"

namespace isobit::ops {
namespace {

/// g * dy * f''(x), or undefined where f'' is 0 (everywhere but in the kink).
Tensor second_derivative(BinaryOp op, double a, const Tensor& g_dy, const Tensor& other) {
  switch (op) {
    case BinaryOp::elu_grad:  // f'' = f' left of 0, 0 elsewhere
      return select(lt(other, scalar_like(other, 0)), gradient_op(BinaryOp::elu_grad, g_dy, other, a),
                    scalar_like(g_dy, 0));
    case BinaryOp::sigmoid_grad:  // in y: d(y (1 - y))/dy = 1 - 2 y
      return mul(g_dy, rsub_scalar(mul_scalar(other, 2), 1));
    case BinaryOp::tanh_grad:  // in y: d(1 - y^2)/dy = -2 y
      return mul(g_dy, mul_scalar(other, -2));
    case BinaryOp::softplus_grad:
      return gradient_op(BinaryOp::sigmoid_grad, g_dy, sigmoid(other));
    case BinaryOp::silu_grad: {  // s (1 - s) (2 + x (1 - 2 s))
      const Tensor s = sigmoid(other);
      const Tensor bend = add_scalar(mul(other, rsub_scalar(mul_scalar(s, 2), 1)), 2);
      return mul(gradient_op(BinaryOp::sigmoid_grad, g_dy, s), bend);
    }
    case BinaryOp::gelu_grad: {  // phi(x) (2 - x^2)
      constexpr double kOneOverRootTwoPi = 0.3989422804014327;
      const Tensor squared = square(other);
      const Tensor phi = mul_scalar(exp(mul_scalar(squared, -0.5)), kOneOverRootTwoPi);
      return mul(g_dy, mul(phi, rsub_scalar(squared, 2)));
    }
    default:
      return {};
  }
}

}  // namespace

Tensor gradient_op(BinaryOp op, const Tensor& dy, const Tensor& other, double a) {
  Tensor dx = run_binary(op, a, dy, other, dy.dtype());
  if (!recording({&dy, &other})) return dx;
  return record(name_of(op), {dy, other}, dx, {dy, other}, [op, a](const BackwardContext& c) {
    const Tensor dy_saved = c.saved(0), other_saved = c.saved(1);
    Gradients g(2);
    if (c.needs(0)) g[0] = gradient_op(op, c.dy(), other_saved, a);  // linear in dy
    if (c.needs(1)) g[1] = second_derivative(op, a, mul(c.dy(), dy_saved), other_saved);
    return g;
  });
}

}  // namespace isobit::ops
