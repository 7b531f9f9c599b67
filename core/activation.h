// Activations of a convolution that its tiles do not apply in registers.
#pragma once
#include <optional>

#include "core/op_codes.h"

namespace isobit {

/// The element-wise function that is left to be applied to the stored elements; nothing for relu, which the
/// tiles of every device apply themselves.
constexpr std::optional<UnaryOp> left_by_tiles(Activation activation) {
  switch (activation) {
    case Activation::none:
    case Activation::relu:
      return std::nullopt;
    case Activation::leaky_relu:
      return UnaryOp::leaky_relu;
    case Activation::silu:
      return UnaryOp::silu;
    case Activation::sigmoid:
      return UnaryOp::sigmoid;
    case Activation::tanh:
      return UnaryOp::tanh;
    case Activation::gelu:
      return UnaryOp::gelu;
  }
  return std::nullopt;
}

}  // namespace isobit
