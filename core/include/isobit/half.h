// The 16-bit floating-point storage types. They hold bits and do no arithmetic: values are widened to f32
// (exactly), computed with, and rounded to nearest even when stored.
#pragma once

#include <cstdint>

namespace isobit {

/// IEEE binary16: 1 sign, 5 exponent, 10 fraction bits; largest finite value 65504.
struct f16 {
  std::uint16_t bits;
  friend constexpr bool operator==(f16, f16) = default;  ///< equality of bits: -0 differs from +0
};

/// bfloat16: the upper half of a binary32 (1 sign, 8 exponent, 7 fraction bits).
struct bf16 {
  std::uint16_t bits;
  friend constexpr bool operator==(bf16, bf16) = default;  ///< equality of bits: -0 differs from +0
};

static_assert(sizeof(f16) == 2 && sizeof(bf16) == 2);

}  // namespace isobit
