// Names of the element-wise, reduction and activation functions that cross the seam. Their exact formulas
// (which operation rounds when) stand here; core/numerics/pointwise-inl.h writes them once for scalars and
// vectors. T is the compute type: f64 for f64 tensors, f32 for f32, f16, bf16. a = Scalar parameter rounded
// to T.
#pragma once
#include <isobit/pad_mode.h>

#include <cstdint>

namespace isobit {

enum class UnaryOp : std::uint8_t {
  neg,         // -x
  abs,         // sign bit cleared
  sign,        // x > 0 ? 1 : x < 0 ? -1 : x      (keeps zeros' signs and NaN)
  square,      // x * x
  sqrt,        // correctly rounded
  reciprocal,  // 1 / x
  exp,
  expm1,
  log,
  log1p,
  sin,
  cos,
  erf,
  tanh,
  sigmoid,
  softplus,
  silu,
  gelu,         // core/numerics/elementary-inl.h
  relu,         // x < 0 ? 0 : x                   (NaN stays NaN, -0 stays -0)
  leaky_relu,   // x < 0 ? a * x : x
  elu,          // x < 0 ? a * expm1(x) : x
  add_scalar,   // x + a
  mul_scalar,   // x * a
  div_scalar,   // x / a                           (integers: truncates; by 0 gives 0)
  rsub_scalar,  // a - x
  logical_not,  // bool to bool
  is_nan,       // floating to bool
};

enum class BinaryOp : std::uint8_t {
  add,
  sub,
  mul,
  div,  // integers wrap; integer division truncates, by 0 gives 0, lowest / -1 wraps to lowest
  maximum,
  minimum,  // NaN if either is NaN; of equal operands the first
  // comparisons give bool; with a NaN all but ne are false
  eq,
  ne,
  lt,
  le,
  gt,
  ge,
  logical_and,
  logical_or,
  logical_xor,  // bool only
  // gradients; the first operand is dy
  relu_grad,        // (dy, x): x <= 0 ? 0 : dy
  leaky_relu_grad,  // (dy, x): x < 0 ? a * dy : dy
  elu_grad,         // (dy, x): x < 0 ? dy * (a * exp(x)) : dy
  sigmoid_grad,     // (dy, y): (dy * y) * (1 - y)
  tanh_grad,        // (dy, y): dy * fma(-y, y, 1)
  softplus_grad,    // (dy, x): dy * sigmoid(x)
  silu_grad,        // (dy, x): s = sigmoid(x); dy * (s * fma(x, 1 - s, 1))
  gelu_grad,  // (dy, x): dy * fma(x, normal_density(x), normal_cdf(x))  (core/numerics/elementary-inl.h)
  abs_grad,   // (dy, x): x > 0 ? dy : x < 0 ? -dy : 0
};

enum class ReduceOp : std::uint8_t { sum, max, min };

/// What convolution and linear apply after the bias, each step rounded on its own: the bits of the UnaryOp of
/// the same name (leaky_relu's slope is Epilogue::slope).
enum class Activation : std::uint8_t { none, relu, leaky_relu, silu, sigmoid, tanh, gelu };

enum class PoolKind : std::uint8_t { max, average };

enum class OptimizerKind : std::uint8_t { sgd, adam, adamw, rmsprop };

constexpr bool is_comparison(BinaryOp op) {
  return op >= BinaryOp::eq && op <= BinaryOp::ge;
}
constexpr bool is_logical(BinaryOp op) {
  return op >= BinaryOp::logical_and && op <= BinaryOp::logical_xor;
}
constexpr bool is_gradient(BinaryOp op) {
  return op >= BinaryOp::relu_grad;
}

const char* name_of(UnaryOp op);
const char* name_of(BinaryOp op);
const char* name_of(ReduceOp op);
const char* name_of(Activation activation);  ///< "" for none

}  // namespace isobit
