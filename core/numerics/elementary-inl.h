// The elementary functions, written once for plain numbers and for SIMD registers: F is float, double or a
// register of them. No include guard: elementary.h and cpu/kernels/elementary_simd-inl.h include it inside
// their namespaces, after these primitives: LaneOf<F>, fma, select, any, to_bits, from_bits, shift_left,
// shift_right, map_lanes.
//
// NaN gives NaN everywhere; the comparisons below are written so that it falls through.

// Polynomial with the coefficients of a table from constants::, Horner's scheme.
template <typename Table, int kIndex = 0, typename F>
[[gnu::always_inline]] HOST_DEVICE inline F horner(F x) {
  constexpr auto coefficient = Table::c[kIndex];
  if constexpr (kIndex + 1 == sizeof(Table::c) / sizeof(coefficient)) {
    return F(coefficient);
  } else {
    return fma(horner<Table, kIndex + 1>(x), x, F(coefficient));
  }
}

// Masks and constants of the format, as bits of F's lanes.
template <typename F>
struct Format {
  using Bits = decltype(numerics::to_bits(LaneOf<F>()));
  static constexpr bool is_single = sizeof(Bits) == 4;
  static constexpr int kFraction = is_single ? 23 : 52;
  static constexpr Bits kSign = Bits{1} << (8 * sizeof(Bits) - 1);
  static constexpr Bits kInfinity = is_single ? Bits{0x7f800000u} : static_cast<Bits>(0x7ff0000000000000u);
  static constexpr Bits kOne = is_single ? Bits{0x3f800000u} : static_cast<Bits>(0x3ff0000000000000u);
  static constexpr Bits kQuietNan = is_single ? Bits{0x7fc00000u} : static_cast<Bits>(0x7ff8000000000000u);
};

template <typename F>
using BitsOf = decltype(to_bits(F()));

template <typename F>
[[gnu::always_inline]] HOST_DEVICE inline F magnitude(F x) {
  return from_bits(to_bits(x) & BitsOf<F>(static_cast<typename Format<F>::Bits>(~Format<F>::kSign)));
}

// v with the sign of `sign`; v must not be negative.
template <typename F>
[[gnu::always_inline]] HOST_DEVICE inline F with_sign(F v, F sign) {
  return from_bits(to_bits(v) | (to_bits(sign) & BitsOf<F>(Format<F>::kSign)));
}

template <typename F>
[[gnu::always_inline]] HOST_DEVICE inline F infinity() {
  return from_bits(BitsOf<F>(Format<F>::kInfinity));
}

// ---- exp and what is made of it ----

// x = n ln 2 + f: scale1 * scale2 = 2^n, each of them a normal number even where 2^n is not.
template <typename F>
struct ExpReduced {
  F f, remainder, n;  // remainder: n's share of ln 2 is known to twice the precision
  F scale1, scale2;
};

template <typename F>
[[gnu::always_inline]] HOST_DEVICE inline ExpReduced<F> exp_reduce(F x) {
  using T = LaneOf<F>;
  using E = constants::Exp<T>;
  ExpReduced<F> r;
  const F shifted = fma(x, F(E::kLog2E), F(E::kMagic));
  r.n = shifted - F(E::kMagic);
  r.remainder = fma(r.n, F(-E::kLn2High), x);  // exact
  r.f = fma(r.n, F(-E::kLn2Low), r.remainder);
  // n + 2 * bias lies in the low bits. Half of it, rounded down, is the first exponent field, the rest the
  // second.
  const BitsOf<F> bits = to_bits(shifted);
  const BitsOf<F> first = shift_left<Format<F>::kFraction - 1>(bits) & BitsOf<F>(Format<F>::kInfinity);
  r.scale1 = from_bits(first);
  r.scale2 = from_bits(shift_left<Format<F>::kFraction>(bits) - first);
  return r;
}

template <typename F>
HOST_DEVICE inline F exp(F x) {
  using E = constants::Exp<LaneOf<F>>;
  x = select(x > F(E::kOverflow), F(E::kOverflow), x);
  x = select(x < F(E::kUnderflow), F(E::kUnderflow), x);
  const ExpReduced<F> r = exp_reduce(x);
  const F value = fma(r.f, fma(r.f, horner<E>(r.f), F(1)), F(1));
  return (value * r.scale1) * r.scale2;
}

