// The emulated tile unit against plain loops after its documentation, what it refuses, and the packing of
// operands for it.
#include <gtest/gtest.h>
#include <isobit/error.h>

#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <thread>
#include <vector>

#include "core/numerics/fma.h"
#include "core/numerics/philox.h"
#include "cpu/kernels/amx_emulated.h"
#include "cpu/kernels/amx_pack.h"
#include "cpu/kernels/amx_product.h"
#include "cpu/runtime/isa.h"

namespace isobit::cpu::amx {
namespace {

using Words = std::array<std::uint32_t, 256>;  // a tile
constexpr float kInfinity = std::numeric_limits<float>::infinity();

float number(std::uint32_t bits) {
  return std::bit_cast<float>(bits);
}
std::uint32_t bits_of(float v) {
  return std::bit_cast<std::uint32_t>(v);
}
/// v must be a bf16.
std::uint32_t half(float v) {
  return bits_of(v) >> 16;
}
bool same(float a, float b) {
  return bits_of(a) == bits_of(b) || (a != a && b != b);
}

float flushed(float v) {
  return std::fpclassify(v) == FP_SUBNORMAL ? std::copysign(0.0f, v) : v;
}
/// One element of the sum, word by word of the documentation: two chains of fma, then two additions.
float documented(const std::uint32_t* row_of_a, const std::uint32_t* b, int column, int columns, int pairs,
                 float sum) {
  float even = 0, odd = 0;
  for (int k = 0; k < pairs; ++k) {
    const std::uint32_t x = row_of_a[k], y = b[16 * k + column];
    EXPECT_LT(column, columns);
    even = flushed(numerics::fma(flushed(number(x << 16)), flushed(number(y << 16)), even));
    odd = flushed(numerics::fma(flushed(number(x & 0xffff0000u)), flushed(number(y & 0xffff0000u)), odd));
  }
  return flushed(flushed(sum) + flushed(even + odd));
}

Words multiply(const Words& sum, const Words& a, const Words& b, const TileConfig& config) {
  Words out = sum;
  EmulatedAmx::configure(config);
  EmulatedAmx::load<0>(sum.data(), 64);
  EmulatedAmx::load<4>(a.data(), 64);
  EmulatedAmx::load<6>(b.data(), 64);
  EmulatedAmx::dot<0, 4, 6>();
  EmulatedAmx::store<0>(out.data(), 64);
  EmulatedAmx::release();
  return out;
}

class AmxUnit : public testing::Test {
 protected:
  static constexpr TileConfig whole = TileConfig::whole();
  /// The first element of the sum of a's first row and b's first column, the rest being zeros.
  static float first(std::vector<std::pair<float, float>> products, float sum) {
    Words a{}, b{}, c{};
    for (std::size_t t = 0; t < products.size(); ++t) {
      a[t / 2] |= half(products[t].first) << (16 * (t % 2));
      b[16 * (t / 2)] |= half(products[t].second) << (16 * (t % 2));
    }
    c[0] = bits_of(sum);
    return number(multiply(c, a, b, whole)[0]);
  }
  void TearDown() override { EmulatedAmx::release(); }
};

TEST_F(AmxUnit, IsWhatTheDocumentationSaysOfEveryKindOfNumber) {
  std::uint64_t key = 1;
  const auto next = [&] { return static_cast<std::uint32_t>(numerics::mix64(key++)); };
  for (int round = 0; round < 60; ++round) {
    Words a, b, c;
    const std::uint32_t kind = static_cast<std::uint32_t>(round) % 3;
    for (Words* w : {&a, &b, &c})
      for (std::uint32_t& word : *w) {
        word = next();  // any bits: NaN, infinities and subnormals among them
        // Of a size that sums stay finite, or near the smallest.
        if (kind == 1) word = (word & 0x83ff83ffu) | 0x3c003c00u;
        if (kind == 2) word = (word & 0x80ff80ffu) | (w == &c ? 0x00000000u : 0x1f801f80u);
      }
    const Words got = multiply(c, a, b, whole);
    for (std::size_t i = 0; i < 256; ++i) {
      const float expected =
          documented(a.data() + i / 16 * 16, b.data(), static_cast<int>(i % 16), 16, 16, number(c[i]));
      ASSERT_TRUE(same(number(got[i]), expected))
          << round << " " << i << ": " << number(got[i]) << ", expected " << expected;
    }
  }
}

TEST_F(AmxUnit, ComputesWhatTheConfigurationLeaves) {
  TileConfig c = whole;
  c.rows[0] = c.rows[4] = 5;
  c.row_bytes[4] = 12;
  c.rows[6] = 3;
  c.row_bytes[0] = c.row_bytes[6] = 28;
  Words a, b, sum;
  a.fill(0x3f803f80), b.fill(0x40004000), sum.fill(bits_of(1));  // ones, twos
  const Words got = multiply(sum, a, b, c);
  for (std::size_t i = 0; i < 256; ++i) EXPECT_EQ(number(got[i]), i / 16 < 5 && i % 16 < 7 ? 13 : 1) << i;
}

TEST_F(AmxUnit, AddsEvenAndOddElementsApart) {
  // In order the 1 would be lost to 2^24.
  EXPECT_EQ(first({{0x1p24f, 1}, {1, 1}, {-0x1p24f, 1}}, 0), 1);
  EXPECT_EQ(first({{0x1p24f, 1}, {0, 1}, {1, 1}, {0, 1}, {-0x1p24f, 1}}, 0), 0);
  // The products come first, then what was there.
  EXPECT_EQ(first({{1, 1}, {1, 1}}, 0x1p24f), 0x1p24f + 2);
}

TEST_F(AmxUnit, FlushesSubnormals) {
  const float tiny = 0x1p-127f, least = 0x1p-126f;
  EXPECT_EQ(bits_of(first({{tiny, 0x1p10f}}, 0)), 0u);
  EXPECT_EQ(bits_of(first({}, -tiny)), bits_of(0)) << "-0 + 0";
  EXPECT_EQ(first({{least, 0.5f}}, 0), 0);
  EXPECT_EQ(first({{least, 1}}, 0), least);
  EXPECT_EQ(first({{0x1p-64f, 0x1p-64f}}, 1), 1);
  // A product has no rounding of its own: 1.5 * 2^-126 - 2^-126 is subnormal, 2 of them are not.
  EXPECT_EQ(first({{0x1.8p-126f, 1}, {0, 0}, {-least, 1}}, 0), 0);
  EXPECT_EQ(first({{least, 0.5f}, {least, 0.5f}}, 0), 0) << "each chain is flushed";
  EXPECT_EQ(first({{least, 1}, {0, 0}, {least, 0.5f}}, 0), 0x1.8p-126f) << "within a chain nothing is";
  // Tiny is what is tiny after rounding as if exponents had no end: to 24 bits this is 2^-126 itself.
  EXPECT_EQ(first({{least, 1}, {0, 0}, {-0x1p-76f, 0x1p-75f}}, 0), least);
  EXPECT_EQ(first({{least, 1}, {0, 0}, {-0x1p-75f, 0x1p-75f}}, 0), 0);
  EXPECT_TRUE(std::isnan(first({{tiny, kInfinity}}, 0))) << "0 * inf";
}

TEST_F(AmxUnit, KeepsInfinitiesAndNaN) {
  EXPECT_EQ(first({{kInfinity, 1}}, 5), kInfinity);
  EXPECT_EQ(first({{-kInfinity, 1}}, 5), -kInfinity);
  EXPECT_TRUE(std::isnan(first({{kInfinity, 0}}, 5)));
  EXPECT_TRUE(std::isnan(first({{kInfinity, 1}, {-kInfinity, 1}}, 5)));
  EXPECT_TRUE(std::isnan(first({{1, 1}}, std::numeric_limits<float>::quiet_NaN())));
  EXPECT_EQ(first({{0x1p100f, 0x1p100f}}, 0), kInfinity);
  EXPECT_EQ(first({{0x1p64f, 0x1p63f}, {0, 0}, {0x1p64f, 0x1p63f}}, 0), kInfinity);
  // fma: the product alone would be infinite.
  EXPECT_EQ(first({{-0x1p64f, 0x1p63f}, {0, 0}, {0x1p64f, 0x1p64f}}, 0), 0x1p127f);
}

TEST_F(AmxUnit, FaultsAsTheUnitDoes) {
  Words w{};
  const auto fault = [](const auto& call) {
    try {
      call();
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("no fault");
  };
  const auto has = [](const std::string& text, const char* part) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  };
  has(fault([&] { EmulatedAmx::load<0>(w.data(), 64); }), "no tiles are configured");
  has(fault([&] { EmulatedAmx::zero<3>(); }), "no tiles are configured");
  TileConfig c;
  has(fault([&] { EmulatedAmx::configure(c); }), "an unknown palette");
  c = whole;
  c.rows[2] = 17;
  has(fault([&] { EmulatedAmx::configure(c); }), "more rows than a tile has");
  c = whole;
  c.row_bytes[2] = 68;
  has(fault([&] { EmulatedAmx::configure(c); }), "a longer row than a tile has");
  c = whole;
  c.rows[9] = 1;
  has(fault([&] { EmulatedAmx::configure(c); }), "more rows than a tile has");
  c = whole;
  c.rows[2] = 0;
  has(fault([&] { EmulatedAmx::configure(c); }), "rows without bytes");
  c = whole;
  c.start_row = 1;
  has(fault([&] { EmulatedAmx::configure(c); }), "start row");
  c = whole;
  c.reserved[3] = 1;
  has(fault([&] { EmulatedAmx::configure(c); }), "reserved");
  EmulatedAmx::configure(whole);
  has(fault([] { EmulatedAmx::dot<0, 0, 6>(); }), "one tile in two roles");
  has(fault([] { EmulatedAmx::dot<0, 4, 4>(); }), "one tile in two roles");
  c = whole;
  c.rows[4] = 3;
  EmulatedAmx::configure(c);
  has(fault([] { EmulatedAmx::dot<0, 4, 6>(); }), "different rows");
  c = whole;
  c.row_bytes[6] = 60;
  EmulatedAmx::configure(c);
  has(fault([] { EmulatedAmx::dot<0, 4, 6>(); }), "different columns");
  c = whole;
  c.rows[6] = 15;
  EmulatedAmx::configure(c);
  has(fault([] { EmulatedAmx::dot<0, 4, 6>(); }), "not the pairs of a");
  c = whole;
  c.row_bytes[4] = 30;
  EmulatedAmx::configure(c);
  has(fault([] { EmulatedAmx::dot<0, 4, 6>(); }), "part of a pair");
}

TEST_F(AmxUnit, BelongsToItsThreadAndIsReleased) {
  {
    const Tiles<EmulatedAmx> tiles;
    EXPECT_TRUE(EmulatedAmx::configured());
    std::thread([] { EXPECT_FALSE(EmulatedAmx::configured()); }).join();
  }
  EXPECT_FALSE(EmulatedAmx::configured());
}

class AmxPack : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override {
    before_ = current_isa();
    set_isa(GetParam());
  }
  void TearDown() override { set_isa(before_); }
  /// Numbers of every size, some of them tiny, large, halfway between two bf16.
  static std::vector<float> numbers(std::size_t count) {
    std::vector<float> v(count);
    for (std::size_t i = 0; i < count; ++i) {
      std::uint32_t bits = static_cast<std::uint32_t>(numerics::mix64(i + 7));
      if (i % 5 == 0) bits = (bits & 0xffff0000u) | 0x8000u;
      if ((bits & 0x7f800000u) == 0x7f800000u) bits ^= 0x40000000u;
      v[i] = number(bits);
    }
    return v;
  }

