#pragma once
#include "core/backend.h"

namespace isobit::cpu::kernels {

/// Serves every problem.
void conv_backward_filter_implicit_gemm(const ConvGeometry& g, ConstView x, ConstView dy, View dw);

}  // namespace isobit::cpu::kernels
