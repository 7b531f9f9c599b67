// The element-wise functions of the seam for plain numbers, host and device: Relu()(x, a), TanhGrad()(dy, y,
// a), ... The same text serves SIMD registers (cpu/kernels/pointwise_simd-inl.h).
#pragma once

#include "core/numerics/elementary.h"
#include "core/numerics/sqrt.h"

namespace isobit::numerics::pointwise {

using numerics::sqrt;

#include "core/numerics/pointwise-inl.h"

}  // namespace isobit::numerics::pointwise
