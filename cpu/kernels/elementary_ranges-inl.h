// f32's exp, tanh, sigmoid, silu, gelu and the gradients of the last two for arguments of ordinary size, in
// fewer instructions than core/numerics/elementary-inl.h needs for every float; the same bits
// (tests/unit/elementary_ranges_test.cpp goes through all floats). What makes them shorter: no argument is
// NaN or has to be clamped, one power of two replaces two since nothing is subnormal or overflows, and of
// gelu's two branches the one for |x| < 1 remains. ranged_tile (pointwise_simd-inl.h) chooses by blocks.
//
// Each object: kLargest, the bits of the largest |x|; operator() as in core/numerics/pointwise-inl.h.
#if defined(ISOBIT_CPU_KERNELS_ELEMENTARY_RANGES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ISOBIT_CPU_KERNELS_ELEMENTARY_RANGES_INL_H_
#undef ISOBIT_CPU_KERNELS_ELEMENTARY_RANGES_INL_H_
#else
#define ISOBIT_CPU_KERNELS_ELEMENTARY_RANGES_INL_H_
#endif

#include "cpu/kernels/elementary_simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {
namespace ranges {

using F = Vec<float>;
using B = Bits<float>;
using E = constants::Exp<float>;

/// exp_reduce, with n << 23: added to the bits of a normal number it multiplies by 2^n.
struct Reduced {
  F n, remainder, f;
  B power;
};

HWY_INLINE Reduced reduce(F x) {
  // An even number in place of kMagic's 254 in the low bits: ties go to the same n, and none is left in them.
  constexpr float kMagic = 0x1.8p+23f;
  Reduced r;
  const F shifted = fma(x, F(E::kLog2E), F(kMagic));
  r.n = shifted - F(kMagic);
  r.remainder = fma(r.n, F(-E::kLn2High), x);
  r.f = fma(r.n, F(-E::kLn2Low), r.remainder);
  r.power = shift_left<23>(to_bits(shifted));
  return r;
}

HWY_INLINE F times_power(F normal, B power) {
  return from_bits(to_bits(normal) + power);
}

HWY_INLINE F exp_of(F x) {
  const Reduced r = reduce(x);
  return times_power(fma(r.f, fma(r.f, horner<E>(r.f), F(1)), F(1)), r.power);
}

/// exp_parts.
struct Parts {
  F high, low;
  B power;
};

HWY_INLINE Parts parts(F x) {
  const Reduced r = reduce(x);
  const F f_low = fma(r.n, F(-E::kLn2Low), r.remainder - r.f);
  const F sum = F(1) + r.f;
  const F rest = fma(r.f * r.f, horner<E>(r.f), (r.f - (sum - F(1))) + f_low);
  const F high = sum + rest;
  return {high, rest - (high - sum), r.power};
}

HWY_INLINE F sigmoid_of(F x) {
  const Parts e = parts(from_bits(to_bits(x) | B(Format<F>::kSign)));
  const F z = times_power(e.high, e.power);
  const F low = e.low * from_bits(e.power + B(Format<F>::kOne));
  const F below = F(1) + z;
  const F below_low = (z - (below - F(1))) + low;
  const Mask<float> negative = x < F(0);
  const F above = select(negative, z, F(1));
  const F above_low = select(negative, low, F(0));
  const F inverse = F(1) / below;
  const F quotient = above * inverse;
  const F error = fma(-quotient, below_low, fma(-quotient, below, above)) + above_low;
  return fma(error, inverse, quotient);
}

/// normal_density for |x| < 1.
HWY_INLINE F density_of(F x) {
  using C = constants::Tail<float>;
  const F square = x * x;
  const F square_low = fma(x, x, -square);
  const Parts e = parts(F(-0.5f) * square);
  const F low = fma(e.high, F(-0.5f) * square_low, e.low);
  const F value = fma(F(C::kDensity), e.high, fma(F(C::kDensity), low, F(C::kDensityLow) * e.high));
  return times_power(value, e.power);
}

inline constexpr std::uint32_t k87 = 0x42ae0000u, k40 = 0x42200000u, kBelow1 = 0x3f7fffffu;

struct Exp {
  static constexpr std::uint32_t kLargest = k87;  // 2^126 > exp > 2^-126
  HWY_INLINE F operator()(F x, F) const { return exp_of(x); }
};

struct Tanh {
  static constexpr std::uint32_t kLargest = k40;
  HWY_INLINE F operator()(F x, F) const {
    using C = constants::Tanh<float>;
    const F a = magnitude(x);
    const F z = a * a;
    const F small = fma(a * z, horner<C>(z), a);
    const F large = F(1) - F(2) / (exp_of(a + a) + F(1));
    return with_sign(select(a < F(C::kSmall), small, large), x);
  }
};

struct Sigmoid {
  static constexpr std::uint32_t kLargest = k40;
  HWY_INLINE F operator()(F x, F) const { return sigmoid_of(x); }
};

struct Silu {
  static constexpr std::uint32_t kLargest = k40;
  HWY_INLINE F operator()(F x, F) const { return x * sigmoid_of(x); }
};

struct Gelu {
  static constexpr std::uint32_t kLargest = kBelow1;
  HWY_INLINE F operator()(F x, F) const {
    const HighLow<F> near = cdf_near_zero(x);
    return with_sign(magnitude(fma(x, near.high, x * near.low)), x);
  }
};

struct SiluGrad {
  static constexpr std::uint32_t kLargest = k40;
  HWY_INLINE F operator()(F dy, F x, F) const {
    const F s = sigmoid_of(x);
    return dy * (s * fma(x, F(1) - s, F(1)));
  }
};

struct GeluGrad {
  static constexpr std::uint32_t kLargest = kBelow1;
  HWY_INLINE F operator()(F dy, F x, F) const {
    const HighLow<F> near = cdf_near_zero(x);
    return dy * fma(x, density_of(x), near.high + near.low);
  }
};

/// Whether every |x| of four registers is at most the number of these bits. (NaN's bits are larger.)
HWY_INLINE bool all_within(F a, F b, F c, F d, std::uint32_t largest) {
  constexpr BitsTag<float> t;
  const auto bits = [](F x) HWY_ATTR { return to_bits(magnitude(x)).raw; };
  const auto most = hn::Max(hn::Max(bits(a), bits(b)), hn::Max(bits(c), bits(d)));
  return hn::AllFalse(t, hn::Gt(most, hn::Set(t, largest)));
}

}  // namespace ranges
}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per target
