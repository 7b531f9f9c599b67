// log, log1p, softplus. Part of elementary-inl.h.

// A positive normal number as m 2^e, m in [2/3, 4/3) for f32, [sqrt 1/2, sqrt 2) for f64.
template <typename F>
struct Decomposed {
  F m, e;
  BitsOf<F> exponent;  // e plus the bias
};

template <typename F>
[[gnu::always_inline]] HOST_DEVICE inline Decomposed<F> decompose(F x) {
  using Fmt = Format<F>;
  using B = typename Fmt::Bits;
  constexpr B kLowest = Fmt::is_single ? B{0x3f2aaaabu} : static_cast<B>(0x3fe6a09e00000000u);
  constexpr B kTwoToFraction = static_cast<B>(Fmt::is_single ? 0x4b000000u : 0x4330000000000000u);
  constexpr int kBias = Fmt::is_single ? 127 : 1023;
  const BitsOf<F> bits = to_bits(x);
  Decomposed<F> d;
  d.exponent = shift_right<Fmt::kFraction>(bits + BitsOf<F>(static_cast<B>(Fmt::kOne - kLowest)));
  d.m = from_bits(bits - shift_left<Fmt::kFraction>(d.exponent) + BitsOf<F>(Fmt::kOne));
  // An integer below 2^23 (2^52) becomes a float by being put into the fraction of 2^23.
  constexpr LaneOf<F> kShift = static_cast<LaneOf<F>>(Fmt::is_single ? 0x1p+23 : 0x1p+52) + kBias;
  d.e = from_bits(d.exponent | BitsOf<F>(kTwoToFraction)) - F(kShift);
  return d;
}

// e ln 2 + log(1 + f)
template <typename F>
[[gnu::always_inline]] HOST_DEVICE inline F log_of_parts(F e, F f) {
  using C = constants::Log<LaneOf<F>>;
  if constexpr (Format<F>::is_single) {
    const F value = fma(horner<C>(f), f * f, f);
    return fma(e, F(C::kLn2), value);
  } else {
    // s = f / (2 + f); log(1 + f) = f - s (f - R) = f - (f^2 / 2 - s (f^2 / 2 + R)), where the last form
    // cancels least.
    const F s = f / (F(2) + f);
    const F z = s * s;
    const F r = z * horner<C>(z);
    const F half_square = F(0.5) * f * f;
    return fma(e, F(C::kLn2High), -((half_square - fma(s, half_square + r, e * F(C::kLn2Low))) - f));
  }
}

template <typename F>
HOST_DEVICE inline F log(F x) {
  using T = LaneOf<F>;
  constexpr T kSmallest = static_cast<T>(Format<F>::is_single ? 0x1p-126 : 0x1p-1022);
  constexpr T kUp = static_cast<T>(Format<F>::is_single ? 0x1p+25 : 0x1p+54);
  constexpr T kDown = static_cast<T>(Format<F>::is_single ? 25 : 54);
  const auto subnormal = x < F(kSmallest);
  const Decomposed<F> d = decompose(select(subnormal, x * F(kUp), x));
  F value = log_of_parts(select(subnormal, d.e - F(kDown), d.e), d.m - F(1));
  value = select(x < infinity<F>(), value, x);  // infinity and NaN
  value = select(x == F(0), -infinity<F>(), value);
  return select(x < F(0), from_bits(BitsOf<F>(Format<F>::kQuietNan)), value);
}

// log(1 + x + low), low far below x.
template <typename F>
[[gnu::always_inline]] HOST_DEVICE inline F log1p_sum(F x, F low) {
  using T = LaneOf<F>;
  using B = typename Format<F>::Bits;
  const F u = F(1) + x;
  const F back = u - F(1);
  const F error = (F(1) - (u - back)) + (x - back) + low;
  const Decomposed<F> d = decompose(u);
  // The error, divided by 2^e; beyond 2^60 it no longer counts.
  const F scale = from_bits(BitsOf<F>(static_cast<B>(2 * Format<F>::kOne)) -
                            shift_left<Format<F>::kFraction>(d.exponent));
  const F f = fma(error, select(u < F(static_cast<T>(0x1p+60)), scale, F(0)), d.m - F(1));
  return log_of_parts(d.e, f);
}

template <typename F>
HOST_DEVICE inline F log1p(F x) {
  F value = log1p_sum(x, F(0));
  value = select(x < infinity<F>(), value, x);  // infinity and NaN
  value = select(x == F(0), x, value);
  value = select(x == F(-1), -infinity<F>(), value);
  return select(x < F(-1), from_bits(BitsOf<F>(Format<F>::kQuietNan)), value);
}

// log(1 + e^x) = max(x, 0) + log(1 + e^-|x|)
template <typename F>
HOST_DEVICE inline F softplus(F x) {
  using E = constants::Exp<LaneOf<F>>;
  F y = -magnitude(x);
  y = select(y < F(E::kUnderflow), F(E::kUnderflow), y);
  const ExpParts<F> e = exp_parts(y);
  const F z = (e.high * e.scale1) * e.scale2;
  const F value = log1p_sum(z, (e.low * e.scale1) * e.scale2);
  return select(x > F(0), x + value, value);
}
