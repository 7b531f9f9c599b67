// Fast mode's algorithms that NVIDIA's libraries compute (isobit/arithmetic.h), in the seam's signature,
// beside our own tensor_cores. They are the last of their lists: asked for by name, or chosen by time. Where
// a library is missing, or refuses the problem, refuse_... says so. (docs/fast-mode.md)
#pragma once
#include "core/backend.h"

namespace isobit::gpu::vendor {

const char* refuse_matmul_cublaslt(const MatmulGeometry& g, ConstView a, ConstView b, View c);
void matmul_cublaslt(const MatmulGeometry& g, ConstView a, ConstView b, View c);

}  // namespace isobit::gpu::vendor