template <typename F>
HOST_DEVICE inline F expm1(F x) {
  using E = constants::Exp<LaneOf<F>>;
  F y = select(x > F(E::kOverflow), F(E::kOverflow), x);
  y = select(y < F(E::kUnderflow / 2), F(E::kUnderflow / 2), y);
  const ExpReduced<F> r = exp_reduce(y);
  // The rounding error of f would be doubled where n = 1 makes most of it cancel against the 1.
  const F f_low = fma(r.n, F(-E::kLn2Low), r.remainder - r.f);
  const F value = r.f + fma(r.f * r.f, horner<E>(r.f), f_low);
  // 2^n (1 + value) - 1 = scale1 (scale2 value + (scale2 - 1 / scale1))
  const F inverse1 =
      from_bits(BitsOf<F>(static_cast<typename Format<F>::Bits>(2 * Format<F>::kOne)) - to_bits(r.scale1));
  return select(x == F(0), x, fma(r.scale2, value, r.scale2 - inverse1) * r.scale1);
}

// e^x = (high + low) * scale1 * scale2 with about six bits more than F has, for x between kUnderflow and 0.
template <typename F>
struct ExpParts {
  F high, low, scale1, scale2;
};

template <typename F>
[[gnu::always_inline]] HOST_DEVICE inline ExpParts<F> exp_parts(F x) {
  using E = constants::Exp<LaneOf<F>>;
  const ExpReduced<F> r = exp_reduce(x);
  const F f_low = fma(r.n, F(-E::kLn2Low), r.remainder - r.f);
  const F sum = F(1) + r.f;
  const F rest = fma(r.f * r.f, horner<E>(r.f), (r.f - (sum - F(1))) + f_low);
  const F high = sum + rest;
  return {high, rest - (high - sum), r.scale1, r.scale2};
}

// sigmoid(x) = value * scale, not yet scaled so that the caller can multiply before an underflow.
template <typename F>
struct Scaled {
  F value, scale;
};

template <typename F>
[[gnu::always_inline]] HOST_DEVICE inline Scaled<F> sigmoid_scaled(F x) {
  using E = constants::Exp<LaneOf<F>>;
  F y = -magnitude(x);
  y = select(y < F(E::kUnderflow), F(E::kUnderflow), y);
  const ExpParts<F> e = exp_parts(y);
  const F high = e.high * e.scale2;
  const F low = e.low * e.scale2;
  const F z = high * e.scale1;
  // 1 / (1 + z), or z / (1 + z) for negative x; one Newton step with the roundings of 1 + z and of z put
  // back.
  const F below = F(1) + z;
  const F below_low = (z - (below - F(1))) + low * e.scale1;
  const auto negative = x < F(0);
  const F above = select(negative, high, F(1));
  const F above_low = select(negative, low, F(0));
  const F inverse = F(1) / below;
  const F quotient = above * inverse;
  const F error = fma(-quotient, below_low, fma(-quotient, below, above)) + above_low;
  return {fma(error, inverse, quotient), select(negative, e.scale1, F(1))};
}

template <typename F>
HOST_DEVICE inline F sigmoid(F x) {
  const Scaled<F> s = sigmoid_scaled(x);
  return s.value * s.scale;
}

// x sigmoid(x); -0 at minus infinity.
template <typename F>
HOST_DEVICE inline F silu(F x) {
  using E = constants::Exp<LaneOf<F>>;
  const Scaled<F> s = sigmoid_scaled(x);
  const F y = select(x < F(E::kUnderflow), F(E::kUnderflow), x);
  return (y * s.value) * s.scale;
}

template <typename F>
HOST_DEVICE inline F tanh(F x) {
  using C = constants::Tanh<LaneOf<F>>;
  const F a = magnitude(x);
  const F z = a * a;
  const F small = fma(a * z, horner<C>(z), a);
  const F large = F(1) - F(2) / (exp(a + a) + F(1));
  return with_sign(select(a < F(C::kSmall), small, large), x);
}

#include "core/numerics/elementary_log-inl.h"
#include "core/numerics/elementary_erf-inl.h"
#include "core/numerics/elementary_trig-inl.h"
