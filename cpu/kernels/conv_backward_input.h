#pragma once
#include "core/backend.h"

namespace isobit::cpu::kernels {

/// Serves every problem.
void conv_backward_input_implicit_gemm(const ConvGeometry& g, ConstView dy, ConstView w, View dx);

}  // namespace isobit::cpu::kernels
