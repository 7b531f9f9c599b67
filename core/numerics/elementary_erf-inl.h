// erf, and what is made of the normal distribution: its density, its cdf Phi, gelu(x) = x Phi(x). Part of
// elementary-inl.h.

// exp(-a^2 / 2) for a not negative, as in ExpParts; the square is taken to twice the precision.
template <typename F>
[[gnu::always_inline]] HOST_DEVICE inline ExpParts<F> exp_of_square(F a, LaneOf<F> factor) {
  const F square = a * a;
  const F square_low = fma(a, a, -square);
  ExpParts<F> e = exp_parts(F(factor) * square);
  e.low = fma(e.high, F(factor) * square_low, e.low);
  return e;
}

// G(a) = a exp(a^2 / 2) Q(a), Q being the normal distribution's upper tail, as high + low.
template <typename F>
struct HighLow {
  F high, low;
};

template <typename F>
[[gnu::always_inline]] HOST_DEVICE inline HighLow<F> tail_factor(F q) {
  using C = constants::Tail<LaneOf<F>>;
  const F rest = fma(q, horner<C>(q), F(C::kFirstLow));
  const F high = F(C::kFirst) + rest;
  return {high, rest - (high - F(C::kFirst))};
}

// a Q(a) = (high + low) * scale1 * scale2 for 1 <= a <= kLargest.
template <typename F>
[[gnu::always_inline]] HOST_DEVICE inline ExpParts<F> tail_times_argument(F a) {
  using C = constants::Tail<LaneOf<F>>;
  const HighLow<F> g = tail_factor((a - F(C::kCentre)) / (a + F(C::kCentre)));
  const ExpParts<F> e = exp_of_square(a, LaneOf<F>(-0.5));
  const F product = g.high * e.high;
  const F low = fma(g.high, e.high, -product) + fma(g.high, e.low, g.low * e.high);
  return {product, low, e.scale1, e.scale2};
}

// Phi(x) = high + low for |x| < 1.
template <typename F>
[[gnu::always_inline]] HOST_DEVICE inline HighLow<F> cdf_near_zero(F x) {
  using C = constants::Tail<LaneOf<F>>;
  const F z = F(0.5) * (x * x);
  const F slope = x * F(C::kDensity);
  const F rest = x * fma(z * horner<constants::Erf<LaneOf<F>>>(z), F(C::kErfScale), F(C::kDensityLow));
  const F high = F(0.5) + slope;
  return {high, (slope - (high - F(0.5))) + (fma(x, F(C::kDensity), -slope) + rest)};
}

template <typename F>
HOST_DEVICE inline F gelu(F x) {
  using C = constants::Tail<LaneOf<F>>;
  const F absolute = magnitude(x);
  const F a = select(absolute > F(C::kLargest), F(C::kLargest), absolute);
  const HighLow<F> near = cdf_near_zero(x);
  const F small = magnitude(fma(x, near.high, x * near.low));
  const ExpParts<F> tail = tail_times_argument(a);
  const F below = ((tail.high + tail.low) * tail.scale2) * tail.scale1;
  const F large = select(x < F(0), below, absolute - below);
  return with_sign(select(absolute < F(C::kSmall), small, large), x);
}

template <typename F>
HOST_DEVICE inline F normal_cdf(F x) {
  using C = constants::Tail<LaneOf<F>>;
  const F absolute = magnitude(x);
  const F a = select(absolute > F(C::kLargest), F(C::kLargest), absolute);
  const HighLow<F> near = cdf_near_zero(x);
  const ExpParts<F> tail = tail_times_argument(a);
  // Divided by a, with one Newton step for the rounding of the inverse and for the low part.
  const F inverse = F(1) / a;
  const F quotient = tail.high * inverse;
  const F error = fma(-quotient, a, tail.high) + tail.low;
  const F below = (fma(error, inverse, quotient) * tail.scale2) * tail.scale1;
  const F large = select(x < F(0), below, F(1) - below);
  return select(absolute < F(C::kSmall), near.high + near.low, large);
}

// exp(-x^2 / 2) / sqrt(2 pi)
template <typename F>
HOST_DEVICE inline F normal_density(F x) {
  using C = constants::Tail<LaneOf<F>>;
  const F absolute = magnitude(x);
  const F a = select(absolute > F(C::kLargest), F(C::kLargest), absolute);
  const ExpParts<F> e = exp_of_square(a, LaneOf<F>(-0.5));
  const F value = fma(F(C::kDensity), e.high, fma(F(C::kDensity), e.low, F(C::kDensityLow) * e.high));
  return (value * e.scale2) * e.scale1;
}

template <typename F>
HOST_DEVICE inline F erf(F x) {
  using C = constants::Erf<LaneOf<F>>;
  using Tail = constants::Tail<LaneOf<F>>;
  const F absolute = magnitude(x);
  const F z = absolute * absolute;
  const F small = fma(absolute, F(C::kFirst), absolute * fma(z, horner<C>(z), F(C::kFirstLow)));
  // erfc(a) = 2 Q(b) = 2 exp(-a^2) G(b) / b, b = a sqrt 2; one division serves G's argument and / b.
  const F a = select(absolute > F(C::kLargest), F(C::kLargest), absolute);
  const F b = a * F(C::kSqrt2);
  const F inverse = F(1) / (b * (b + F(Tail::kCentre)));
  const HighLow<F> g = tail_factor((b - F(Tail::kCentre)) * (b * inverse));
  const ExpParts<F> e = exp_of_square(a, LaneOf<F>(-1));
  const F complement =
      (g.high * ((b + F(Tail::kCentre)) * inverse)) * ((e.high + e.low) * e.scale1 * e.scale2);
  return with_sign(select(absolute < F(1), small, F(1) - F(2) * complement), x);
}
