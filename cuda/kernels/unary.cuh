// The parts of unary: which functions are elementary, and their launch (unary_elementary.cu).
#pragma once
#include "core/backend.h"

namespace isobit::gpu::kernels {

/// Functions of dozens of instructions, which have kernels of their own so that the short ones need few
/// registers.
constexpr bool is_elementary(UnaryOp op) {
  return (op >= UnaryOp::exp && op <= UnaryOp::gelu) || op == UnaryOp::elu;
}
void unary_elementary(UnaryOp op, Scalar a, ConstView x, View out);

}  // namespace isobit::gpu::kernels
