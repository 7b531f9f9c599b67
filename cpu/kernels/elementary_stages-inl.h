// The longest of elementary_ranges-inl.h's functions, by four registers in lockstep and in two stages: one
// register after the other would wait for its own chain of forty dependent operations most of the time, since
// a processor sees only some forty operations ahead. While the second half of four registers is computed, the
// first half of the next four is. The same bits: every operation is one of ranges::, or equal to those in its
// place for all floats of the range (tests/unit/elementary_ranges_test.cpp).
//
// Each object: kLargest; first(-|x|) is what the stages hand over; second(x, that) the result. AVX-512 alone:
// it takes 32 registers.
#if defined(ISOBIT_CPU_KERNELS_ELEMENTARY_STAGES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ISOBIT_CPU_KERNELS_ELEMENTARY_STAGES_INL_H_
#undef ISOBIT_CPU_KERNELS_ELEMENTARY_STAGES_INL_H_
#else
#define ISOBIT_CPU_KERNELS_ELEMENTARY_STAGES_INL_H_
#endif

#include "cpu/kernels/pointwise_simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {

/// gelu's gradient as one piece of code, in which its two functions share exp(-x^2 / 2).
[[gnu::flatten, gnu::noinline]] inline Vec<float> whole_gelu_grad(Vec<float> dy, Vec<float> x) {
  return GeluGrad()(dy, x, Vec<float>(0.0f));
}
struct WholeGeluGrad {
  HWY_INLINE Vec<float> operator()(Vec<float> dy, Vec<float> x, Vec<float>) const {
    return whole_gelu_grad(dy, x);
  }
};

#if HWY_TARGET == HWY_AVX3
namespace stages {

using F = Vec<float>;
using B = Bits<float>;
using E = constants::Exp<float>;

/// Four registers; what is done to them is done to each.
struct Four {
  F r[4];

  Four() = default;
  HWY_INLINE Four(F value) : r{value, value, value, value} {}  // NOLINT: constants are written bare
  HWY_INLINE Four(float value) : Four(F(value)) {}             // NOLINT
};

template <class Op>
HWY_INLINE Four each(const Op& op) {
  Four y;
  y.r[0] = op(0);
  y.r[1] = op(1);
  y.r[2] = op(2);
  y.r[3] = op(3);
  return y;
}

HWY_INLINE Four operator+(const Four& a, const Four& b) {
  return each([&](int i) HWY_ATTR { return a.r[i] + b.r[i]; });
}
HWY_INLINE Four operator-(const Four& a, const Four& b) {
  return each([&](int i) HWY_ATTR { return a.r[i] - b.r[i]; });
}
HWY_INLINE Four operator*(const Four& a, const Four& b) {
  return each([&](int i) HWY_ATTR { return a.r[i] * b.r[i]; });
}
HWY_INLINE Four operator/(const Four& a, const Four& b) {
  return each([&](int i) HWY_ATTR { return a.r[i] / b.r[i]; });
}
HWY_INLINE Four fma(const Four& a, const Four& b, const Four& c) {
  return each([&](int i) HWY_ATTR { return fma(a.r[i], b.r[i], c.r[i]); });
}
HWY_INLINE Four fnma(const Four& a, const Four& b, const Four& c) {
  return each([&](int i) HWY_ATTR { return fnma(a.r[i], b.r[i], c.r[i]); });
}
/// a * b - c, rounded once.
HWY_INLINE Four fms(const Four& a, const Four& b, const Four& c) {
  return each([&](int i) HWY_ATTR { return F(hn::MulSub(a.r[i].raw, b.r[i].raw, c.r[i].raw)); });
}
HWY_INLINE Four load_four(const float* x) {
  constexpr std::int64_t size = F::size;
  return each([&](int i) HWY_ATTR { return load(x + i * size); });
}
/// a + b where the lane of `of` is below zero, else a.
HWY_INLINE Four plus_where_negative(const Four& of, const Four& a, const Four& b) {
  return each([&](int i) HWY_ATTR { return select(of.r[i] < F(0), a.r[i] + b.r[i], a.r[i]); });
}
HWY_INLINE Four where_negative(const Four& of, const Four& a, const Four& b) {
  return each([&](int i) HWY_ATTR { return select(of.r[i] < F(0), a.r[i], b.r[i]); });
}

/// sigmoid. Between the stages: z = e^-|x| as z + low.
struct Sigmoid {
  static constexpr std::uint32_t kLargest = ranges::k40;
  struct Parts {
    Four z, low;
  };

