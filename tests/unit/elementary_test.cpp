// Special values, signs of zero, subnormal results and symmetry of the elementary functions. Their errors are
// judged in tests/conformance, their bits on registers in simd_test.cpp.
#include "core/numerics/elementary.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>

#include "core/numerics/philox.h"
#include "tests/support/elementary.h"

namespace isobit::testing {
namespace {

template <typename T>
class ElementaryValues : public ::testing::Test {
 protected:
  static constexpr T kInf = std::numeric_limits<T>::infinity();
  static constexpr T kNan = std::numeric_limits<T>::quiet_NaN();

  // value(x) has the bits of `expected`.
  static void expect(Elementary function, T x, T expected) {
    const T got = elementary_scalar(function, x);
    EXPECT_TRUE(got == expected && std::signbit(got) == std::signbit(expected))
        << kElementary[static_cast<std::size_t>(function)].name << '(' << x << ") = " << got << ", expected "
        << expected;
  }
  static void expect_nan(Elementary function, T x) {
    EXPECT_TRUE(std::isnan(elementary_scalar(function, x)))
        << kElementary[static_cast<std::size_t>(function)].name << '(' << x
        << ") = " << elementary_scalar(function, x);
  }
};

using Formats = ::testing::Types<float, double>;
TYPED_TEST_SUITE(ElementaryValues, Formats);

TYPED_TEST(ElementaryValues, NanGivesNan) {
  for (const ElementaryInfo& info : kElementary) {
    this->expect_nan(info.function, this->kNan);
    this->expect_nan(info.function, -this->kNan);
  }
}

TYPED_TEST(ElementaryValues, Infinities) {
  using T = TypeParam;
  const T inf = this->kInf;
  const struct {
    Elementary function;
    T at_minus, at_plus;
  } table[] = {
      {Elementary::exp, 0, inf},          {Elementary::expm1, -1, inf},   {Elementary::tanh, -1, 1},
      {Elementary::sigmoid, 0, 1},        {Elementary::softplus, 0, inf}, {Elementary::silu, -T(0), inf},
      {Elementary::erf, -1, 1},           {Elementary::gelu, -T(0), inf}, {Elementary::normal_cdf, 0, 1},
      {Elementary::normal_density, 0, 0},
  };
  for (const auto& row : table) {
    this->expect(row.function, -inf, row.at_minus);
    this->expect(row.function, inf, row.at_plus);
  }
  this->expect(Elementary::log, inf, inf);
  this->expect_nan(Elementary::log, -inf);
  this->expect(Elementary::log1p, inf, inf);
  this->expect_nan(Elementary::log1p, -inf);
  for (Elementary function : {Elementary::sin, Elementary::cos}) {
    this->expect_nan(function, inf);
    this->expect_nan(function, -inf);
  }
}

TYPED_TEST(ElementaryValues, ExactPoints) {
  using T = TypeParam;
  for (const T zero : {T(0), -T(0)}) {
    for (Elementary odd : {Elementary::expm1, Elementary::log1p, Elementary::tanh, Elementary::silu,
                           Elementary::erf, Elementary::gelu, Elementary::sin}) {
      this->expect(odd, zero, zero);
    }
    this->expect(Elementary::exp, zero, 1);
    this->expect(Elementary::cos, zero, 1);
    this->expect(Elementary::sigmoid, zero, T(0.5));
    this->expect(Elementary::normal_cdf, zero, T(0.5));
    this->expect(Elementary::log, zero, -this->kInf);
  }
  this->expect(Elementary::log, 1, 0);
  this->expect(Elementary::log1p, -1, -this->kInf);
  this->expect_nan(Elementary::log, -std::numeric_limits<T>::denorm_min());
  this->expect_nan(Elementary::log, -1);
  this->expect_nan(Elementary::log1p, std::nextafter(T(-1), T(-2)));
}

TYPED_TEST(ElementaryValues, OverflowAndUnderflow) {
  using T = TypeParam;
  const T tiny = std::numeric_limits<T>::denorm_min();
  // The arguments next to where the exact result rounds to infinity, to the smallest subnormal number, to
  // zero.
  constexpr bool single = std::is_same_v<T, float>;
  const T last = single ? T(0x1.62e42ep+6) : T(0x1.62e42fefa39efp+9);
  EXPECT_TRUE(std::isfinite(elementary_scalar(Elementary::exp, last)));
  this->expect(Elementary::exp, std::nextafter(last, this->kInf), this->kInf);
  this->expect(Elementary::exp, single ? T(-103.5) : T(-745), tiny);
  this->expect(Elementary::exp, single ? T(-103.98) : T(-745.14), 0);
  this->expect(Elementary::exp, -std::numeric_limits<T>::max(), 0);
  this->expect(Elementary::exp, std::numeric_limits<T>::max(), this->kInf);
  for (Elementary identity : {Elementary::expm1, Elementary::log1p, Elementary::tanh, Elementary::sin}) {
    this->expect(identity, tiny, tiny);
    this->expect(identity, -5 * tiny, -5 * tiny);
  }
  this->expect(Elementary::log, tiny, single ? T(-0x1.9d1da0p+6) : T(-0x1.74385446d71c3p+9));
  this->expect(Elementary::silu, -std::numeric_limits<T>::max(), -T(0));
  this->expect(Elementary::gelu, -std::numeric_limits<T>::max(), -T(0));
  this->expect(Elementary::gelu, std::numeric_limits<T>::max(), std::numeric_limits<T>::max());
  this->expect(Elementary::softplus, std::numeric_limits<T>::max(), std::numeric_limits<T>::max());
}

TYPED_TEST(ElementaryValues, OddAndEven) {
  using T = TypeParam;
  for (std::uint64_t i = 0; i < 20'000; ++i) {
    const T x = static_cast<T>(std::ldexp(numerics::uniform_f64({2, 3}, i), static_cast<int>(i % 120) - 20));
    for (Elementary odd : {Elementary::tanh, Elementary::erf, Elementary::sin}) {
      ASSERT_EQ(elementary_scalar(odd, -x), -elementary_scalar(odd, x)) << x;
    }
    for (Elementary even : {Elementary::cos, Elementary::normal_density}) {
      ASSERT_EQ(elementary_scalar(even, -x), elementary_scalar(even, x)) << x;
    }
  }
}

TEST(LargeAngles, ReductionKnowsEnoughOfPi) {
  // The f64 and the f32 nearest to a multiple of pi / 2 (Muller et al., Handbook of Floating-Point
  // Arithmetic, 10.4.2).
  EXPECT_NEAR(numerics::cos(std::ldexp(6381956970095103.0, 797)), -4.68716592425462761112e-19, 1e-34);
  EXPECT_NEAR(numerics::cos(std::ldexp(16367173.0f, 72)), -1.6147697982476e-9, 2e-16);
}

}  // namespace
}  // namespace isobit::testing
