// The reference reductions, softmax and norms: against plain loops in f64 (with bounds, or exactly on
// integers), and on data that tell the orders apart.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <vector>

#include "cpu/reference/reference.h"
#include "tests/support/values.h"
#include "tests/support/vector_views.h"

namespace isobit::cpu::reference {
namespace {

using test::in;
using test::out;

constexpr float kBig = 0x1p24f;  // absorbs a 1, not a 2
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

std::vector<float> integers(std::int64_t count, std::uint64_t seed) {
  std::vector<float> v(static_cast<std::size_t>(count));
  test::fill_integers(out(v), seed, -9, 9);
  return v;
}
std::vector<double> reals(std::int64_t count, std::uint64_t seed) {
  std::vector<double> v(static_cast<std::size_t>(count));
  test::fill_uniform(out(v), seed, -2, 2);
  return v;
}

ReduceGeometry geometry(const std::vector<std::int64_t>& extents, unsigned mask) {
  ReduceGeometry g;
  g.rank = static_cast<int>(extents.size());
  for (int a = 0; a < g.rank; ++a) {
    g.extent[static_cast<std::size_t>(a)] = extents[static_cast<std::size_t>(a)];
    g.reduced[static_cast<std::size_t>(a)] = (mask >> a & 1) != 0;
  }
  g.batch = g.reduced[0];
  g.lanes = g.rank > 1 && g.reduced[static_cast<std::size_t>(g.rank - 1)];
  return g;
}

// Calls fn(element, kept index, reduced index) for every element.
void walk(const ReduceGeometry& g, const std::function<void(std::size_t, std::size_t, std::int64_t)>& fn) {
  std::int64_t numel = 1;
  for (int a = 0; a < g.rank; ++a) numel *= g.extent[static_cast<std::size_t>(a)];
  for (std::int64_t i = 0; i < numel; ++i) {
    std::int64_t rest = i, kept = 0, reduced = 0, kept_size = 1, reduced_size = 1;
    for (int a = g.rank - 1; a >= 0; --a) {
      const auto axis = static_cast<std::size_t>(a);
      const std::int64_t at = rest % g.extent[axis];
      rest /= g.extent[axis];
      (g.reduced[axis] ? reduced : kept) += at * (g.reduced[axis] ? reduced_size : kept_size);
      (g.reduced[axis] ? reduced_size : kept_size) *= g.extent[axis];
    }
    fn(static_cast<std::size_t>(i), static_cast<std::size_t>(kept), reduced);
  }
}

TEST(ReferenceReduce, EveryMaskOfAxesOnIntegers) {
  for (unsigned mask = 0; mask < 16; ++mask) {
    const ReduceGeometry g = geometry({5, 3, 70, 4}, mask);
    const std::vector<float> x = integers(5 * 3 * 70 * 4, mask);
    const auto kept = static_cast<std::size_t>(g.kept());
    std::vector<double> sum(kept, 0), largest(kept, -100), smallest(kept, 100);
    std::vector<std::int64_t> where_max(kept, -1), where_min(kept, -1);
    walk(g, [&](std::size_t i, std::size_t k, std::int64_t r) {
      sum[k] += x[i];
      if (x[i] > largest[k]) largest[k] = x[i], where_max[k] = r;
      if (x[i] < smallest[k]) smallest[k] = x[i], where_min[k] = r;
    });
    std::vector<float> got(kept);
    std::vector<std::int64_t> index(kept);
    reduce_sum(g, in(x), out(got));
    for (std::size_t k = 0; k < kept; ++k) ASSERT_EQ(got[k], sum[k]) << mask;
    reduce_extreme(ReduceOp::max, g, in(x), out(got), out(index));
    for (std::size_t k = 0; k < kept; ++k) ASSERT_EQ(got[k], largest[k]) << mask;
    EXPECT_EQ(index, where_max);
    reduce_extreme(ReduceOp::min, g, in(x), out(got), out(index));
    for (std::size_t k = 0; k < kept; ++k) ASSERT_EQ(got[k], smallest[k]) << mask;
    EXPECT_EQ(index, where_min);
  }
}

float sum_of(const std::vector<std::int64_t>& extents, unsigned mask, const std::vector<float>& x) {
  float got = kNaN;
  reduce_sum(geometry(extents, mask), in(x), {&got, DType::f32, 1});
  return got;
}
std::vector<float> with(std::size_t size, std::initializer_list<std::pair<std::size_t, float>> values) {
  std::vector<float> x(size, 0.0f);
  for (const auto& [i, v] : values) x[i] = v;
  return x;
}

TEST(ReferenceReduce, EachAxisHasItsOrder) {
  // [1, 130]: lanes over the last axis (axis 0 of extent 1 is a kept one).
  EXPECT_EQ(sum_of({1, 130}, 2, with(130, {{1, kBig}, {33, 1}, {97, 1}})), kBig + 2);
  EXPECT_EQ(sum_of({1, 130}, 2, with(130, {{1, kBig}, {65, 1}, {129, 1}})), kBig);
  // [1, 300, 1]: a blocked chain over the middle axis.
  EXPECT_EQ(sum_of({1, 300, 1}, 2, with(300, {{0, kBig}, {256, 1}, {257, 1}})), kBig + 2);
  EXPECT_EQ(sum_of({1, 300, 1}, 2, with(300, {{0, kBig}, {254, 1}, {255, 1}})), kBig);
  // [1, 2, 64]: lanes first, then the chain over the rows.
  EXPECT_EQ(sum_of({1, 2, 64}, 6, with(128, {{0, kBig}, {64, 1}, {65, 1}})), kBig + 2);
  // [32]: the batch tree with leaves of 16; [32, 8, 1]: leaves of 8 samples, in each a chain of 64 terms.
  EXPECT_EQ(sum_of({32}, 1, with(32, {{0, kBig}, {8, 1}, {15, 1}})), kBig);
  EXPECT_EQ(sum_of({32}, 1, with(32, {{0, kBig}, {16, 1}, {31, 1}})), kBig + 2);
  EXPECT_EQ(sum_of({32, 8, 1}, 3, with(256, {{0, kBig}, {64, 1}, {127, 1}})), kBig + 2);
  EXPECT_EQ(sum_of({32, 8, 1}, 3, with(256, {{0, kBig}, {1, 1}, {63, 1}})), kBig);
}

TEST(ReferenceReduce, EmptySumsWrapsAndNaNs) {
  EXPECT_EQ(sum_of({0}, 1, {}), 0.0f);
  std::vector<float> kept(3, kNaN);
  reduce_sum(geometry({0, 3}, 1), in(std::vector<float>()), out(kept));
  EXPECT_EQ(kept, (std::vector<float>{0, 0, 0}));
  std::vector<std::int32_t> wrapped(1);
  reduce_sum(geometry({2}, 1), in(std::vector<std::int32_t>{std::numeric_limits<std::int32_t>::max(), 2}),
             out(wrapped));
  EXPECT_EQ(wrapped[0], std::numeric_limits<std::int32_t>::min() + 1);
  std::vector<float> best(1);
  std::vector<std::int64_t> where(1);
  reduce_extreme(ReduceOp::max, geometry({1, 5}, 2), in(std::vector<float>{1, kNaN, 9, kNaN, 2}), out(best),
                 out(where));
  EXPECT_TRUE(std::isnan(best[0]));
  EXPECT_EQ(where[0], 1);
  reduce_extreme(ReduceOp::max, geometry({1, 3}, 2), in(std::vector<float>{-0.0f, 0.0f, -1}), out(best),
                 out(where));
  EXPECT_TRUE(std::signbit(best[0])) << "equal: the first wins";
  EXPECT_EQ(where[0], 0);
  reduce_extreme(ReduceOp::min, geometry({1, 3}, 2), in(std::vector<float>{3, 1, 1}), out(best), View{});
  EXPECT_EQ(best[0], 1.0f);
}

TEST(ReferenceSoftmax, AgreesWithPlainLoops) {
  for (const std::int64_t columns : {1, 3, 64, 65, 200}) {
    const std::int64_t rows = 4, size = rows * columns;
    const std::vector<double> x = reals(size, 7), dy = reals(size, 8);
    std::vector<double> y(x.size()), log_y(x.size()), dx(x.size()), log_dx(x.size());
    softmax(columns, in(x), out(y));
    log_softmax(columns, in(x), out(log_y));
    softmax_backward(columns, in(dy), in(y), out(dx));
    log_softmax_backward(columns, in(dy), in(log_y), out(log_dx));
    for (std::int64_t r = 0; r < rows; ++r) {
      double s = 0, t = 0, u = 0;
      const auto at = [&](std::int64_t j) { return static_cast<std::size_t>(r * columns + j); };
      for (std::int64_t j = 0; j < columns; ++j) s += std::exp(x[at(j)]);
      for (std::int64_t j = 0; j < columns; ++j) t += dy[at(j)] * std::exp(x[at(j)]) / s, u += dy[at(j)];
      for (std::int64_t j = 0; j < columns; ++j) {
        const double p = std::exp(x[at(j)]) / s;
        EXPECT_NEAR(y[at(j)], p, 1e-13);
        EXPECT_NEAR(log_y[at(j)], std::log(p), 1e-13);
        EXPECT_NEAR(dx[at(j)], (dy[at(j)] - t) * p, 1e-13);
        EXPECT_NEAR(log_dx[at(j)], dy[at(j)] - p * u, 1e-12);
      }
    }
  }
}

TEST(ReferenceSoftmax, LargeValuesAndNaN) {
  std::vector<float> y(3);
  softmax(3, in(std::vector<float>{1000, 1000, -1000}), out(y));
  EXPECT_EQ(y, (std::vector<float>{0.5f, 0.5f, 0.0f}));
  softmax(3, in(std::vector<float>{1, kNaN, 2}), out(y));
  for (const float v : y) EXPECT_TRUE(std::isnan(v));
  std::vector<float> none;
  softmax(3, in(none), out(none));
}

void check_norm(const NormGeometry& g) {
  const double eps = 1e-3;
  const std::vector<double> x = reals(g.numel(), 1), dy = reals(g.numel(), 2);
  const std::vector<double> gamma = reals(g.channels(), 3), beta = reals(g.channels(), 4);
  const auto statistics = static_cast<std::size_t>(g.statistics());
  std::vector<double> mean(statistics), variance(statistics), y(x.size()), dx(x.size());
  std::vector<double> dgamma(gamma.size()), dbeta(beta.size());
  norm_statistics(g, in(x), out(mean), out(variance));
  norm_apply(g, eps, in(x), in(mean), in(variance), in(gamma), in(beta), out(y));
  norm_backward(g, eps, in(dy), in(x), in(mean), in(variance), in(gamma), out(dx));
  norm_backward_affine(g, eps, in(dy), in(x), in(mean), in(variance), out(dgamma), out(dbeta));

  const auto statistic = [&](std::size_t i) {
    const std::size_t group = i / static_cast<std::size_t>(g.d) % static_cast<std::size_t>(g.g);
    const std::size_t a = i / static_cast<std::size_t>(g.b * g.g * g.d);
    return g.over_batch ? group : a * static_cast<std::size_t>(g.g) + group;
  };
  const auto channel = [&](std::size_t i) { return i % static_cast<std::size_t>(g.channels()); };
  const double count = static_cast<double>(g.count());
  std::vector<double> m(statistics), v(statistics), s1(statistics), s2(statistics);
  std::vector<double> dg(gamma.size()), db(beta.size());
  for (std::size_t i = 0; i < x.size(); ++i) m[statistic(i)] += x[i] / count;
  for (std::size_t i = 0; i < x.size(); ++i)
    v[statistic(i)] += (x[i] - m[statistic(i)]) * (x[i] - m[statistic(i)]) / count;
  const auto h = [&](std::size_t i) { return (x[i] - m[statistic(i)]) / std::sqrt(v[statistic(i)] + eps); };
  for (std::size_t i = 0; i < x.size(); ++i) {
    s1[statistic(i)] += dy[i] * gamma[channel(i)] / count;
    s2[statistic(i)] += dy[i] * gamma[channel(i)] * h(i) / count;
    dg[channel(i)] += dy[i] * h(i);
    db[channel(i)] += dy[i];
  }
  for (std::size_t i = 0; i < statistics; ++i) {
    EXPECT_NEAR(mean[i], m[i], 1e-12);
    EXPECT_NEAR(variance[i], v[i], 1e-12);
  }
  for (std::size_t i = 0; i < x.size(); ++i) {
    EXPECT_NEAR(y[i], h(i) * gamma[channel(i)] + beta[channel(i)], 1e-11);
    const double rstd = 1 / std::sqrt(v[statistic(i)] + eps);
    EXPECT_NEAR(dx[i], rstd * (dy[i] * gamma[channel(i)] - s1[statistic(i)] - h(i) * s2[statistic(i)]),
                1e-10);
  }
  for (std::size_t i = 0; i < dg.size(); ++i) {
    EXPECT_NEAR(dgamma[i], dg[i], 1e-10);
    EXPECT_NEAR(dbeta[i], db[i], 1e-11);
  }
}

TEST(ReferenceNorm, AgreesWithPlainLoops) {
  check_norm({6, 9, 5, 1, true});    // batch
  check_norm({33, 1, 3, 1, true});   // batch of rows
  check_norm({7, 1, 1, 70, false});  // layer
  check_norm({3, 10, 4, 6, false});  // group
}

TEST(ReferenceNorm, OrdersAndMissingParameters) {
  const auto mean_of = [](const NormGeometry& g, const std::vector<float>& x) {
    std::vector<float> mean(1), variance(1);
    norm_statistics(g, in(x), out(mean), out(variance));
    return mean[0] * static_cast<float>(g.count());
  };
  EXPECT_EQ(mean_of({32, 1, 1, 1, true}, with(32, {{0, kBig}, {8, 1}, {15, 1}})), kBig);
  EXPECT_EQ(mean_of({32, 1, 1, 1, true}, with(32, {{0, kBig}, {16, 1}, {31, 1}})), kBig + 2);
  EXPECT_EQ(mean_of({1, 1, 1, 128, false}, with(128, {{1, kBig}, {33, 1}, {97, 1}})), kBig + 2);
  EXPECT_EQ(mean_of({1, 2, 1, 64, false}, with(128, {{0, kBig}, {64, 1}, {65, 1}})), kBig + 2);
  const NormGeometry g{1, 1, 1, 2, false};
  const std::vector<float> x{1, 3}, mean{2}, variance{1}, two{2, 2};
  std::vector<float> y(2);
  norm_apply(g, 0, in(x), in(mean), in(variance), {}, {}, out(y));
  EXPECT_EQ(y, (std::vector<float>{-1, 1}));
  norm_apply(g, 0, in(x), in(mean), in(variance), in(two), {}, out(y));
  EXPECT_EQ(y, (std::vector<float>{-2, 2}));
  norm_apply(g, 0, in(x), in(mean), in(variance), {}, in(two), out(y));
  EXPECT_EQ(y, (std::vector<float>{1, 3}));
  norm_backward_affine(g, 0, in(x), in(x), in(mean), in(variance), View{}, out(y));
  EXPECT_EQ(y, x);
}

}  // namespace
}  // namespace isobit::cpu::reference
