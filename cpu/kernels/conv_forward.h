// The fast algorithms of convolution. Signatures are the kernels' own (core/backend.h); the orders of
// summation and the loops are explained in docs/convolution.md.
#pragma once
#include "core/backend.h"

namespace isobit::cpu::kernels {

/// Serves every problem.
void conv_forward_implicit_gemm(const ConvGeometry& g, ConstView x, ConstView w, const Epilogue& epilogue,
                                View y);

}  // namespace isobit::cpu::kernels
