// The reference pooling, element-wise functions, data movement, random numbers and optimizers: against plain
// loops in integers or f64, and on the cases that the contract names.
#include <gtest/gtest.h>
#include <isobit/error.h>

#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "cpu/reference/reference.h"
#include "tests/support/values.h"
#include "tests/support/vector_views.h"

namespace isobit::cpu::reference {
namespace {

using test::in;
using test::out;

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

// bool tensors: vector<bool> has no data.
ConstView flags(const std::vector<std::uint8_t>& v) {
  return {v.data(), DType::boolean, static_cast<std::int64_t>(v.size())};
}
View flags(std::vector<std::uint8_t>& v) {
  return {v.data(), DType::boolean, static_cast<std::int64_t>(v.size())};
}

PoolGeometry pool_line(std::int64_t in, std::int64_t window, std::int64_t out, std::int64_t stride,
                       std::int64_t before, std::int64_t after) {
  PoolGeometry g;
  g.n = g.c = 1;
  g.axis[2] = {in, window, out, stride, 1, before, after};
  return g;
}

TEST(ReferencePool, MaximumAndWhere) {
  const PoolGeometry g = pool_line(5, 3, 3, 2, 1, 1);  // windows {0,1}, {1,2,3}, {3,4}
  std::vector<float> y(3), dx(5), gathered(3);
  std::vector<std::int64_t> index(3);
  max_pool(g, in(std::vector<float>{-5, -5, -7, -1, -2}), out(y), out(index));
  EXPECT_EQ(y, (std::vector<float>{-5, -1, -1})) << "padding never counts";
  EXPECT_EQ(index, (std::vector<std::int64_t>{0, 3, 3})) << "of equal elements the first";
  max_pool_backward(g, in(std::vector<float>{1, 10, 100}), in(index), out(dx));
  EXPECT_EQ(dx, (std::vector<float>{1, 0, 0, 110, 0}));
  max_pool_gather(g, in(std::vector<float>{2, 3, 4, 5, 6}), in(index), out(gathered));
  EXPECT_EQ(gathered, (std::vector<float>{2, 5, 5}));
  max_pool(g, in(std::vector<float>{1, kNaN, 9, kNaN, 2}), out(y), out(index));
  for (const float v : y) EXPECT_TRUE(std::isnan(v));
  EXPECT_EQ(index, (std::vector<std::int64_t>{1, 1, 3})) << "the first NaN wins";
}

TEST(ReferencePool, AverageCountsWhatItDividesBy) {
  PoolGeometry g = pool_line(5, 3, 3, 2, 1, 1);  // windows {pad, 0, 1}, {1, 2, 3}, {3, 4, pad}
  const std::vector<float> x{6, 12, 18, 24, 30};
  std::vector<float> y(3), dx(5);
  avg_pool(g, in(x), out(y));
  EXPECT_EQ(y, (std::vector<float>{9, 18, 27}));
  avg_pool_backward(g, in(std::vector<float>{2, 3, 4}), out(dx));
  EXPECT_EQ(dx, (std::vector<float>{1, 2, 1, 3, 2}));
  g.count_include_pad = true;
  avg_pool(g, in(x), out(y));
  EXPECT_EQ(y, (std::vector<float>{6, 18, 18}));
  avg_pool_backward(g, in(std::vector<float>{3, 3, 6}), out(dx));
  EXPECT_EQ(dx, (std::vector<float>{1, 2, 1, 3, 2}));
  PoolGeometry clipped = pool_line(4, 3, 2, 2, 0, 0);  // ceil_mode: the second window sticks out: {2, 3}
  clipped.count_include_pad = true;
  std::vector<float> z(2);
  avg_pool(clipped, in(std::vector<float>{3, 6, 9, 12}), out(z));
  EXPECT_EQ(z, (std::vector<float>{6, 10.5f}));
}

TEST(ReferencePool, TwoAxesAndChannels) {
  PoolGeometry g;
  g.n = 2;
  g.c = 3;
  g.axis[1] = {4, 2, 2, 2, 1, 0, 0};
  g.axis[2] = {6, 3, 2, 3, 1, 0, 0};
  std::vector<float> x(2 * 4 * 6 * 3), y(2 * 2 * 2 * 3), mean(y.size());
  test::fill_integers(out(x), 4, -50, 50);
  std::vector<std::int64_t> index(y.size());
  max_pool(g, in(x), out(y), out(index));
  avg_pool(g, in(x), out(mean));
  for (std::size_t n = 0; n < 2; ++n)
    for (std::size_t p = 0; p < 2; ++p)
      for (std::size_t q = 0; q < 2; ++q)
        for (std::size_t c = 0; c < 3; ++c) {
          float best = -100, sum = 0;
          std::size_t where = 0;
          for (std::size_t r = 0; r < 2; ++r)
            for (std::size_t s = 0; s < 3; ++s) {
              const std::size_t at = (2 * p + r) * 6 + 3 * q + s;
              const float v = x[(n * 24 + at) * 3 + c];
              sum += v;
              if (v > best) best = v, where = at;
            }
          const std::size_t o = ((n * 2 + p) * 2 + q) * 3 + c;
          EXPECT_EQ(y[o], best);
          EXPECT_EQ(index[o], static_cast<std::int64_t>(where));
          EXPECT_EQ(mean[o], sum / 6);
        }
}

float one(UnaryOp op, float x, double a = 0) {
  std::vector<float> y(1);
  unary(op, a, in(std::vector<float>{x}), out(y));
  return y[0];
}

TEST(ReferenceUnary, FormulasAtTheirCorners) {
  EXPECT_TRUE(std::isnan(one(UnaryOp::relu, kNaN)));
  EXPECT_TRUE(std::signbit(one(UnaryOp::relu, -0.0f)));
  EXPECT_FALSE(std::signbit(one(UnaryOp::relu, -3)));
  EXPECT_EQ(one(UnaryOp::leaky_relu, -8, 0.25), -2.0f);
  EXPECT_EQ(one(UnaryOp::leaky_relu, 8, 0.25), 8.0f);
  EXPECT_EQ(one(UnaryOp::elu, -kInf, 2), -2.0f);
  EXPECT_TRUE(std::signbit(one(UnaryOp::sign, -0.0f)));
  EXPECT_EQ(one(UnaryOp::sign, -7), -1.0f);
  EXPECT_FALSE(std::signbit(one(UnaryOp::abs, -0.0f)));
  EXPECT_EQ(one(UnaryOp::rsub_scalar, 3, 10), 7.0f);
  EXPECT_EQ(one(UnaryOp::div_scalar, 3, 4), 0.75f);
  EXPECT_EQ(one(UnaryOp::reciprocal, -0.0f), -kInf);
  const std::vector<std::pair<UnaryOp, double (*)(double)>> functions = {
      {UnaryOp::exp, [](double v) { return std::exp(v); }},
      {UnaryOp::expm1, [](double v) { return std::expm1(v); }},
      {UnaryOp::log, [](double v) { return std::log(v); }},
      {UnaryOp::log1p, [](double v) { return std::log1p(v); }},
      {UnaryOp::sin, [](double v) { return std::sin(v); }},
      {UnaryOp::cos, [](double v) { return std::cos(v); }},
      {UnaryOp::erf, [](double v) { return std::erf(v); }},
      {UnaryOp::tanh, [](double v) { return std::tanh(v); }},
      {UnaryOp::sigmoid, [](double v) { return 1 / (1 + std::exp(-v)); }},
      {UnaryOp::softplus, [](double v) { return std::log1p(std::exp(v)); }},
      {UnaryOp::silu, [](double v) { return v / (1 + std::exp(-v)); }},
      {UnaryOp::gelu, [](double v) { return v * 0.5 * std::erfc(-v * std::sqrt(0.5)); }},
      {UnaryOp::square, [](double v) { return v * v; }},
      {UnaryOp::sqrt, [](double v) { return std::sqrt(v); }},
      {UnaryOp::neg, [](double v) { return -v; }},
      {UnaryOp::reciprocal, [](double v) { return 1 / v; }},
  };
  std::vector<double> x(50), y(50);
  test::fill_uniform(out(x), 3, 0.1, 3);
  for (const auto& [op, function] : functions) {
    unary(op, 0.0, in(x), out(y));
    for (std::size_t i = 0; i < x.size(); ++i)
      EXPECT_NEAR(y[i], function(x[i]), 4e-15 * (1 + std::fabs(function(x[i]))))
          << name_of(op) << " " << x[i];
  }
}

TEST(ReferenceUnary, IntegersWrap) {
  constexpr std::int32_t lowest = std::numeric_limits<std::int32_t>::min();
  std::vector<std::int32_t> y(2);
  const auto apply = [&](UnaryOp op, std::int64_t a, std::vector<std::int32_t> x) {
    unary(op, a, in(x), out(y));
    return y;
  };
  using Pair = std::vector<std::int32_t>;
  EXPECT_EQ(apply(UnaryOp::neg, 0, {lowest, 5}), (Pair{lowest, -5}));
  EXPECT_EQ(apply(UnaryOp::abs, 0, {lowest, -5}), (Pair{lowest, 5}));
  EXPECT_EQ(apply(UnaryOp::square, 0, {65536, -3}), (Pair{0, 9}));
  EXPECT_EQ(apply(UnaryOp::div_scalar, 0, {7, -7}), (Pair{0, 0}));
  EXPECT_EQ(apply(UnaryOp::div_scalar, -1, {lowest, 7}), (Pair{lowest, -7}));
  EXPECT_EQ(apply(UnaryOp::div_scalar, 2, {-7, 7}), (Pair{-3, 3}));
  EXPECT_EQ(apply(UnaryOp::add_scalar, 1, {-1, std::numeric_limits<std::int32_t>::max()}), (Pair{0, lowest}));
  EXPECT_THROW(apply(UnaryOp::exp, 0, {1, 1}), Error);
  std::vector<std::int64_t> wide(1);
  unary(UnaryOp::add_scalar, std::int64_t{(1LL << 53) + 1}, in(std::vector<std::int64_t>{0}), out(wide));
  EXPECT_EQ(wide[0], (1LL << 53) + 1) << "an integer parameter keeps its bits";
}

StridedGeometry dense(std::int64_t n) {
  StridedGeometry g;
  g.extent[0] = n;
  for (auto& stride : g.stride) stride[0] = 1;
  return g;
}

TEST(ReferenceBinary, BroadcastsComparesAndSelects) {
  StridedGeometry g;  // [2, 3] from a column and a row
  g.rank = 2;
  g.extent = {2, 3};
  g.stride[0] = {1, 0};
  g.stride[1] = {0, 1};
  std::vector<float> y(6);
  const std::vector<float> column{10, 20}, row{1, 2, 3};
  binary(BinaryOp::sub, 0.0, g, in(column), in(row), out(y));
  EXPECT_EQ(y, (std::vector<float>{9, 8, 7, 19, 18, 17}));
  std::vector<std::uint8_t> less(4);
  binary(BinaryOp::le, 0.0, dense(4), in(std::vector<float>{1, 2, kNaN, 3}),
         in(std::vector<float>{1, 1, 1, kNaN}), flags(less));
  EXPECT_EQ(less, (std::vector<std::uint8_t>{1, 0, 0, 0}));
  binary(BinaryOp::ne, 0.0, dense(4), in(std::vector<float>{1, 2, kNaN, 3}),
         in(std::vector<float>{1, 1, kNaN, kNaN}), flags(less));
  EXPECT_EQ(less, (std::vector<std::uint8_t>{0, 1, 1, 1}));
  std::vector<float> z(4);
  binary(BinaryOp::maximum, 0.0, dense(4), in(std::vector<float>{-0.0f, kNaN, 1, 2}),
         in(std::vector<float>{0.0f, 1, kNaN, 3}), out(z));
  EXPECT_TRUE(std::signbit(z[0]));
  EXPECT_TRUE(std::isnan(z[1]) && std::isnan(z[2]));
  EXPECT_EQ(z[3], 3.0f);
  select(dense(4), flags(std::as_const(less)), in(std::vector<float>{1, 2, 3, 4}),
         in(std::vector<float>{5, 6, 7, 8}), out(z));
  EXPECT_EQ(z, (std::vector<float>{5, 2, 3, 4}));
  std::vector<std::int32_t> q(3);
  const std::vector<std::int32_t> a{7, -7, std::numeric_limits<std::int32_t>::min()}, b{0, 2, -1};
  binary(BinaryOp::div, 0.0, dense(3), in(a), in(b), out(q));
  EXPECT_EQ(q, (std::vector<std::int32_t>{0, -3, std::numeric_limits<std::int32_t>::min()}));
}

TEST(ReferenceBinary, GradientsAreDerivatives) {
  struct Case {
    BinaryOp gradient;
    UnaryOp function;
    bool of_result;  // the gradient reads y, not x
  };
  for (const Case& c :
       {Case{BinaryOp::leaky_relu_grad, UnaryOp::leaky_relu, false},
        Case{BinaryOp::relu_grad, UnaryOp::relu, false}, Case{BinaryOp::elu_grad, UnaryOp::elu, false},
        Case{BinaryOp::sigmoid_grad, UnaryOp::sigmoid, true}, Case{BinaryOp::tanh_grad, UnaryOp::tanh, true},
        Case{BinaryOp::softplus_grad, UnaryOp::softplus, false},
        Case{BinaryOp::silu_grad, UnaryOp::silu, false}, Case{BinaryOp::gelu_grad, UnaryOp::gelu, false},
        Case{BinaryOp::abs_grad, UnaryOp::abs, false}}) {
    std::vector<double> x(40), y(40), above(40), below(40), got(40);
    test::fill_uniform(out(x), 9, -3, 3);
    const double a = 0.3, step = 1e-5;
    unary(c.function, a, in(x), out(y));
    std::vector<double> up = x, down = x;
    for (double& v : up) v += step;
    for (double& v : down) v -= step;
    unary(c.function, a, in(up), out(above));
    unary(c.function, a, in(down), out(below));
    const std::vector<double> dy(40, 1.5);
    binary(c.gradient, a, dense(40), in(dy), in(c.of_result ? y : x), out(got));
    for (std::size_t i = 0; i < x.size(); ++i)
      EXPECT_NEAR(got[i], 1.5 * (above[i] - below[i]) / (2 * step), 1e-8)
          << name_of(c.gradient) << " " << x[i];
  }
}

}  // namespace
}  // namespace isobit::cpu::reference
