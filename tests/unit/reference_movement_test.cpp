// The reference data movement, random numbers and optimizers on small examples.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "core/numerics/philox.h"
#include "cpu/reference/reference.h"
#include "tests/support/vector_views.h"

namespace isobit::cpu::reference {
namespace {

using test::in;
using test::out;

TEST(ReferenceMovement, FillAndCast) {
  std::vector<std::int64_t> wide(2);
  fill(out(wide), std::int64_t{(1LL << 62) + 1});
  EXPECT_EQ(wide[1], (1LL << 62) + 1);
  std::vector<f16> half(1);
  fill(out(half), 1 + 0x1p-11);  // a tie: to even
  EXPECT_EQ(half[0].bits, 0x3c00);
  std::vector<std::uint8_t> bytes(4);
  cast(in(std::vector<float>{-1.5f, 300.0f, 2.9f, std::nanf("")}), out(bytes));
  EXPECT_EQ(bytes, (std::vector<std::uint8_t>{0, 255, 2, 0}));
  std::vector<std::int32_t> wrapped(1);
  cast(in(std::vector<std::int64_t>{(1LL << 32) + 5}), out(wrapped));
  EXPECT_EQ(wrapped[0], 5);
  const std::vector<std::uint8_t> truth{0, 1, 7};
  std::vector<float> numbers(3);
  cast(ConstView{truth.data(), DType::boolean, 3}, out(numbers));
  EXPECT_EQ(numbers, (std::vector<float>{0, 1, 1}));
}

TEST(ReferenceMovement, StridesFlipAndTranspose) {
  const std::vector<float> x{0, 1, 2, 3, 4, 5};
  StridedGeometry g;
  g.rank = 2;
  g.extent = {3, 2};
  g.stride[0] = {-1, 3};  // transposed, rows flipped
  g.offset[0] = 2;
  std::vector<float> y(6);
  strided_copy(g, in(x), out(y));
  EXPECT_EQ(y, (std::vector<float>{2, 5, 1, 4, 0, 3}));
}

TEST(ReferenceMovement, PadsAndCrops) {
  PadGeometry g;  // [2, 3]: one row before, the first column cropped, one column after
  g.rank = 2;
  g.in = {2, 3};
  g.out = {3, 3};
  g.before = {1, -1};
  g.value = 9;
  std::vector<float> y(9), dx(6);
  pad(g, in(std::vector<float>{1, 2, 3, 4, 5, 6}), out(y));
  EXPECT_EQ(y, (std::vector<float>{9, 9, 9, 2, 3, 9, 5, 6, 9}));
  pad_backward(g, in(std::vector<float>{1, 2, 3, 4, 5, 6, 7, 8, 9}), out(dx));
  EXPECT_EQ(dx, (std::vector<float>{0, 4, 5, 0, 7, 8}));
  EXPECT_FALSE(std::signbit(dx[0]));
}

TEST(ReferenceMovement, RowsAndLabels) {
  const std::vector<float> rows{1, 2, 3, 4, 5, 6};
  const std::vector<std::int64_t> index{2, 0, 2};
  std::vector<float> y(6), sums(6);
  gather_rows(in(rows), in(index), 2, out(y));
  EXPECT_EQ(y, (std::vector<float>{5, 6, 1, 2, 5, 6}));
  scatter_add_rows(in(std::vector<float>{0x1p24f, 1, 7, 8, 1, 1}), in(index), 3, 2, out(sums));
  EXPECT_EQ(sums, (std::vector<float>{7, 8, 0, 0, 0x1p24f, 2}));
  std::vector<float> hot(6);
  one_hot(in(std::vector<std::int64_t>{2, 5}), 3, 0.9, 0.05, out(hot));
  EXPECT_EQ(hot, (std::vector<float>{0.05f, 0.05f, 0.9f, 0.05f, 0.05f, 0.05f}));
  std::vector<std::int32_t> count(4);
  arange(-1, 0.5, out(count));
  EXPECT_EQ(count, (std::vector<std::int32_t>{-1, 0, 0, 0}));
}

TEST(ReferenceRandom, ElementsAreKeyedByTheirCounter) {
  const RandomKey key{7, 11};
  std::vector<float> all(100), part(10);
  random_uniform(key, 0, -1, 3, out(all));
  random_uniform(key, 37, -1, 3, out(part));
  for (std::size_t i = 0; i < 10; ++i) EXPECT_EQ(part[i], all[37 + i]);
  for (const float v : all) EXPECT_TRUE(v >= -1 && v < 3);
  EXPECT_EQ(all[5], std::fma(numerics::uniform_f32(key, 5), 4.0f, -1.0f));
  random_normal(key, 0, 0, 1, out(all));
  random_normal(key, 37, 0, 1, out(part));
  for (std::size_t i = 0; i < 10; ++i) EXPECT_EQ(part[i], all[37 + i]);
  std::vector<float> x(100, 3.0f), y(100);
  dropout(key, 5, 0.25, in(x), out(y));
  for (std::size_t i = 0; i < 100; ++i)
    EXPECT_EQ(y[i], numerics::uniform_f32(key, 5 + i) < 0.25f ? 0.0f : 3.0f * static_cast<float>(1 / 0.75));
}

// Runs `steps` steps from w = 1 on gradients g = 2, 1, 2, 1, ... and gives w.
double descend(OptimizerHyper h, int steps) {
  std::vector<double> w{1}, state1{0}, state2{0};
  for (int i = 1; i <= steps; ++i) {
    const std::vector<double> g{i % 2 == 1 ? 2.0 : 1.0};
    h.correction1 = 1 - std::pow(h.beta1, i);
    h.correction2 = 1 - std::pow(h.beta2, i);
    const OptimizerSlot slot{out(w), in(g), out(state1), out(state2)};
    optimizer_step(h, {&slot, 1});
  }
  return w[0];
}

TEST(ReferenceOptimizer, FormulasByHand) {
  OptimizerHyper h;
  h.lr = 0.1;
  EXPECT_NEAR(descend(h, 2), 1 - 0.2 - 0.1, 1e-15);
  h.momentum = 0.5;  // v: 2, then 1 + 1 = 2
  EXPECT_NEAR(descend(h, 2), 1 - 0.2 - 0.2, 1e-15);
  h.nesterov = true;  // u: 0.5 * 2 + 2 = 3, then 0.5 * 2 + 1 = 2
  EXPECT_NEAR(descend(h, 2), 1 - 0.3 - 0.2, 1e-15);
  h = {};
  h.lr = 0.1;
  h.weight_decay = 0.5;  // g' = 2 + 0.5, w = 0.75; g' = 1 + 0.375
  EXPECT_NEAR(descend(h, 2), 1 - 0.25 - 0.1375, 1e-15);

  h = {};
  h.kind = OptimizerKind::adam;
  h.lr = 0.1;
  h.beta1 = 0.9;
  h.beta2 = 0.99;
  h.eps = 1e-8;
  EXPECT_NEAR(descend(h, 1), 1 - 0.1 * 2 / (2 + 1e-8), 1e-15) << "the corrections cancel in the first step";
  const double m = 0.9 * 0.2 + 0.1, v = 0.99 * 0.04 + 0.01;
  const double second = 0.1 * (m / (1 - 0.81)) / (std::sqrt(v / (1 - 0.9801)) + 1e-8);
  EXPECT_NEAR(descend(h, 2), descend(h, 1) - second, 1e-14);
  h.kind = OptimizerKind::adamw;
  h.weight_decay = 0.5;
  EXPECT_NEAR(descend(h, 1), 0.95 - 0.1 * 2 / (2 + 1e-8), 1e-15);

  h = {};
  h.kind = OptimizerKind::rmsprop;
  h.lr = 0.1;
  h.beta2 = 0.75;
  h.eps = 0.5;  // v = 0.25 * 4 = 1, u = 2 / 1.5
  EXPECT_NEAR(descend(h, 1), 1 - 0.1 * 2 / 1.5, 1e-15);
  h.momentum = 0.5;
  const double u1 = 2 / 1.5, u2 = 0.5 * u1 + 1 / (std::sqrt(0.75 + 0.25) + 0.5);
  EXPECT_NEAR(descend(h, 2), 1 - 0.1 * u1 - 0.1 * u2, 1e-15);
}

}  // namespace
}  // namespace isobit::cpu::reference