  static HWY_INLINE Parts first(const Four& y) {
    // 127 in the low bits: the sum, shifted, is 2^n. (An odd number: within the range there are no ties.)
    constexpr float kMagic = 0x1.8p+23f + 127;
    const Four shifted = fma(y, E::kLog2E, kMagic);
    const Four n = shifted - kMagic;
    const Four remainder = fma(n, -E::kLn2High, y);
    const Four f = fma(n, -E::kLn2Low, remainder);
    Four p = fma(f, E::c[5], E::c[4]);
    const Four sum = f + 1.0f;
    p = fma(p, f, E::c[3]);
    const Four back = sum - 1.0f;
    p = fma(p, f, E::c[2]);
    const Four difference = remainder - back;
    p = fma(p, f, E::c[1]);
    const Four f_low = fma(n, -E::kLn2Low, difference);
    p = fma(p, f, E::c[0]);
    const Four square = f * f;
    const Four rest = fma(square, p, f_low);
    const Four high = sum + rest;
    const Four low = rest - (high - sum);
    const Four scale = each([&](int i) HWY_ATTR { return from_bits(shift_left<23>(to_bits(shifted.r[i]))); });
    const Four z = each([&](int i) HWY_ATTR {
      return from_bits(to_bits(high.r[i]) + (to_bits(scale.r[i]) - B(Format<F>::kOne)));
    });
    return {z, low * scale};
  }

  static HWY_INLINE Four second(const Four& x, const Parts& e) {
    const Four below = e.z + 1.0f;
    const Four inverse = Four(1.0f) / below;
    const Four above = where_negative(x, e.z, 1.0f);
    const Four below_low = (e.z - (below - 1.0f)) + e.low;
    const Four quotient = above * inverse;
    const Four error = fnma(quotient, below_low, fnma(quotient, below, above));
    return fma(plus_where_negative(x, error, e.low), inverse, quotient);
  }
};

struct Silu : Sigmoid {
  static HWY_INLINE Four second(const Four& x, const Parts& e) { return x * Sigmoid::second(x, e); }
};

/// silu's gradient, but for dy.
struct SiluSlope : Sigmoid {
  static HWY_INLINE Four second(const Four& x, const Parts& e) {
    const Four s = Sigmoid::second(x, e);
    return s * fma(x, Four(1.0f) - s, 1.0f);
  }
};

/// gelu's gradient for |x| < 1, but for dy. Between the stages: z = -x^2 / 2 and the density.
struct GeluSlope {
  static constexpr std::uint32_t kLargest = ranges::kBelow1;
  struct Parts {
    Four z, density;
  };

  static HWY_INLINE Parts first(const Four& y) {
    using C = constants::Tail<float>;
    const Four half = y * -0.5f;
    const Four z = half * y;
    const Four z_low = fms(half, y, z);
    // z lies between -1/2 and 0, its n is 0 or -1: from -ln 2 / 2 down.
    constexpr float kOne = -0x1.62e42ep-2f;
    const auto plus_where_one = [&](const Four& a, float b) HWY_ATTR {
      return each([&](int i) HWY_ATTR { return select(z.r[i] < F(kOne), a.r[i] + F(b), a.r[i]); });
    };
    const Four remainder = plus_where_one(z, E::kLn2High);
    const Four f = plus_where_one(remainder, E::kLn2Low);
    const Four sum = f + 1.0f;
    Four p = fma(f, E::c[5], E::c[4]);
    Four f_low = plus_where_one(remainder - f, E::kLn2Low);
    p = fma(p, f, E::c[3]);
    f_low = (f - (sum - 1.0f)) + f_low;
    p = fma(p, f, E::c[2]);
    p = fma(p, f, E::c[1]);
    p = fma(p, f, E::c[0]);
    const Four rest = fma(f * f, p, f_low);
    const Four high = sum + rest;
    const Four low = fma(high, z_low, rest - (high - sum));
    const Four value = fma(high, C::kDensity, fma(low, C::kDensity, high * C::kDensityLow));
    return {z, each([&](int i) HWY_ATTR {
              const B halved = to_bits(value.r[i]) - B(std::uint32_t{1} << Format<F>::kFraction);
              return select(z.r[i] < F(kOne), from_bits(halved), value.r[i]);
            })};
  }

