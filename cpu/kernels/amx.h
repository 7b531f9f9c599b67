// Fast mode of the CPU (isobit/arithmetic.h): products on the tile unit, AMX. The functions that end in
// _emulated run the same on its model, on any processor; they are for tests and for isobit verify.
#pragma once
#include "core/backend.h"

namespace isobit::cpu::kernels {

const char* refuse_matmul_amx(const MatmulGeometry& g, ConstView a, ConstView b, View c);
void matmul_amx(const MatmulGeometry& g, ConstView a, ConstView b, View c);
const char* refuse_matmul_amx_emulated(const MatmulGeometry& g, ConstView a, ConstView b, View c);
void matmul_amx_emulated(const MatmulGeometry& g, ConstView a, ConstView b, View c);

}  // namespace isobit::cpu::kernels