 private:
  Isa before_{};
};

/// The nearest bf16, ties to even, in whole numbers.
std::uint32_t nearest(std::uint32_t bits) {
  const std::uint32_t up = bits & 0xffffu, even = bits >> 16 & 1;
  return (bits >> 16) + (up > 0x8000u || (up == 0x8000u && even == 1) ? 1 : 0);
}

TEST_P(AmxPack, SplitsTermsAndFillsUpWithZeros) {
  for (const std::int64_t count : {1, 31, 32, 33, 70, 96}) {
    const std::vector<float> from = numbers(static_cast<std::size_t>(count));
    const std::int64_t slabs = (count + 31) / 32, step = 100;
    std::vector<std::uint16_t> high(static_cast<std::size_t>(slabs * step), 0xabcd), low = high, one = high;
    EXPECT_TRUE(pack_terms(from.data(), count, high.data(), low.data(), step));
    EXPECT_TRUE(pack_terms(from.data(), count, one.data(), nullptr, step));
    for (std::int64_t t = 0; t < slabs * 32; ++t) {
      const auto at = static_cast<std::size_t>(t / 32 * step + t % 32);
      if (t >= count) {
        EXPECT_EQ(high[at] | low[at] | one[at], 0) << t;
        continue;
      }
      const float v = from[static_cast<std::size_t>(t)], h = number(std::uint32_t{high[at]} << 16);
      EXPECT_EQ(one[at], nearest(bits_of(v))) << v;
      EXPECT_TRUE(std::isfinite(h)) << v;
      EXPECT_EQ(low[at], nearest(bits_of(v - h))) << v;
      const double rest = static_cast<double>(v) - h - number(std::uint32_t{low[at]} << 16);
      EXPECT_LE(std::abs(rest), 0x1p-17 * std::abs(v) + 0x1p-134) << v;
    }
    for (std::int64_t t = 32; t < step; ++t) EXPECT_EQ(high[static_cast<std::size_t>(t)], 0xabcd);
  }
}

TEST_P(AmxPack, KeepsTheLargestFiniteAndSaysWhatIsNot) {
  std::vector<float> from(40, 1);
  std::vector<std::uint16_t> high(64), low(64);
  from[33] = std::numeric_limits<float>::max();
  EXPECT_TRUE(pack_terms(from.data(), 40, high.data(), low.data(), 32));
  EXPECT_EQ(high[33], 0x7f7f);
  EXPECT_EQ(number(std::uint32_t{low[33]} << 16), 0x1p120f);
  EXPECT_TRUE(pack_terms(from.data(), 40, high.data(), nullptr, 32));
  EXPECT_EQ(high[33], 0x7f80) << "rounded to one bf16 it is beyond the largest";
  for (const float v : {kInfinity, -kInfinity, std::numeric_limits<float>::quiet_NaN()})
    for (const std::size_t at : {0u, 17u, 39u}) {
      std::vector<float> with = from;
      with[at] = v;
      EXPECT_FALSE(pack_terms(with.data(), 40, high.data(), low.data(), 32)) << v << " " << at;
      EXPECT_TRUE(same(number(std::uint32_t{high[at]} << 16), v));
      EXPECT_EQ(low[at], 0);
      std::vector<std::uint32_t> words(512);
      EXPECT_FALSE(pack_pairs(from.data(), with.data(), 40, words.data(), nullptr, 256, 128));
      EXPECT_FALSE(pack_pairs(with.data(), from.data(), 40, words.data(), words.data() + 64, 256, 128));
    }
}

TEST_P(AmxPack, PairsHoldWhatTermsDo) {
  for (const std::int64_t lines : {1, 15, 16, 17, 33, 64}) {
    const std::vector<float> even = numbers(static_cast<std::size_t>(lines)),
                             odd = numbers(static_cast<std::size_t>(2 * lines));
    const float* const other = odd.data() + lines;
    std::vector<std::uint32_t> high(512, 1), low(512, 1);
    EXPECT_TRUE(pack_pairs(even.data(), other, lines, high.data(), low.data(), 200, 50));
    for (std::int64_t i = 0; i < (lines + 31) / 32 * 32; ++i) {
      const float pair[2] = {i < lines ? even[static_cast<std::size_t>(i)] : 0, i < lines ? other[i] : 0};
      std::uint16_t h[32], l[32];
      pack_terms(pair, 2, h, l, 32);
      const auto at = static_cast<std::size_t>(i / 32 * 200 + i % 32 / 16 * 50 + i % 16);
      EXPECT_EQ(high[at], std::uint32_t{h[1]} << 16 | h[0]) << i;
      EXPECT_EQ(low[at], std::uint32_t{l[1]} << 16 | l[0]) << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Isas, AmxPack, testing::ValuesIn(available_isas()),
                         [](const auto& info) { return std::string(isa_name(info.param)); });

TEST(AmxTranspose, ExchangesLinesAndPairs) {
  std::vector<std::uint32_t> tiles(3 * 256, 7);
  for (std::uint32_t i = 0; i < 512; ++i) tiles[i] = i;
  transpose_tiles(tiles.data(), 2);
  for (std::uint32_t t = 0; t < 2; ++t)
    for (std::uint32_t i = 0; i < 16; ++i)
      for (std::uint32_t j = 0; j < 16; ++j) ASSERT_EQ(tiles[256 * t + 16 * i + j], 256 * t + 16 * j + i);
  for (std::size_t i = 512; i < 768; ++i) ASSERT_EQ(tiles[i], 7u);
}

TEST(AmxRefuse, SaysWhyExactArithmeticIsAsGood) {
  EXPECT_EQ(refuse_small({64, 64, 576, 64.0 * 64 * 576, 1e6}), nullptr);
  EXPECT_STREQ(refuse_small({15, 64, 576, 1, 1}), "fewer than 16 rows or columns fill no tile");
  EXPECT_STREQ(refuse_small({64, 15, 576, 1, 1}), "fewer than 16 rows or columns fill no tile");
  EXPECT_STREQ(refuse_small({64, 64, 31, 1, 1}), "fewer than 32 terms fill no tile");
  // A 1x1 convolution from 64 to 256 channels, whose result is beyond the caches, and a 3x3 one of 64.
  EXPECT_STREQ(refuse_small({50176, 256, 64, 50176.0 * 256 * 64, 4 * 50176.0 * 320}),
               "memory takes longer than so few products");
  EXPECT_EQ(refuse_small({50176, 64, 576, 50176.0 * 64 * 576, 4 * 50176.0 * 128}), nullptr);
}

}  // namespace
}  // namespace isobit::cpu::amx