  static HWY_INLINE Four second(const Four& x, const Parts& e) {
    using C = constants::Tail<float>;
    using P = constants::Erf<float>;  // a polynomial in x^2 / 2
    Four p = fma(e.z, P::c[6], -P::c[5]);
    const Four slope = x * C::kDensity;
    p = fma(p, e.z, P::c[4]);
    const Four high = slope + 0.5f;
    p = fma(p, e.z, -P::c[3]);
    const Four high_low = slope - (high - 0.5f);
    p = fma(p, e.z, P::c[2]);
    const Four slope_low = fms(x, C::kDensity, slope);
    p = fma(p, e.z, -P::c[1]);
    p = fma(p, e.z, P::c[0]);
    const Four rest = x * fma(e.z * p, -C::kErfScale, C::kDensityLow);
    const Four cdf = high + (high_low + (slope_low + rest));
    return fma(x, e.density, cdf);
  }
};

/// Whether every |x| is at most the number of these bits, of y = -|x|. (NaN's bits are larger.)
HWY_INLINE bool all_within(const Four& y, std::uint32_t largest) {
  constexpr BitsTag<float> t;
  const auto bits = [&](int i) HWY_ATTR { return to_bits(y.r[i]).raw; };
  const auto most = hn::Max(hn::Max(bits(0), bits(1)), hn::Max(bits(2), bits(3)));
  return hn::AllFalse(t, hn::Gt(most, hn::Set(t, largest | Format<F>::kSign)));
}
HWY_INLINE Four minus_magnitude(const Four& x) {
  return each([&](int i) HWY_ATTR { return from_bits(to_bits(x.r[i]) | B(Format<F>::kSign)); });
}

/// Blocks of four registers from x + i on: rest(i) where an argument is out of range, else
/// put(i, Staged's result). Returns how many elements that were.
template <class Staged, class Rest, class Put>
HWY_INLINE std::int64_t for_blocks(const float* x, std::int64_t n, const Rest& rest, const Put& put) {
  constexpr std::int64_t block = kFour<float>;
  std::int64_t i = 0;
  while (i + block <= n) {
    Four y = minus_magnitude(load_four(x + i));
    if (!all_within(y, Staged::kLargest)) {
      rest(i);
      i += block;
      continue;
    }
    auto parts = Staged::first(y);
    for (; i + 2 * block <= n; i += block) {
      y = minus_magnitude(load_four(x + i + block));
      if (!all_within(y, Staged::kLargest)) break;
      const auto next = Staged::first(y);
      put(i, Staged::second(load_four(x + i), parts));
      parts = next;
    }
    put(i, Staged::second(load_four(x + i), parts));
    i += block;
  }
  return i;
}

template <class Function, class Staged>
void unary_tile(float a, const float* x, float* out, std::int64_t n, bool past) {
  const std::int64_t done = for_blocks<Staged>(
      x, n,
      [&](std::int64_t i) HWY_ATTR {
        cpu::HWY_NAMESPACE::unary_tile<Function, float>(a, x + i, out + i, kFour<float>, false);
      },
      [&](std::int64_t i, const Four& y) HWY_ATTR {
        if (past) ask_ahead<float>(i, n, x);
        put_four(y.r[0], y.r[1], y.r[2], y.r[3], out + i, past);
      });
  if (done < n) cpu::HWY_NAMESPACE::unary_tile<Function, float>(a, x + done, out + done, n - done, false);
}

/// The same of a gradient: dy times Staged's result.
template <class Function, class Staged>
void gradient_tile(float a, const float* dy, const float* x, float* out, std::int64_t n, bool past) {
  const std::int64_t done = for_blocks<Staged>(
      x, n,
      [&](std::int64_t i)
          HWY_ATTR { binary_tile<Function, float>(a, dy + i, x + i, out + i, kFour<float>, false); },
      [&](std::int64_t i, const Four& slope) HWY_ATTR {
        if (past) ask_ahead<float>(i, n, dy, x);
        const Four y = load_four(dy + i) * slope;
        put_four(y.r[0], y.r[1], y.r[2], y.r[3], out + i, past);
      });
  if (done < n) binary_tile<Function, float>(a, dy + done, x + done, out + done, n - done, false);
}

}  // namespace stages
#endif

}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per target
