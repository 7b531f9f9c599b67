#pragma once
#include "core/backend.h"

namespace isobit::cpu::kernels {

/// Serves every problem.
void matmul_register_tiles(const MatmulGeometry& g, ConstView a, ConstView b, View c);

}  // namespace isobit::cpu::kernels
