// The parts of binary: arithmetic (binary.cu), comparisons and logic (binary_compare.cu), gradients of
// elementary functions (binary_gradients.cu).
#pragma once
#include "core/backend.h"

namespace isobit::gpu::kernels {

/// Gradients of dozens of instructions.
constexpr bool is_elementary(BinaryOp op) {
  return op == BinaryOp::elu_grad || op == BinaryOp::softplus_grad || op == BinaryOp::silu_grad ||
         op == BinaryOp::gelu_grad;
}
void binary_compare(BinaryOp op, const StridedGeometry& g, ConstView a, ConstView b, View out);
void binary_gradients(BinaryOp op, Scalar parameter, const StridedGeometry& g, ConstView a, ConstView b,
                      View out);

}  // namespace isobit::gpu::kernels
