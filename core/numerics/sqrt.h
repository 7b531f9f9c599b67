// The square root, correctly rounded on every target: the instruction.
#pragma once

#include "core/numerics/host_device.h"

namespace isobit::numerics {

HOST_DEVICE inline float sqrt(float v) {
#if defined(__CUDA_ARCH__)
  return ::__fsqrt_rn(v);
#else
  return __builtin_sqrtf(v);
#endif
}
HOST_DEVICE inline double sqrt(double v) {
#if defined(__CUDA_ARCH__)
  return ::__dsqrt_rn(v);
#else
  return __builtin_sqrt(v);
#endif
}

}  // namespace isobit::numerics
