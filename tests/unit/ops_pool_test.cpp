// Pooling ops on results worked out by hand, against plain loops, and against each other.
#include <gtest/gtest.h>
#include <isobit/autograd.h>
#include <isobit/ops.h>

#include <cmath>
#include <limits>

namespace isobit {
namespace {

using Sides = std::vector<std::pair<std::int64_t, std::int64_t>>;
using Floats = std::vector<float>;
using Indices = std::vector<std::int64_t>;

/// One sample of one channel along one axis.
Tensor line(const Floats& values) {
  return from_vector(values, {1, static_cast<std::int64_t>(values.size()), 1});
}

Tensor wanting(Tensor t) {
  return t.set_requires_grad();
}

Tensor noise(const Shape& shape, std::uint64_t stream, DType dtype = DType::f32) {
  return random_normal(shape, {29, stream}, 0, 1, {.dtype = dtype});
}

PoolOptions strided(std::int64_t stride, const Sides& sides = {{0, 0}}, std::int64_t dilation = 1) {
  PoolOptions o;
  o.stride = stride;
  o.padding = Padding(sides);
  o.dilation = dilation;
  return o;
}

TEST(Pool, DilatedAveragesCountTheirTaps) {
  const Tensor x = line({2, 4, 6, 8, 10});  // windows {pad,1}, {0,2}, {1,3}, {2,4}, {3,pad}
  PoolOptions o = strided(1, {{1, 1}}, 2);
  EXPECT_EQ(avg_pool(x, 2, o).to_vector<float>(), (Floats{4, 4, 6, 8, 8}));
  EXPECT_EQ(sum_pool(x, 2, o).to_vector<float>(), (Floats{4, 8, 12, 16, 8}));
  o.count_include_pad = true;
  EXPECT_EQ(avg_pool(x, 2, o).to_vector<float>(), (Floats{2, 4, 6, 8, 4}));
  EXPECT_EQ(sum_pool(x, 2, o).to_vector<float>(), (Floats{4, 8, 12, 16, 8}));
}

// ONNX: out = ceil((in + pads - span) / stride) + 1, less one if the last window would begin in the padding
// after the input.
TEST(Pool, CeilModeDropsWindowsThatBeginBehindTheInput) {
  const auto windows = [](std::int64_t in, std::int64_t window, std::int64_t stride, Sides sides,
                          std::int64_t dilation) {
    PoolOptions o = strided(stride, sides, dilation);
    o.ceil_mode = true;
    const Tensor x = ones({1, in, 1});
    const std::int64_t count = max_pool(x, window, o).shape(1);
    EXPECT_EQ(avg_pool(x, window, o).shape(1), count);
    EXPECT_EQ(lp_pool(x, window, 2, o).shape(1), count);
    return count;
  };
  EXPECT_EQ(windows(4, 3, 2, {{0, 0}}, 1), 2) << "begins at 2";
  EXPECT_EQ(windows(5, 2, 3, {{1, 1}}, 1), 2) << "a third would begin at 5, in the padding";
  EXPECT_EQ(windows(6, 2, 3, {{1, 1}}, 1), 3) << "a third begins at 5";
  EXPECT_EQ(windows(5, 1, 5, {{0, 0}}, 1), 1) << "a second would begin at 5, behind everything";
  EXPECT_EQ(windows(6, 2, 3, {{0, 0}}, 3), 2) << "dilated to 4: begin at 0 and 3";
  EXPECT_EQ(windows(6, 2, 4, {{2, 3}}, 3), 2) << "dilated to 4: a third would begin at 6, in the padding";
}

TEST(Pool, TheLastWindowOfCeilModeIsDividedByWhatItHas) {
  PoolOptions o = strided(2, {{0, 1}});
  o.ceil_mode = true;
  const Tensor x =
      line({3, 6, 9, 12, 15, 18});  // windows {0..3}, {2..5}, {4,5,pad}: the fourth tap is beyond
  EXPECT_EQ(avg_pool(x, 4, o).to_vector<float>(), (Floats{7.5F, 13.5F, 16.5F}));
  o.count_include_pad = true;
  EXPECT_EQ(avg_pool(x, 4, o).to_vector<float>(), (Floats{7.5F, 13.5F, 11}));
  EXPECT_EQ(sum_pool(x, 4, o).to_vector<float>(), (Floats{30, 54, 33}));
}

TEST(Pool, IndicesAreThePositionsOfTheMaxima) {
  const Tensor x = wanting(from_vector<float>({1, 9, 2, 5, 5, 0, 7, 3, 8}, {1, 3, 3, 1}));
  const MaxPoolResult r = max_pool_with_indices(x, 2, strided(1));
  EXPECT_EQ(r.y.to_vector<float>(), (Floats{9, 9, 7, 8}));
  EXPECT_EQ(r.index.to_vector<std::int64_t>(), (Indices{1, 1, 6, 8}));
  EXPECT_FALSE(r.index.requires_grad());
  const auto dx = grad(r.y, {x}, from_vector<float>({1, 2, 4, 8}, {1, 2, 2, 1}))[0];
  EXPECT_EQ(dx.to_vector<float>(), (Floats{0, 3, 0, 0, 0, 0, 4, 0, 8}));
  const MaxPoolResult dilated = max_pool_with_indices(x, 2, strided(1, {{0, 0}}, 2));  // the four corners
  EXPECT_EQ(dilated.index.to_vector<std::int64_t>(), (Indices{8}));
  EXPECT_TRUE(equal_bits(r.y, max_pool(x, 2, strided(1))));
}

TEST(Pool, PaddingIsNeverTheMaximum) {
  constexpr float kNaN = std::numeric_limits<float>::quiet_NaN(),
                  kInf = std::numeric_limits<float>::infinity();
  const Tensor lowest = line(Floats(8, -kInf));
  MaxPoolResult r = max_pool_with_indices(lowest, 3, strided(1, {{1, 1}}));
  EXPECT_EQ(r.y.to_vector<float>(), Floats(8, -kInf));
  EXPECT_EQ(r.index.to_vector<std::int64_t>(), (Indices{0, 0, 1, 2, 3, 4, 5, 6})) << "the first real tap";
  r = max_pool_with_indices(lowest, 3, strided(2, {{1, 1}}));
  EXPECT_EQ(r.index.to_vector<std::int64_t>(), (Indices{0, 1, 3, 5}));
  r = max_pool_with_indices(line({-kInf, -kInf, -1, -kInf, kNaN, kInf, kNaN, 0}), 3, strided(1, {{1, 1}}));
  EXPECT_EQ(r.index.to_vector<std::int64_t>(), (Indices{0, 2, 2, 4, 4, 4, 6, 6}));
}

TEST(Pool, UnpoolPutsElementsBackAndAddsThoseThatMeet) {
  const Tensor x = wanting(from_vector<float>({1, 10, 2, 20, 4, 40}, {1, 3, 2}));
  const Tensor index = from_vector<std::int64_t>({0, 4, 3, 4, 0, 1}, {1, 3, 2});
  const Tensor y = max_unpool(x, index, {1, 5, 2});
  EXPECT_EQ(y.to_vector<float>(), (Floats{5, 0, 0, 40, 0, 0, 2, 0, 0, 30}));
  const Tensor seed = from_vector<float>({1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, {1, 5, 2});
  EXPECT_EQ(grad(y, {x}, seed)[0].to_vector<float>(), (Floats{1, 10, 7, 10, 1, 4}));
}

TEST(Pool, UnpoolIsTheGradientOfMaxPool) {
  for (const DType dtype : {DType::f32, DType::f64, DType::f16, DType::bf16}) {
    const Tensor x = wanting(noise({3, 7, 6, 5}, 1, dtype));
    PoolOptions o = strided(2, {{1, 0}, {1, 1}});
    for (const PerAxis& window : {PerAxis(2), PerAxis(3, 4)}) {
      const MaxPoolResult r = max_pool_with_indices(x, window, o);
      const Tensor dy = noise(r.y.shape(), 2, dtype);
      EXPECT_TRUE(equal_bits(max_unpool(dy, r.index, x.shape()), grad(r.y, {x}, dy)[0]));
    }
  }
  const Tensor volume = noise({2, 4, 6, 2, 3}, 3);
  const MaxPoolResult tiles = max_pool_with_indices(volume, 2);
  const Tensor back = max_unpool(tiles.y, tiles.index, volume.shape());
  EXPECT_TRUE(equal_bits(max_pool(select(eq(back, volume), back, full(volume.shape(), -100.0)), 2), tiles.y));
}

TEST(Pool, PowersOfTheNorm) {
  const Tensor x = line({3, -4, 0, 1, 2, -2});
  const auto of = [&](double p) { return lp_pool(x, 2, p).to_vector<float>(); };
  EXPECT_EQ(of(1), (Floats{7, 1, 4}));
  EXPECT_EQ(of(2)[0], 5);
  EXPECT_EQ(of(2)[1], 1);
  for (const double p : {1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 7.0, 12.0, 20.0}) {
    const Floats y = of(p);
    const double expected[] = {std::pow(std::pow(3.0, p) + std::pow(4.0, p), 1 / p), 1,
                               2 * std::pow(2.0, 1 / p)};
    for (std::size_t i = 0; i < 3; ++i) EXPECT_NEAR(y[i], expected[i], 3e-6 * expected[i]) << p;
    EXPECT_TRUE(equal_bits(global_lp_pool(x.slice(0, 1), p), lp_pool(x, 6, p).reshape({1, 1}))) << p;
  }
  EXPECT_EQ(lp_pool(line({0.5F, 1}), 2, 5000).to_vector<float>(), (Floats{1})) << "no overflow, no products";
  PoolOptions o = strided(2, {{1, 1}});
  o.ceil_mode = true;
  EXPECT_EQ(lp_pool(x, 2, 1, o).to_vector<float>(), (Floats{3, 4, 3, 2})) << "padding is 0";
}

TEST(Pool, NormsOfHalvesAreComputedInF32) {
  for (const DType dtype : {DType::f16, DType::bf16}) {
    const Tensor x = line({768, 1024}).to(dtype);  // the squares exceed f16
    EXPECT_EQ(lp_pool(x, 2).to(DType::f32).to_vector<float>(), (Floats{1280}));
    EXPECT_EQ(global_lp_pool(x).to(DType::f32).to_vector<float>(), (Floats{1280}));
    EXPECT_EQ(lp_pool(x, 2).dtype(), dtype);
  }
}

TEST(Pool, NormsOfZerosHaveZeroDerivatives) {
  const GradOptions graph{.create_graph = true}, unused{.allow_unused = true};
  for (const double p : {1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 7.5}) {
    const Tensor x = wanting(line({0, 0, 0, 2, 0, -0.0F}));
    const Tensor y = lp_pool(x, 2, p);
    const Floats norms = y.to_vector<float>();
    EXPECT_TRUE(norms[0] == 0 && norms[2] == 0) << p;
    EXPECT_NEAR(norms[1], 2, 1e-6) << p;
    const Tensor dx = grad(y, {x}, line({3, 5, 7}), graph)[0];
    const Floats slopes = dx.to_vector<float>();
    Floats bends(6);
    const Tensor second = grad(sum(square(dx)), {x}, {}, unused)[0];
    if (second.defined()) bends = second.to_vector<float>();
    for (std::size_t i = 0; i < 6; ++i) {
      EXPECT_TRUE(i == 3 ? std::abs(slopes[i] - 5) < 1e-5 : slopes[i] == 0)
          << p << ", " << i << ": " << slopes[i];
      EXPECT_TRUE(i == 3 ? std::abs(bends[i]) < 1e-3 : bends[i] == 0) << p << ", " << i << ": " << bends[i];
    }
  }
  constexpr float kNaN = std::numeric_limits<float>::quiet_NaN(),
                  kInf = std::numeric_limits<float>::infinity();
  for (const double p : {1.0, 2.0, 2.5, 3.0}) {
    const Floats y = lp_pool(line({0, kNaN, -kInf, 0, kInf, kNaN}), 2, p).to_vector<float>();
    EXPECT_TRUE(std::isnan(y[0]) && y[1] == kInf && std::isnan(y[2])) << p;
  }
}

TEST(Pool, AdaptiveWindowsAgainstPlainLoops) {
  for (std::int64_t in = 1; in <= 9; ++in)
    for (std::int64_t out = 1; out <= 9; ++out) {
      const Tensor x = noise({2, in, 3}, static_cast<std::uint64_t>(in), DType::f64);
      const std::vector<double> v = x.to_vector<double>();
      const MaxPoolResult highest = adaptive_max_pool_with_indices(x, out);
      const std::vector<double> mean = adaptive_avg_pool(x, out).to_vector<double>(),
                                top = highest.y.to_vector<double>();
      const Indices where = highest.index.to_vector<std::int64_t>();
      EXPECT_TRUE(equal_bits(adaptive_max_pool(x, out), highest.y));
      std::size_t at = 0;
      for (std::int64_t n = 0; n < 2; ++n)
        for (std::int64_t o = 0; o < out; ++o)
          for (std::int64_t c = 0; c < 3; ++c, ++at) {
            double sum = 0, best = -1e9, count = 0;
            std::int64_t place = -1;
            for (std::int64_t i = 0; i < in; ++i) {
              // [i, i + 1) meets [o in / out, (o + 1) in / out)
              if ((i + 1) * out <= o * in || i * out >= (o + 1) * in) continue;
              const double e = v[static_cast<std::size_t>((n * in + i) * 3 + c)];
              sum += e;
              ++count;
              if (e > best) best = e, place = i;
            }
            EXPECT_EQ(mean[at], sum / count) << in << " to " << out;
            EXPECT_EQ(top[at], best) << in << " to " << out;
            EXPECT_EQ(where[at], place) << in << " to " << out;
          }
    }
}

TEST(Pool, AdaptiveWindowsThatDivideAreOrdinaryOnes) {
  const Tensor x = noise({2, 6, 9, 4, 5}, 1);
  EXPECT_TRUE(equal_bits(adaptive_avg_pool(x, {3, 3, 2}), avg_pool(x, {2, 3, 2})));
  EXPECT_TRUE(equal_bits(adaptive_max_pool(x, {2, 1, 4}), max_pool(x, {3, 9, 1})));
  const Tensor dy = noise({2, 3, 3, 2, 5}, 2), a = wanting(x.clone()), b = wanting(x.clone());
  EXPECT_TRUE(equal_bits(grad(adaptive_avg_pool(a, {3, 3, 2}), {a}, dy)[0],
                         grad(avg_pool(b, {2, 3, 2}), {b}, dy)[0]));
  EXPECT_TRUE(equal_bits(grad(adaptive_max_pool(a, {3, 3, 2}), {a}, dy)[0],
                         grad(max_pool(b, {2, 3, 2}), {b}, dy)[0]));
}

TEST(Pool, EmptyBatches) {
  const Tensor x = zeros({0, 5, 4, 3});
  EXPECT_EQ(avg_pool(x, 2, strided(1, {{1, 1}}, 2)).shape(), (Shape{0, 5, 4, 3}));
  EXPECT_EQ(lp_pool(x, 2, 3).shape(), (Shape{0, 2, 2, 3}));
  EXPECT_EQ(adaptive_avg_pool(x, {2, 7}).shape(), (Shape{0, 2, 7, 3}));
  const MaxPoolResult r = adaptive_max_pool_with_indices(x, 2);
  EXPECT_EQ(max_unpool(r.y, r.index, x.shape()).shape(), x.shape());
  EXPECT_EQ(global_lp_pool(x).shape(), (Shape{0, 3}));
  EXPECT_EQ(global_lp_pool(zeros({2, 0, 3}), 3).to_vector<float>(), Floats(6));
}

}  // namespace
}  // namespace isobit
