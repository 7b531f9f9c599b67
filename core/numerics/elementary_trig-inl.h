// sin and cos. Part of elementary-inl.h.

// An angle as quadrant * pi / 2 + high + low, |high| <= pi / 4 and a little more.
template <typename F>
struct Angle {
  F high, low;
  BitsOf<F> quadrant;  // its two low bits count
};

// For 0 <= a <= Circle::kLimit.
template <typename F>
[[gnu::always_inline]] HOST_DEVICE inline Angle<F> reduce_angle(F a) {
  using C = constants::Circle<LaneOf<F>>;
  const F shifted = fma(a, F(C::kInverse), F(C::kMagic));
  const F n = shifted - F(C::kMagic);
  const F first = fma(n, F(-C::kHalfPi0), a);  // exact
  const F product = n * F(C::kHalfPi1);
  const F product_low = fma(n, F(C::kHalfPi1), -product);
  const F second = first - product;  // its error, whichever of the two is larger
  const F back = second - first;
  const F error = (first - (second - back)) - (product + back);
  const F rest = fma(n, F(-C::kHalfPi2), error - product_low);
  const F high = second + rest;
  return {high, rest - (high - second), to_bits(shifted)};
}

// The sine of the angle; with turn = 1 its cosine.
template <typename F>
[[gnu::always_inline]] HOST_DEVICE inline F sin_of_angle(Angle<F> angle, typename Format<F>::Bits turn) {
  using T = LaneOf<F>;
  using B = BitsOf<F>;
  using Lane = typename Format<F>::Bits;
  const F r = angle.high;
  const F z = r * r;
  const F sine = r + fma(r * z, horner<constants::Sin<T>>(z), angle.low);
  const F half = F(0.5) * z;
  const F top = F(1) - half;
  const F cosine = top + (((F(1) - top) - half) + fma(z * z, horner<constants::Cos<T>>(z), -(r * angle.low)));
  const B quadrant = angle.quadrant + B(turn);
  const F value = select((quadrant & B(Lane{1})) == B(Lane{0}), sine, cosine);
  return from_bits(to_bits(value) ^ shift_left<8 * sizeof(Lane) - 2>(quadrant & B(Lane{2})));
}

template <typename F>
HOST_DEVICE inline F sin(F x) {
  const F a = magnitude(x);
  F value = sin_of_angle(reduce_angle(a), 0);
  const auto large = !(a <= F(constants::Circle<LaneOf<F>>::kLimit));
  if (any(large)) value = select(large, map_lanes(a, numerics::LargeSin()), value);
  return from_bits(to_bits(value) ^ (to_bits(x) & BitsOf<F>(Format<F>::kSign)));
}

template <typename F>
HOST_DEVICE inline F cos(F x) {
  const F a = magnitude(x);
  F value = sin_of_angle(reduce_angle(a), 1);
  const auto large = !(a <= F(constants::Circle<LaneOf<F>>::kLimit));
  if (any(large)) value = select(large, map_lanes(a, numerics::LargeCos()), value);
  return value;
}
