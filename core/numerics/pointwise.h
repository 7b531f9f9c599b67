// The element-wise functions of the seam for plain numbers, host and device: Relu()(x, a), TanhGrad()(dy, y,
// a), ... The same text serves SIMD registers (cpu/kernels/pointwise_simd-inl.h).
#pragma once

#include "core/numerics/elementary.h"

namespace isobit::numerics::pointwise {

HOST_DEVICE inline float sqrt(float v) {
  return __builtin_sqrtf(v);
}
HOST_DEVICE inline double sqrt(double v) {
  return __builtin_sqrt(v);
}

#include "core/numerics/pointwise-inl.h"

}  // namespace isobit::numerics::pointwise
