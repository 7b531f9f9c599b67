// Conversions between f16, bf16 and f32, f64: widening is exact, narrowing rounds once, to nearest even. NaN
// stays NaN (quiet, sign kept). Integers only, so the result depends on no floating-point mode. On a GPU its
// instructions and no look at NaN, whose sign and payload may then differ.
#pragma once

#ifdef __CUDACC__
#include <cuda_fp16.h>
#endif

#include <cstdint>

#include "isobit/half.h"
#include "core/numerics/bits.h"
#include "core/numerics/host_device.h"

namespace isobit::numerics {

namespace detail {

// The bits of the 16-bit format with kExponent and kFraction bits nearest to the f64 with these bits.
template <int kExponent, int kFraction>
HOST_DEVICE constexpr std::uint16_t narrow(std::uint64_t bits) {
  constexpr std::uint64_t kInf64 = std::uint64_t{0x7ff} << 52;
  constexpr std::uint16_t kInf = ((1 << kExponent) - 1) << kFraction;
  constexpr int kMaxExponent = (1 << (kExponent - 1)) - 1;
  constexpr int kMinExponent = 1 - kMaxExponent;
  const std::uint16_t sign = static_cast<std::uint16_t>(bits >> 63 << 15);
  const std::uint64_t magnitude = bits & ~(std::uint64_t{1} << 63);
  if (magnitude > kInf64) return sign | kInf | (1 << (kFraction - 1));
  const int exponent = static_cast<int>(magnitude >> 52) - 1023;
  if (exponent > kMaxExponent) return sign | kInf;
  if (exponent < kMinExponent - kFraction - 1) return sign;  // below half of the smallest subnormal
  const std::uint64_t significand = (magnitude & ((std::uint64_t{1} << 52) - 1)) | (std::uint64_t{1} << 52);
  const int below = exponent < kMinExponent ? kMinExponent - exponent : 0;
  const int shift = 52 - kFraction + below;
  std::uint64_t kept = significand >> shift;
  const std::uint64_t rest = significand & ((std::uint64_t{1} << shift) - 1);
  const std::uint64_t half = std::uint64_t{1} << (shift - 1);
  if (rest > half || (rest == half && (kept & 1) != 0)) ++kept;
  // A normal number's leading bit counts one into the exponent field; a carry runs up to infinity as it
  // should.
  const int field = below > 0 ? 0 : exponent - kMinExponent;
  return static_cast<std::uint16_t>(sign | (kept + (static_cast<std::uint64_t>(field) << kFraction)));
}

}  // namespace detail

HOST_DEVICE constexpr float f16_to_f32(std::uint16_t h) {
#ifdef __CUDA_ARCH__
  if (!__builtin_is_constant_evaluated()) return ::__half2float(::__half_raw{h});
#endif
  const std::uint32_t sign = static_cast<std::uint32_t>(h & 0x8000u) << 16;
  const std::uint32_t exponent = (h >> 10) & 31u;
  const std::uint32_t fraction = h & 0x3ffu;
  if (exponent == 31) {
    return bit_cast<float>(sign | 0x7f800000u | fraction << 13 | (fraction != 0 ? 0x400000u : 0u));
  }
  if (exponent == 0) {
    const float magnitude = static_cast<float>(fraction) * 0x1p-24f;
    return bit_cast<float>(sign | bit_cast<std::uint32_t>(magnitude));
  }
  return bit_cast<float>(sign | (exponent + 112) << 23 | fraction << 13);
}

HOST_DEVICE constexpr float bf16_to_f32(std::uint16_t h) {
  const std::uint32_t bits = static_cast<std::uint32_t>(h) << 16;
#ifdef __CUDA_ARCH__
  return bit_cast<float>(bits);
#else
  return bit_cast<float>((bits & 0x7fffffffu) > 0x7f800000u ? bits | 0x400000u : bits);
#endif
}

HOST_DEVICE constexpr std::uint16_t f64_to_f16(double v) {
  return detail::narrow<5, 10>(bit_cast<std::uint64_t>(v));
}
HOST_DEVICE constexpr std::uint16_t f64_to_bf16(double v) {
  return detail::narrow<8, 7>(bit_cast<std::uint64_t>(v));
}
HOST_DEVICE constexpr std::uint16_t f32_to_f16(float v) {
#ifdef __CUDA_ARCH__
  if (!__builtin_is_constant_evaluated()) return static_cast<::__half_raw>(::__float2half_rn(v)).x;
#endif
  return f64_to_f16(v);
}

HOST_DEVICE constexpr std::uint16_t f32_to_bf16(float v) {
  const std::uint32_t bits = bit_cast<std::uint32_t>(v);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<std::uint16_t>(bits >> 16 & 0x8000u) | 0x7fc0u;
  return static_cast<std::uint16_t>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

HOST_DEVICE constexpr double f16_to_f64(std::uint16_t h) {
  return f16_to_f32(h);
}
HOST_DEVICE constexpr double bf16_to_f64(std::uint16_t h) {
  return bf16_to_f32(h);
}

// What arithmetic is done in: f16 and bf16 widen to f32, the others stay.
HOST_DEVICE constexpr float widen(f16 v) {
  return f16_to_f32(v.bits);
}
HOST_DEVICE constexpr float widen(bf16 v) {
  return bf16_to_f32(v.bits);
}
HOST_DEVICE constexpr float widen(float v) {
  return v;
}
HOST_DEVICE constexpr double widen(double v) {
  return v;
}

}  // namespace isobit::numerics
