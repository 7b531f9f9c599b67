// Functions of one tensor, element by element. The formulas are core/op_codes.h's; the gradients below are
// written with ops, so that every order exists.
#include <cmath>

#include "core/ops/internal.h"

namespace isobit {

namespace ops {

Tensor run_unary(UnaryOp op, Scalar a, const Tensor& x, DType result) {
  const Device device = x.device();
  Tensor y = empty(x.shape(), {.dtype = result, .device = device});
  backend(device).unary(op, a, view(x), fresh_view(y));
  return y;
}

namespace {

/// Whether the gradient needs the input, the result or neither.
enum class Saves { nothing, x, y };
Saves saves(UnaryOp op) {
  switch (op) {
    case UnaryOp::neg:
    case UnaryOp::add_scalar:
    case UnaryOp::mul_scalar:
    case UnaryOp::div_scalar:
    case UnaryOp::rsub_scalar:
      return Saves::nothing;
    case UnaryOp::sqrt:
    case UnaryOp::reciprocal:
    case UnaryOp::exp:
    case UnaryOp::tanh:
    case UnaryOp::sigmoid:
    case UnaryOp::relu:  // y <= 0 where x <= 0, and a fused activation has only y
      return Saves::y;
    default:
      return Saves::x;
  }
}

Tensor gradient_of(UnaryOp op, double a, const BackwardContext& c) {
  const Tensor& dy = c.dy();
  switch (op) {
    case UnaryOp::neg:
    case UnaryOp::rsub_scalar:
      return neg(dy);
    case UnaryOp::add_scalar:
      return dy;
    case UnaryOp::mul_scalar:
      return mul_scalar(dy, a);
    case UnaryOp::div_scalar:
      return div_scalar(dy, a);
    case UnaryOp::abs:
      return gradient_op(BinaryOp::abs_grad, dy, c.saved(0));
    case UnaryOp::square:
      return mul(dy, mul_scalar(c.saved(0), 2));
    case UnaryOp::sqrt:
      return div(dy, mul_scalar(c.saved(0), 2));
    case UnaryOp::reciprocal:
      return neg(mul(dy, square(c.saved(0))));
    case UnaryOp::exp:
      return mul(dy, c.saved(0));
    case UnaryOp::expm1:
      return mul(dy, exp(c.saved(0)));
    case UnaryOp::log:
      return div(dy, c.saved(0));
    case UnaryOp::log1p:
      return div(dy, add_scalar(c.saved(0), 1));
    case UnaryOp::sin:
      return mul(dy, cos(c.saved(0)));
    case UnaryOp::cos:
      return neg(mul(dy, sin(c.saved(0))));
    case UnaryOp::erf: {
      constexpr double kTwoOverRootPi = 1.1283791670955126;
      return mul(dy, mul_scalar(exp(neg(square(c.saved(0)))), kTwoOverRootPi));
    }
    case UnaryOp::tanh:
      return gradient_op(BinaryOp::tanh_grad, dy, c.saved(0));
    case UnaryOp::sigmoid:
      return gradient_op(BinaryOp::sigmoid_grad, dy, c.saved(0));
    case UnaryOp::softplus:
      return gradient_op(BinaryOp::softplus_grad, dy, c.saved(0));
    case UnaryOp::silu:
      return gradient_op(BinaryOp::silu_grad, dy, c.saved(0));
    case UnaryOp::gelu:
      return gradient_op(BinaryOp::gelu_grad, dy, c.saved(0));
    case UnaryOp::relu:
      return gradient_op(BinaryOp::relu_grad, dy, c.saved(0));
    case UnaryOp::leaky_relu:
      return gradient_op(BinaryOp::leaky_relu_grad, dy, c.saved(0), a);
    case UnaryOp::elu:
      return gradient_op(BinaryOp::elu_grad, dy, c.saved(0), a);
    case UnaryOp::sign:
    case UnaryOp::logical_not:
    case UnaryOp::is_nan:
      break;
  }
  return {};  // piecewise constant
}

Tensor recorded(UnaryOp op, double a, const Tensor& x, const Tensor& y) {
  const auto backward = [op, a](const BackwardContext& c) { return Gradients{gradient_of(op, a, c)}; };
  switch (saves(op)) {
    case Saves::nothing:
      return record(name_of(op), {x}, y, {}, backward);
    case Saves::x:
      return record(name_of(op), {x}, y, {x}, backward);
    default:
      return record(name_of(op), {x}, y, {y}, backward);
  }
}

/// For floating tensors only.
Tensor function(UnaryOp op, const Tensor& x, double a = 0) {
  const char* name = name_of(op);
  require_defined(name, {&x});
  const DType dtype = x.dtype();
  if (!is_floating(dtype)) fail(name, "x is {}, expected a floating dtype", dtype);
  Tensor y = run_unary(op, a, x, dtype);
  if (!recording({&x})) return y;
  return recorded(op, a, x, y);
}

/// Integers too: they take a parameter that is a whole number.
Tensor arithmetic(UnaryOp op, const Tensor& x, double a = 0) {
  const char* name = name_of(op);
  require_defined(name, {&x});
  const DType dtype = x.dtype();
  if (is_floating(dtype)) return function(op, x, a);
  if (dtype == DType::boolean) fail(name, "x is bool, expected numbers");
  constexpr double kTwo63 = 9223372036854775808.0;
  if (!(a >= -kTwo63 && a < kTwo63) || static_cast<double>(static_cast<std::int64_t>(a)) != a)
    fail(name, "{} is not a whole number of 64 bits, x is {}", a, dtype);
  return run_unary(op, static_cast<std::int64_t>(a), x, dtype);
}

}  // namespace
}  // namespace ops

using ops::arithmetic;
using ops::function;

Tensor neg(const Tensor& x) {
  return arithmetic(UnaryOp::neg, x);
}
Tensor abs(const Tensor& x) {
  return arithmetic(UnaryOp::abs, x);
}
Tensor square(const Tensor& x) {
  return arithmetic(UnaryOp::square, x);
}
Tensor add_scalar(const Tensor& x, double a) {
  return arithmetic(UnaryOp::add_scalar, x, a);
}
Tensor mul_scalar(const Tensor& x, double a) {
  return arithmetic(UnaryOp::mul_scalar, x, a);
}
Tensor div_scalar(const Tensor& x, double a) {
  return arithmetic(UnaryOp::div_scalar, x, a);
}
Tensor rsub_scalar(const Tensor& x, double a) {
  return arithmetic(UnaryOp::rsub_scalar, x, a);
}

Tensor reciprocal(const Tensor& x) {
  return function(UnaryOp::reciprocal, x);
}
Tensor exp(const Tensor& x) {
  return function(UnaryOp::exp, x);
}
Tensor expm1(const Tensor& x) {
  return function(UnaryOp::expm1, x);
}
Tensor log(const Tensor& x) {
  return function(UnaryOp::log, x);
}
Tensor log1p(const Tensor& x) {
  return function(UnaryOp::log1p, x);
}
Tensor sqrt(const Tensor& x) {
  return function(UnaryOp::sqrt, x);
}
Tensor sin(const Tensor& x) {
  return function(UnaryOp::sin, x);
}
Tensor cos(const Tensor& x) {
  return function(UnaryOp::cos, x);
}
Tensor erf(const Tensor& x) {
  return function(UnaryOp::erf, x);
}
Tensor tanh(const Tensor& x) {
  return function(UnaryOp::tanh, x);
}
Tensor sigmoid(const Tensor& x) {
  return function(UnaryOp::sigmoid, x);
}
Tensor relu(const Tensor& x) {
  return function(UnaryOp::relu, x);
}
Tensor gelu(const Tensor& x) {
  return function(UnaryOp::gelu, x);
}
Tensor silu(const Tensor& x) {
  return function(UnaryOp::silu, x);
}
Tensor softplus(const Tensor& x) {
  return function(UnaryOp::softplus, x);
}
Tensor leaky_relu(const Tensor& x, double slope) {
  ops::require_finite("leaky_relu", "slope", slope);
  return function(UnaryOp::leaky_relu, x, slope);
}
Tensor elu(const Tensor& x, double alpha) {
  ops::require_finite("elu", "alpha", alpha);
  return function(UnaryOp::elu, x, alpha);
}

}  // namespace isobit
