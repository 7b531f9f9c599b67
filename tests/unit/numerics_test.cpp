// fma in software, halves, casts, the order constants, the floating-point mode, Philox and what is drawn from
// it.
#include <gtest/gtest.h>

#include <bit>
#include <cfenv>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "core/numerics/casts.h"
#include "core/numerics/fma.h"
#include "core/numerics/fp_mode.h"
#include "core/numerics/half.h"
#include "core/numerics/order.h"
#include "core/numerics/philox.h"
#include "core/numerics/random_values.h"

namespace isobit::numerics {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

std::uint32_t bits(float v) {
  return std::bit_cast<std::uint32_t>(v);
}

// Bits, but any NaN equals any NaN.
bool same(float a, float b) {
  return (std::isnan(a) && std::isnan(b)) || bits(a) == bits(b);
}

TEST(Fma, SoftwareEqualsTheCLibrary) {
  const RandomKey key{1, 2};
  std::size_t compared = 0;
  for (std::uint64_t i = 0; i < 400'000; ++i) {
    const PhiloxBlock words = random_block(key, i);
    float a = std::bit_cast<float>(words.word[0]);
    float b = std::bit_cast<float>(words.word[1]);
    float c = std::bit_cast<float>(words.word[2]);
    switch (i % 4) {
      case 0:
        break;  // every exponent
      case 1:   // near ties: the addend is the product, rounded, times 2^-24 or so
        c = static_cast<float>(static_cast<double>(a) * b *
                               std::ldexp(1.0, static_cast<int>(words.word[3] % 60) - 30));
        break;
      case 2:  // subnormal results
        a = std::ldexp(1.0f + uniform_from_word(words.word[0]), -70);
        b = std::ldexp(1.0f + uniform_from_word(words.word[1]), -static_cast<int>(words.word[3] % 85));
        c = std::bit_cast<float>(words.word[2] & 0x80ffffffu);
        break;
      case 3:  // cancellation
        c = -static_cast<float>(static_cast<double>(a) * b);
        break;
    }
    ASSERT_TRUE(same(fma_software(a, b, c), std::fmaf(a, b, c))) << a << " * " << b << " + " << c;
    ASSERT_TRUE(same(numerics::fma(a, b, c), std::fmaf(a, b, c))) << a << " * " << b << " + " << c;
    ++compared;
  }
  EXPECT_EQ(compared, 400'000u);
}

TEST(Fma, SpecialOperands) {
  const float values[] = {0.0f, -0.0f,     1.0f,       -1.0f,           kInf,      -kInf,
                          kNan, 0x1p-149f, -0x1p-149f, 0x1.fffffep127f, 0x1p-126f, 1.5f};
  for (float a : values) {
    for (float b : values) {
      for (float c : values) {
        EXPECT_TRUE(same(fma_software(a, b, c), std::fmaf(a, b, c))) << a << " * " << b << " + " << c;
      }
    }
  }
}

TEST(Half, EveryF16ComesBack) {
  for (std::uint32_t h = 0; h < 65536; ++h) {
    const auto half = static_cast<std::uint16_t>(h);
    const float wide = f16_to_f32(half);
    if ((h & 0x7fff) > 0x7c00) {
      EXPECT_TRUE(std::isnan(wide) && (f32_to_f16(wide) & 0x7fff) > 0x7c00) << h;
    } else {
      ASSERT_EQ(f32_to_f16(wide), half);
      ASSERT_EQ(f64_to_f16(wide), half);
      const int exponent = static_cast<int>(h >> 10 & 31);
      const double expected =
          exponent == 31 ? kInf
                         : std::ldexp((h & 1023) + (exponent == 0 ? 0 : 1024), std::max(exponent, 1) - 25);
      ASSERT_EQ(std::fabs(wide), expected);
      ASSERT_EQ(std::signbit(wide), h >= 32768);
    }
  }
}

// The nearest of two neighbours, by arithmetic that is exact in double.
template <typename Widen>
std::uint16_t nearest(double magnitude, std::uint16_t infinity, Widen widen) {
  std::uint16_t low = 0, high = infinity;
  while (high - low > 1) {
    const auto middle = static_cast<std::uint16_t>((low + high) / 2);
    (static_cast<double>(widen(middle)) <= magnitude ? low : high) = middle;
  }
  const double below = widen(low);
  // Infinity stands where the next power of two would.
  const double above =
      high == infinity ? 2 * widen(infinity - 1) - widen(infinity - 2) : static_cast<double>(widen(high));
  if (magnitude - below == above - magnitude) return low % 2 == 0 ? low : high;
  return magnitude - below < above - magnitude ? low : high;
}

TEST(Half, NarrowingRoundsToNearestEven) {
  const RandomKey key{3, 4};
  for (std::uint64_t i = 0; i < 40'000; ++i) {
    const PhiloxBlock words = random_block(key, i);
    const int exponent = static_cast<int>(words.word[3] % 46) - 28;
    double v = std::ldexp(1.0 + uniform_from_words(words.word[0], words.word[1]), exponent);
    if (i % 2 == 0) {  // a tie of f16, or a neighbour of one
      const double step = std::ldexp(1.0, std::max(exponent, -14) - 11);
      v = std::floor(v / step) * step;
      if (i % 3 == 0) v = std::nextafter(v, i % 4 == 0 ? 0.0 : 1e30);
    }
    ASSERT_EQ(f64_to_f16(v), nearest(v, 0x7c00, f16_to_f32)) << std::hexfloat << v;
    ASSERT_EQ(f64_to_bf16(v), nearest(v, 0x7f80, bf16_to_f32)) << std::hexfloat << v;
    const float f = static_cast<float>(v);
    ASSERT_EQ(f32_to_f16(-f), nearest(f, 0x7c00, f16_to_f32) | 0x8000);
    ASSERT_EQ(f32_to_bf16(-f), nearest(f, 0x7f80, bf16_to_f32) | 0x8000);
  }
}

TEST(Half, RoundsOnceFromDouble) {
  // Through f32 this would become a tie, and round down to even.
  const double v = 1.0 + 0x1p-11 + 0x1p-40;
  EXPECT_EQ(f64_to_f16(v), 0x3c01);
  EXPECT_EQ(f32_to_f16(static_cast<float>(v)), 0x3c00);
  EXPECT_EQ(f64_to_bf16(1.0 + 0x1p-8 + 0x1p-40), 0x3f81);
}

TEST(Half, Edges) {
  EXPECT_EQ(f32_to_f16(65519.996f), 0x7bff);
  EXPECT_EQ(f32_to_f16(65520.0f), 0x7c00);
  EXPECT_EQ(f32_to_f16(0x1p-25f), 0x0000);
  EXPECT_EQ(f32_to_f16(0x1.000002p-25f), 0x0001);
  EXPECT_EQ(f32_to_f16(-0.0f), 0x8000);
  EXPECT_EQ(f32_to_bf16(0x1.fffffep127f), 0x7f80);
  EXPECT_EQ(f32_to_bf16(std::bit_cast<float>(0x7f800001u)), 0x7fc0);
  EXPECT_EQ(f64_to_bf16(0x1p-134), 0x0000);
  EXPECT_EQ(f64_to_bf16(0x1.8p-133), 0x0002);
  EXPECT_EQ(f64_to_bf16(1e300), 0x7f80);
}

TEST(Casts, FloatToInteger) {
  EXPECT_EQ(cast<std::int32_t>(-2.9f), -2);
  EXPECT_EQ(cast<std::int32_t>(2147483648.0f), 2147483647);
  EXPECT_EQ(cast<std::int32_t>(-kInf), std::numeric_limits<std::int32_t>::min());
  EXPECT_EQ(cast<std::int32_t>(2147483646.5), 2147483646);
  EXPECT_EQ(cast<std::int32_t>(-2147483648.9), std::numeric_limits<std::int32_t>::min());
  EXPECT_EQ(cast<std::int64_t>(9.3e18), std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(cast<std::int64_t>(-0x1p63f), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(cast<std::uint8_t>(255.9f), 255);
  EXPECT_EQ(cast<std::uint8_t>(256.0), 255);
  EXPECT_EQ(cast<std::uint8_t>(-0.9f), 0);
  EXPECT_EQ(cast<std::uint8_t>(-5.0), 0);
  EXPECT_EQ(cast<std::int64_t>(kNan), 0);
  EXPECT_EQ(cast<std::uint8_t>(f16{0x7c00}), 255);
}

TEST(Casts, TheOthers) {
  EXPECT_EQ(cast<std::uint8_t>(std::int32_t{-1}), 255);
  EXPECT_EQ(cast<std::int32_t>(std::int64_t{0x1'8000'0001}), std::numeric_limits<std::int32_t>::min() + 1);
  EXPECT_TRUE(cast<bool>(kNan));
  EXPECT_FALSE(cast<bool>(-0.0f));
  EXPECT_FALSE(cast<bool>(bf16{0x8000}));
  EXPECT_TRUE(cast<bool>(std::int64_t{1} << 40));
  EXPECT_EQ(cast<f16>(true).bits, 0x3c00);
  EXPECT_EQ(cast<f16>(1e300).bits, 0x7c00);
  EXPECT_EQ(cast<f16>(std::int64_t{-2049}).bits, 0xe800);  // a tie, to even
  // Just above a tie of bf16: by way of a double it would become the tie.
  EXPECT_EQ(cast<bf16>((std::int64_t{257} << 54) + 1).bits, 0x5e81);
  EXPECT_EQ(cast<bf16>(-((std::int64_t{257} << 54) + 1)).bits, 0xde81);
  EXPECT_EQ(cast<bf16>(std::int64_t{257} << 54).bits, 0x5e80);
  EXPECT_EQ(cast<bf16>(f16{0x3c01}).bits, 0x3f80);
  EXPECT_EQ(bits(cast<float>(std::int64_t{16777217})), bits(16777216.0f));
}

TEST(Order, LeafSamplesIsTheSmallestPowerOfTwoThatFillsALeaf) {
  for (std::int64_t positions = 0; positions < 5000; ++positions) {
    std::int64_t expected = 1;
    while (expected < 16 && expected * std::max<std::int64_t>(positions, 1) < 64) expected *= 2;
    ASSERT_EQ(leaf_samples(positions), expected);
  }
  EXPECT_EQ(leaf_samples(std::numeric_limits<std::int64_t>::max()), 1);
  EXPECT_EQ(block_count(0), 0);
  EXPECT_EQ(block_count(256), 1);
  EXPECT_EQ(block_count(257), 2);
}

TEST(FpMode, IsExactInsideAndRestoredOutside) {
  ASSERT_TRUE(FpMode::is_exact());
  volatile float tiny = 0x1p-140f;
#if defined(__x86_64__)
  const std::uint32_t before = __builtin_ia32_stmxcsr();
  __builtin_ia32_ldmxcsr(before | 0x8040);  // flush to zero, subnormals are zero
  EXPECT_FALSE(FpMode::is_exact());
  EXPECT_EQ(tiny * 2.0f, 0.0f);
  {
    const FpMode mode;
    EXPECT_TRUE(FpMode::is_exact());
    EXPECT_EQ(tiny * 2.0f, 0x1p-139f);
  }
  EXPECT_FALSE(FpMode::is_exact());
  EXPECT_EQ(tiny * 2.0f, 0.0f);
  __builtin_ia32_ldmxcsr(before);
#endif
  std::fesetround(FE_UPWARD);
  EXPECT_FALSE(FpMode::is_exact());
  volatile float one = 1.0f;
  {
    const FpMode mode;
    EXPECT_EQ(one + 0x1p-30f, 1.0f);
  }
  EXPECT_EQ(std::fegetround(), FE_UPWARD);
  EXPECT_GT(one + 0x1p-30f, 1.0f);
  std::fesetround(FE_TONEAREST);
  EXPECT_TRUE(FpMode::is_exact());
  EXPECT_EQ(tiny * 2.0f, 0x1p-139f);
}

TEST(Philox, PublishedVectors) {
  // Random123's known answers for philox4x32-10.
  const struct {
    std::uint32_t counter[4], key[2], answer[4];
  } vectors[] = {
      {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
      {{~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
      {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
       {0xa4093822, 0x299f31d0},
       {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
  };
  for (const auto& v : vectors) {
    const PhiloxBlock block =
        philox4x32({{v.counter[0], v.counter[1], v.counter[2], v.counter[3]}}, v.key[0], v.key[1]);
    for (int i = 0; i < 4; ++i) EXPECT_EQ(block.word[i], v.answer[i]);
  }
  static_assert(philox4x32({{0, 0, 0, 0}}, 0, 0).word[0] == 0x6627e8d5);
}

TEST(Random, KeysDependOnSeedPurposeAndStep) {
  const RandomKey key = random_key(Seed{5}, "net.3.dropout", 7);
  EXPECT_EQ(key.seed, 5u);
  EXPECT_NE(key.stream, random_key(Seed{5}, "net.3.dropout", 8).stream);
  EXPECT_NE(key.stream, random_key(Seed{5}, "net.4.dropout", 7).stream);
  EXPECT_EQ(fnv1a(""), 0xcbf29ce484222325u);
  EXPECT_EQ(fnv1a("a"), 0xaf63dc4c8601ec8cu);
}

TEST(Random, UniformMomentsAndRange) {
  const RandomKey key = random_key(Seed{1}, "uniform");
  constexpr int kCount = 100'000;
  double sum32 = 0, sum64 = 0, square = 0;
  for (int i = 0; i < kCount; ++i) {
    const double a = uniform_f32(key, i), b = uniform_f64(key, i);
    ASSERT_TRUE(a >= 0 && a < 1 && b >= 0 && b < 1);
    sum32 += a;
    sum64 += b;
    square += b * b;
  }
  // Six deviations of the mean: 6 / sqrt(12 n).
  EXPECT_NEAR(sum32 / kCount, 0.5, 0.0055);
  EXPECT_NEAR(sum64 / kCount, 0.5, 0.0055);
  EXPECT_NEAR(square / kCount, 1.0 / 3, 0.006);
  EXPECT_EQ(uniform_between(0x1.fffffep-1f, 1.0f, 1.0f + 0x1p-23f), 1.0f);
}

TEST(Random, NormalMoments) {
  const RandomKey key = random_key(Seed{1}, "normal");
  constexpr int kCount = 100'000;
  double sum[2] = {}, square[2] = {}, fourth[2] = {};
  for (int i = 0; i < kCount; ++i) {
    const double v[2] = {normal_f32(key, i), normal_f64(key, i)};
    for (int k = 0; k < 2; ++k) {
      ASSERT_TRUE(std::isfinite(v[k]));
      sum[k] += v[k];
      square[k] += v[k] * v[k];
      fourth[k] += v[k] * v[k] * v[k] * v[k];
    }
  }
  for (int k = 0; k < 2; ++k) {
    EXPECT_NEAR(sum[k] / kCount, 0, 6 / std::sqrt(1.0 * kCount));
    EXPECT_NEAR(square[k] / kCount, 1, 6 * std::sqrt(2.0 / kCount));
    EXPECT_NEAR(fourth[k] / kCount, 3, 6 * std::sqrt(96.0 / kCount));
  }
  float block[4];
  normal_block_f32(key, 3, block);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(bits(block[i]), bits(normal_f32(key, 12 + i)));
}

TEST(Random, BoundedIntegersAreFair) {
  const RandomKey key = random_key(Seed{9}, "below");
  std::vector<int> seen(7);
  for (int i = 0; i < 70'000; ++i) ++seen[uniform_below(key, i, 7)];
  for (int count : seen) EXPECT_NEAR(count, 10'000, 6 * std::sqrt(10'000 * 6.0 / 7));
  EXPECT_EQ(uniform_below(key, 0, 0), 0u);
  EXPECT_EQ(uniform_below(key, 5, 1), 0u);
  // A bound just above 2^63: every second word is refused, the answer still below it.
  const std::uint64_t bound = (std::uint64_t{1} << 63) + 1;
  for (int i = 0; i < 1000; ++i) ASSERT_LT(uniform_below(key, i, bound), bound);
  EXPECT_EQ(multiply_high(~std::uint64_t{0}, ~std::uint64_t{0}), ~std::uint64_t{0} - 1);
  EXPECT_EQ(multiply_high(std::uint64_t{1} << 63, 6), 3u);
}

}  // namespace
}  // namespace isobit::numerics
