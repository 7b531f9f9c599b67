// The trees of the reference on data for which the order decides: 2^24 absorbs a 1 that is added to it, but
// not a 2. Each example fails when a constant or an association is another one.
#include "cpu/reference/order.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <vector>

#include "cpu/reference/reference.h"

namespace isobit::cpu::reference {
namespace {

constexpr float kBig = 0x1p24f;

// `size` terms, zero but for those given.
std::vector<float> terms(std::int64_t size, const std::map<std::size_t, float>& values) {
  std::vector<float> list(static_cast<std::size_t>(size), 0.0f);
  for (const auto& [i, v] : values) list[i] = v;
  return list;
}

float blocked(const std::vector<float>& list) {
  BlockedChain<float> by_sum, by_fma;
  for (const float v : list) {
    by_sum.add(v);
    by_fma.fma(v, 1.0f);
  }
  EXPECT_EQ(by_sum.sum(), by_fma.sum());
  return by_sum.sum();
}

float laned(const std::vector<float>& list) {
  Lanes<float> by_sum, by_fma;
  for (const float v : list) {
    by_sum.add(v);
    by_fma.fma(v, 1.0f);
  }
  EXPECT_EQ(by_sum.sum(), by_fma.sum());
  return by_sum.sum();
}

float batch(const std::vector<float>& samples) {
  return batch_tree<float>(
      static_cast<std::int64_t>(samples.size()), 1,
      [&](BlockedChain<float>& chain, std::int64_t n) { chain.add(samples[static_cast<std::size_t>(n)]); });
}

TEST(BlockedChain, BlocksHold256Terms) {
  EXPECT_EQ(blocked(terms(300, {{0, kBig}, {255, 1}, {256, 1}})), kBig) << "a shorter block would give + 2";
  EXPECT_EQ(blocked(terms(300, {{0, kBig}, {256, 1}, {257, 1}})), kBig + 2)
      << "a longer block would lose both";
  EXPECT_EQ(blocked(terms(300, {{0, kBig}, {1, 1}, {2, 1}})), kBig) << "within a block: one chain";
}

TEST(BlockedChain, BlocksAreAddedLeftToRight) {
  EXPECT_EQ(blocked(terms(800, {{0, kBig}, {256, 1}, {512, 1}})), kBig) << "(b0 + b1) + b2";
  EXPECT_EQ(blocked(terms(800, {{0, 1}, {256, 1}, {512, kBig}})), kBig + 2);
}

TEST(BlockedChain, TheTotalIsTheFirstBlock) {
  BlockedChain<float> underflow;
  underflow.fma(-0x1p-100f, 0x1p-100f);  // rounds to -0; 0 + -0 would be +0
  EXPECT_EQ(underflow.sum(), 0.0f);
  EXPECT_TRUE(std::signbit(underflow.sum()));
  BlockedChain<float> empty;
  EXPECT_FALSE(std::signbit(empty.sum()));
  BlockedChain<float> minus_zero;
  minus_zero.add(-0.0f);  // a chain starts from +0
  EXPECT_FALSE(std::signbit(minus_zero.sum()));
}

TEST(BlockedChain, MultipliesAndAddsWithOneRounding) {
  BlockedChain<float> chain;
  chain.add(-1.0f);
  chain.fma(1 + 0x1p-12f, 1 - 0x1p-12f);  // the product is 1 - 2^-24, which an f32 holds; its square term not
  EXPECT_EQ(chain.sum(), -0x1p-24f);
  BlockedChain<float> squares;
  squares.add(-(1 + 0x1p-11f));
  squares.fma(1 + 0x1p-12f, 1 + 0x1p-12f);  // 2^-24 survives an fma, a rounded product loses it
  EXPECT_EQ(squares.sum(), 0x1p-24f);
}

TEST(Lanes, SixtyFourChainsJoinedByHalving) {
  EXPECT_EQ(laned(terms(128, {{1, kBig}, {33, 1}, {97, 1}})), kBig + 2)
      << "33 and 97 are one chain, 1 is another";
  EXPECT_EQ(laned(terms(200, {{1, kBig}, {65, 1}, {129, 1}})), kBig) << "1, 65 and 129 are one chain";
  EXPECT_EQ(laned(terms(64, {{0, kBig}, {32, 1}, {16, 1}})), kBig) << "32 joins 0 first, then 16 does";
  EXPECT_EQ(laned(terms(64, {{0, kBig}, {16, 1}, {48, 1}})), kBig + 2) << "48 joins 16 before that joins 0";
  EXPECT_EQ(laned(terms(64, {{0, kBig}, {1, 1}, {3, 1}})), kBig + 2) << "3 joins 1 before that joins 0";
  EXPECT_EQ(laned(terms(64, {{0, kBig}, {1, 1}, {2, 1}})), kBig) << "2 joins 0, then 1 does";
}

TEST(Lanes, LanesWithoutATermAreSkipped) {
  Lanes<float> lanes;
  lanes.fma(-0x1p-100f, 0x1p-100f);  // -0; adding an empty lane's +0 would lose the sign
  EXPECT_TRUE(std::signbit(lanes.sum()));
  Lanes<float> three;
  for (int i = 0; i < 3; ++i) three.fma(-0x1p-100f, 0x1p-100f);
  EXPECT_TRUE(std::signbit(three.sum()));
  EXPECT_EQ(Lanes<float>().sum(), 0.0f);
  EXPECT_FALSE(std::signbit(Lanes<float>().sum()));
}

TEST(BatchTree, LeavesHoldSixteenSamplesOfOnePosition) {
  EXPECT_EQ(batch(terms(32, {{0, kBig}, {8, 1}, {15, 1}})), kBig) << "leaves of 8 would give + 2";
  EXPECT_EQ(batch(terms(32, {{0, kBig}, {16, 1}, {31, 1}})), kBig + 2) << "leaves of 32 would lose both";
}

TEST(BatchTree, TheTreeIsAlignedToPowersOfTwo) {
  EXPECT_EQ(batch(terms(48, {{0, kBig}, {16, 1}, {32, 1}})), kBig) << "(l0 + l1) + l2";
  EXPECT_EQ(batch(terms(64, {{0, kBig}, {32, 1}, {48, 1}})), kBig + 2) << "(l0 + l1) + (l2 + l3)";
  EXPECT_EQ(batch(terms(96, {{0, kBig}, {64, 1}, {80, 1}})), kBig + 2) << "l4 + l5 pass through one level";
  EXPECT_EQ(batch(terms(112, {{0, kBig}, {64, 1}, {96, 1}})), kBig + 2) << "(l4 + l5) + l6";
  EXPECT_EQ(batch(terms(112, {{64, kBig}, {80, 1}, {96, 1}})), kBig);
  EXPECT_EQ(batch({}), 0.0f);
}

TEST(BatchTree, PartsJoinToTheWhole) {
  std::vector<float> samples;
  for (int i = 0; i < 100; ++i)
    samples.push_back(std::ldexp(1.0f + 0.37f * static_cast<float>(i % 7), i * 5 % 23 - 9));
  const auto part = [&](std::ptrdiff_t from, std::ptrdiff_t to) {
    return batch({samples.begin() + from, samples.begin() + to});
  };
  EXPECT_EQ(batch(samples), ((part(0, 32) + part(32, 64)) + part(64, 100)));
  EXPECT_EQ(part(0, 64), (part(0, 16) + part(16, 32)) + (part(32, 48) + part(48, 64)));
}

// The kernels use them: dw of one 1x1 tap over n samples of p positions is the batch tree of x * dy.
TEST(Order, TheFilterGradientIsABatchTreeOfBlockedChains) {
  const auto filter_gradient = [](std::int64_t n, std::int64_t width, const std::vector<float>& x) {
    ConvGeometry g;
    g.n = n;
    g.c = g.k = 1;
    g.axis[2].in = g.axis[2].out = width;
    const std::vector<float> dy(x.size(), 1.0f);
    float dw = 0;
    const auto size = static_cast<std::int64_t>(x.size());
    conv_backward_filter(g, {x.data(), DType::f32, size}, {dy.data(), DType::f32, size},
                         {&dw, DType::f32, 1});
    return dw;
  };
  EXPECT_EQ(filter_gradient(32, 1, terms(32, {{0, kBig}, {8, 1}, {15, 1}})), kBig);
  EXPECT_EQ(filter_gradient(32, 1, terms(32, {{0, kBig}, {16, 1}, {31, 1}})), kBig + 2);
  EXPECT_EQ(filter_gradient(16, 8, terms(128, {{0, kBig}, {64, 1}, {127, 1}})), kBig + 2)
      << "leaves of 8 samples";
  EXPECT_EQ(filter_gradient(16, 8, terms(128, {{0, kBig}, {32, 1}, {63, 1}})), kBig);
  EXPECT_EQ(filter_gradient(1, 300, terms(300, {{0, kBig}, {256, 1}, {257, 1}})), kBig + 2)
      << "blocks in a leaf";
}

TEST(Order, ForwardIsABlockedChainOverTapsThenChannels) {
  // A 1x2 filter on 130 channels: terms 0..129 of tap 0, 130..259 of tap 1; the second block begins in tap 1.
  ConvGeometry g;
  g.n = g.k = 1;
  g.c = 130;
  g.axis[2].in = g.axis[2].filter = 2;
  const auto forward = [&](const std::vector<float>& x) {
    const std::vector<float> w(260, 1.0f);
    float y = 0;
    conv_forward(g, {x.data(), DType::f32, 260}, {w.data(), DType::f32, 260}, {}, {&y, DType::f32, 1});
    return y;
  };
  EXPECT_EQ(forward(terms(260, {{0, kBig}, {256, 1}, {257, 1}})), kBig + 2);
  EXPECT_EQ(forward(terms(260, {{0, kBig}, {255, 1}, {256, 1}})), kBig);
}

}  // namespace
}  // namespace isobit::cpu::reference
