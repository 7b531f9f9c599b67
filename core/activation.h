// Activations of a convolution that its tiles do not apply in registers.
#pragma once
#include <optional>

#include "core/backend.h"

namespace isobit {

/// The element-wise function that is left to be applied to the stored elements of type `stored`; nothing for
/// relu, which the tiles of every device apply themselves, unless a norm comes first or storing rounds: the
/// relu of what was rounded to -0 is -0, that of the sum below 0 would be 0.
inline std::optional<UnaryOp> left_by_tiles(const Epilogue& epilogue, DType stored) {
  switch (epilogue.activation) {
    case Activation::none:
      return std::nullopt;
    case Activation::relu:
      if (!epilogue.norm.wanted() && (stored == DType::f32 || stored == DType::f64)) return std::nullopt;
      return UnaryOp::relu;
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

/// Whether the tiles apply relu.
inline bool relu_by_tiles(const Epilogue& epilogue, DType stored) {
  return epilogue.activation == Activation::relu && !left_by_tiles(epilogue, stored);
}

}  // namespace isobit
