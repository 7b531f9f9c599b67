// Dividing many numbers by one, bit for bit x / s: a division takes as long as a dozen multiplications, and
// Markstein's theorem gives its bits with four. y the float nearest to 1 / s, q one of the two floats around
// x / s: then q + y (x - q s), each fma rounded once, is x / s correctly rounded (Handbook of Floating-Point
// Arithmetic, division with an fma). Such a q is x (y + z), z being what y lacks of 1 / s. The remainders
// must be exact, so quotients stay far from the subnormal.
#if defined(ISOBIT_CPU_KERNELS_QUOTIENT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ISOBIT_CPU_KERNELS_QUOTIENT_INL_H_
#undef ISOBIT_CPU_KERNELS_QUOTIENT_INL_H_
#else
#define ISOBIT_CPU_KERNELS_QUOTIENT_INL_H_
#endif

#include "cpu/kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {

/// x / s for one s and many x.
struct Quotients {
  static constexpr float kLeast = 0x1p-100f, kMost = 0x1p+23f;

  /// kLeast <= x <= 1 <= s <= kMost.
  explicit HWY_INLINE Quotients(Vec<float> divisor)
      : s(divisor), inverse(Vec<float>(1.0f) / s), rest(fnma(s, inverse, Vec<float>(1.0f)) * inverse) {}
  HWY_INLINE Vec<float> operator()(Vec<float> x) const {
#if HWY_NATIVE_FMA
    const Vec<float> near = fma(x, inverse, x * rest);
    return fma(fnma(s, near, x), inverse, near);
#else
    return x / s;
#endif
  }

  Vec<float> s, inverse, rest;
};

}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per target
