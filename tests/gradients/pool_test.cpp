// Derivatives of the pooling family beyond max_pool and avg_pool's plain windows (layers_test.cpp).
#include <gtest/gtest.h>

#include "tests/support/gradcheck.h"

namespace isobit::test {
namespace {

using Inputs = std::vector<Tensor>;
using Sides = std::vector<std::pair<std::int64_t, std::int64_t>>;

PoolOptions padded(std::int64_t stride, const Sides& sides, std::int64_t dilation) {
  PoolOptions o;
  o.stride = stride;
  o.padding = Padding(sides);
  o.dilation = dilation;
  return o;
}

TEST(PoolFamilyGradient, DilatedAveragesAndSums) {
  for (const bool include : {false, true}) {
    PoolOptions o = padded(1, {{1, 2}, {0, 1}}, 2);
    o.count_include_pad = include;
    check_gradients("avg_pool dilated", [&](const Inputs& in) { return square(avg_pool(in[0], 2, o)); },
                    {random_values({2, 4, 5, 2}, 1)});
    check_gradients("sum_pool dilated", [&](const Inputs& in) { return square(sum_pool(in[0], 2, o)); },
                    {random_values({2, 4, 5, 2}, 2)});
    check_adjoint("sum_pool dilated", random_integers({2, 6, 7, 3}, 3, 8), [&](const Tensor& t) {
      return sum_pool(t, {3, 2}, o);
    });
  }
  check_adjoint("avg_pool dilated of 4", random_integers({2, 6, 7, 3}, 4, 8), [](const Tensor& t) {
    return avg_pool(t, 2, padded(1, {{0, 0}}, 2));
  });
  check_adjoint("sum_pool 3", random_integers({1, 4, 5, 3, 2}, 5, 8),
                [](const Tensor& t) { return sum_pool(t, 2); });
}

TEST(PoolFamilyGradient, Adaptive) {
  for (const PerAxis& output : {PerAxis(2), PerAxis(3, 7), PerAxis(1, 4)}) {
    check_gradients("adaptive_avg_pool",
                    [&](const Inputs& in) { return square(adaptive_avg_pool(in[0], output)); },
                    {random_values({2, 4, 5, 2}, 1)});
    check_gradients("adaptive_max_pool",
                    [&](const Inputs& in) { return square(adaptive_max_pool(in[0], output)); },
                    {distinct_values({2, 4, 5, 2}, 2)});
    check_adjoint("adaptive_max_pool", random_integers({2, 6, 7, 3}, 3, 8),
                  [&](const Tensor& t) { return adaptive_max_pool(t, output); });
  }
  check_adjoint("adaptive_avg_pool", random_integers({2, 6, 3, 3}, 4, 8),  // windows of 1, 2, 4: exact
                [](const Tensor& t) {
                  return adaptive_avg_pool(t, {3, 5});
                });
  check_gradients("adaptive_avg_pool 3",
                  [](const Inputs& in) {
                    return square(adaptive_avg_pool(in[0], {2, 1, 3}));
                  },
                  {random_values({1, 3, 2, 4, 2}, 5)});
}

TEST(PoolFamilyGradient, IndicesAndUnpool) {
  const MaxPoolResult where =
      max_pool_with_indices(distinct_values({2, 4, 5, 2}, 1), {2, 3}, padded(1, {{1, 0}, {1, 1}}, 1));
  const Shape shape = where.y.shape();
  check_gradients("max_unpool",
                  [&](const Inputs& in) {
                    return square(max_unpool(in[0], where.index, {2, 4, 5, 2}));
                  },
                  {random_values(shape, 2)});
  check_adjoint("max_unpool", random_integers(shape, 3, 8), [&](const Tensor& t) {
    return max_unpool(t, where.index, {2, 4, 5, 2});
  });
  check_gradients("max_pool_with_indices",
                  [](const Inputs& in) {
                    const MaxPoolResult r = max_pool_with_indices(in[0], 2);
                    return square(max_unpool(r.y, r.index, in[0].shape()));
                  },
                  {distinct_values({2, 4, 4, 2}, 4)});
}

TEST(PoolFamilyGradient, Norms) {
  PoolOptions o = padded(2, {{1, 0}, {0, 1}}, 1);
  o.ceil_mode = true;
  for (const double p : {1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0}) {
    // |x| away from 0: powers below 2 have no second derivative there.
    const std::string name = fmt::format("lp_pool of {}", p);
    const Tensor x = random_values({2, 4, 3, 2}, 1, 0.25, 1);
    const Tensor sign = select(lt(random_values({2, 4, 3, 2}, 2), zeros({}, {.dtype = DType::f64})),
                               full({}, -1.0, {.dtype = DType::f64}), ones({}, {.dtype = DType::f64}));
    check_gradients(name, [&](const Inputs& in) { return lp_pool(in[0], {3, 2}, p, o); }, {mul(x, sign)});
    check_gradients("global_" + name, [&](const Inputs& in) { return global_lp_pool(in[0], p); },
                    {mul(x, sign)});
  }
  check_gradients("lp_pool dilated",
                  [](const Inputs& in) {
                    return lp_pool(in[0], 2, 3, padded(1, {{1, 1}}, 2));
                  },
                  {random_values({1, 6, 2}, 3, 0.25, 1)}, {.order = 3});
  check_adjoint("lp_pool of 1", random_integers({2, 6, 7, 3}, 4, 8), [](const Tensor& t) {
    return lp_pool(abs(t), {2, 3}, 1);
  });
}

}  // namespace
}  // namespace isobit::test
