// Names of the functions that cross the seam, for messages and traces.
#include "core/op_codes.h"

namespace isobit {

const char* name_of(UnaryOp op) {
  switch (op) {
    case UnaryOp::neg:
      return "neg";
    case UnaryOp::abs:
      return "abs";
    case UnaryOp::sign:
      return "sign";
    case UnaryOp::square:
      return "square";
    case UnaryOp::sqrt:
      return "sqrt";
    case UnaryOp::reciprocal:
      return "reciprocal";
    case UnaryOp::exp:
      return "exp";
    case UnaryOp::expm1:
      return "expm1";
    case UnaryOp::log:
      return "log";
    case UnaryOp::log1p:
      return "log1p";
    case UnaryOp::sin:
      return "sin";
    case UnaryOp::cos:
      return "cos";
    case UnaryOp::erf:
      return "erf";
    case UnaryOp::tanh:
      return "tanh";
    case UnaryOp::sigmoid:
      return "sigmoid";
    case UnaryOp::softplus:
      return "softplus";
    case UnaryOp::silu:
      return "silu";
    case UnaryOp::gelu:
      return "gelu";
    case UnaryOp::relu:
      return "relu";
    case UnaryOp::leaky_relu:
      return "leaky_relu";
    case UnaryOp::elu:
      return "elu";
    case UnaryOp::add_scalar:
      return "add_scalar";
    case UnaryOp::mul_scalar:
      return "mul_scalar";
    case UnaryOp::div_scalar:
      return "div_scalar";
    case UnaryOp::rsub_scalar:
      return "rsub_scalar";
    case UnaryOp::logical_not:
      return "logical_not";
    case UnaryOp::is_nan:
      return "is_nan";
  }
  return "unknown";
}

const char* name_of(BinaryOp op) {
  switch (op) {
    case BinaryOp::add:
      return "add";
    case BinaryOp::sub:
      return "sub";
    case BinaryOp::mul:
      return "mul";
    case BinaryOp::div:
      return "div";
    case BinaryOp::maximum:
      return "maximum";
    case BinaryOp::minimum:
      return "minimum";
    case BinaryOp::eq:
      return "eq";
    case BinaryOp::ne:
      return "ne";
    case BinaryOp::lt:
      return "lt";
    case BinaryOp::le:
      return "le";
    case BinaryOp::gt:
      return "gt";
    case BinaryOp::ge:
      return "ge";
    case BinaryOp::logical_and:
      return "logical_and";
    case BinaryOp::logical_or:
      return "logical_or";
    case BinaryOp::logical_xor:
      return "logical_xor";
    case BinaryOp::relu_grad:
      return "relu_grad";
    case BinaryOp::leaky_relu_grad:
      return "leaky_relu_grad";
    case BinaryOp::elu_grad:
      return "elu_grad";
    case BinaryOp::sigmoid_grad:
      return "sigmoid_grad";
    case BinaryOp::tanh_grad:
      return "tanh_grad";
    case BinaryOp::softplus_grad:
      return "softplus_grad";
    case BinaryOp::silu_grad:
      return "silu_grad";
    case BinaryOp::gelu_grad:
      return "gelu_grad";
    case BinaryOp::abs_grad:
      return "abs_grad";
  }
  return "unknown";
}

const char* name_of(ReduceOp op) {
  switch (op) {
    case ReduceOp::sum:
      return "sum";
    case ReduceOp::max:
      return "max";
    case ReduceOp::min:
      return "min";
  }
  return "unknown";
}

const char* name_of(Activation activation) {
  switch (activation) {
    case Activation::none:
      return "";
    case Activation::relu:
      return "relu";
    case Activation::leaky_relu:
      return "leaky_relu";
    case Activation::silu:
      return "silu";
    case Activation::sigmoid:
      return "sigmoid";
    case Activation::tanh:
      return "tanh";
    case Activation::gelu:
      return "gelu";
  }
  return "?";
}

const char* name_of(PadMode mode) {
  switch (mode) {
    case PadMode::constant:
      return "constant";
    case PadMode::reflect:
      return "reflect";
    case PadMode::symmetric:
      return "symmetric";
    case PadMode::replicate:
      return "replicate";
    case PadMode::circular:
      return "circular";
  }
  return "?";
}

}  // namespace isobit
