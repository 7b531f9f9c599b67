// Quotients (cpu/kernels/quotient-inl.h) against the processor's division, for every significand of x: at
// both ends of what they serve and between, by divisors whose reciprocals are as far from their roundings as
// can be.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tests/unit/quotient_test.cpp"
#include <hwy/foreach_target.h>
#include "cpu/kernels/quotient-inl.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::testing::HWY_NAMESPACE {

/// How many of the floats in [2^exponent, 2^(exponent + 1)) Quotients divides by s differently.
std::int64_t differing(float s, int exponent) {
  using V = cpu::HWY_NAMESPACE::Vec<float>;
  constexpr cpu::HWY_NAMESPACE::BitsTag<float> bits;
  const cpu::HWY_NAMESPACE::Quotients quotient{V(s)};
  const auto first = static_cast<std::uint32_t>(exponent + 127) << 23;
  std::int64_t count = 0;
  for (std::uint32_t i = 0; i < 1u << 23; i += V::size) {
    const V x(hwy::HWY_NAMESPACE::BitCast(cpu::HWY_NAMESPACE::Tag<float>(),
                                          hwy::HWY_NAMESPACE::Iota(bits, first + i)));
    count += cpu::HWY_NAMESPACE::any(quotient(x) != x / V(s)) ? 1 : 0;
  }
  return count;
}

}  // namespace isobit::testing::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "core/numerics/philox.h"
#include "cpu/runtime/isa.h"

namespace isobit::testing {
namespace {

HWY_EXPORT(differing);

std::vector<float> divisors() {
  std::vector<float> all{1, std::nextafter(1.0f, 2.0f), std::nextafter(2.0f, 1.0f), 1.5f, 3, 1000, 0x1p+23f};
  for (std::uint64_t i = 0; i < 24; ++i) {
    const numerics::PhiloxBlock random = numerics::random_block({3, 4}, i);
    const float significand = 1 + static_cast<float>(random.word[0] >> 9) * 0x1p-23f;
    all.push_back(std::ldexp(significand, static_cast<int>(random.word[1] % 23)));
  }
  return all;
}

TEST(Quotients, AreThoseOfDivision) {
  const cpu::Isa before = cpu::current_isa();
  for (const cpu::Isa isa : cpu::available_isas()) {
    if (isa == cpu::Isa::scalar) continue;  // divides
    cpu::set_isa(isa);
    for (const float s : divisors())
      for (const int exponent : {-100, -37, -1})
        EXPECT_EQ(HWY_DYNAMIC_DISPATCH(differing)(s, exponent), 0)
            << "by " << s << " from 2^" << exponent << ", " << cpu::isa_name(isa);
  }
  cpu::set_isa(before);
}

}  // namespace
}  // namespace isobit::testing
#endif
