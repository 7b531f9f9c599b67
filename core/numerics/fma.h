// fma: a * b + c with one rounding, on every target, for every operand (subnormals, infinities, NaN, signed
// zeros).
//
// Where the compiler may emit the instruction it does. Elsewhere f32 is computed in f64: the product of two
// floats is exact there, TwoSum gives the sum and its error, and the sum is rounded to odd, so that the last
// rounding, to float, is the only one that counts (53 >= 24 + 2 bits). f64 goes to std::fma, which is exact
// in every C library.
#pragma once

#include <cmath>
#include <cstdint>

#include "core/numerics/bits.h"
#include "core/numerics/host_device.h"

namespace isobit::numerics {

// The software path by itself, so that tests can hold it against hardware. Needs round to nearest.
HOST_DEVICE inline float fma_software(float a, float b, float c) {
  const double product = static_cast<double>(a) * static_cast<double>(b);
  const double addend = c;
  const double sum = product + addend;
  const double back = sum - product;
  const double error = (product - (sum - back)) + (addend - back);
  std::uint64_t bits = bit_cast<std::uint64_t>(sum);
  // Inexact (an infinite or NaN sum has a NaN error: both comparisons fail) and even: take the odd neighbour
  // on the side of the error. sum is not zero here, for a sum of zero is exact.
  const bool inexact = error < 0.0 || error > 0.0;
  if (inexact && (bits & 1) == 0) bits += (error > 0.0) == (sum > 0.0) ? 1 : -1;
  return static_cast<float>(bit_cast<double>(bits));
}

HOST_DEVICE inline float fma(float a, float b, float c) {
#if defined(__CUDA_ARCH__)
  return ::__fmaf_rn(a, b, c);
#elif defined(__FMA__) || defined(__ARM_FEATURE_FMA) || defined(ISOBIT_SIMT_FMA)
  return __builtin_fmaf(a, b, c);
#else
  return fma_software(a, b, c);
#endif
}

HOST_DEVICE inline double fma(double a, double b, double c) {
#if defined(__CUDA_ARCH__)
  return ::__fma_rn(a, b, c);
#elif defined(__FMA__) || defined(__ARM_FEATURE_FMA) || defined(ISOBIT_SIMT_FMA)
  return __builtin_fma(a, b, c);
#else
  return std::fma(a, b, c);
#endif
}

}  // namespace isobit::numerics
