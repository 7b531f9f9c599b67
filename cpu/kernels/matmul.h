#pragma once
#include "core/backend.h"

namespace isobit::cpu::kernels {

/// Serves problems of so little work that a plan would count.
const char* refuse_matmul_small(const MatmulGeometry& g, ConstView a, ConstView b, View c);
void matmul_small(const MatmulGeometry& g, ConstView a, ConstView b, View c);

/// Serves products whose operands are worth copying.
const char* refuse_matmul_packed(const MatmulGeometry& g, ConstView a, ConstView b, View c);
void matmul_packed(const MatmulGeometry& g, ConstView a, ConstView b, View c);

/// Serves every problem.
void matmul_register_tiles(const MatmulGeometry& g, ConstView a, ConstView b, View c);

}  // namespace isobit::cpu::kernels
