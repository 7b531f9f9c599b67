// The reference pooling's adaptive windows and sums, on results worked out by hand.
#include <gtest/gtest.h>

#include <vector>

#include "cpu/reference/reference.h"
#include "tests/support/vector_views.h"

namespace isobit::cpu::reference {
namespace {

using test::in;
using test::out;

PoolGeometry adaptive_line(std::int64_t extent, std::int64_t windows) {
  PoolGeometry g;
  g.n = g.c = 1;
  g.adaptive = true;
  g.axis[2].in = extent;
  g.axis[2].out = windows;
  return g;
}

TEST(ReferencePool, AdaptiveWindowsOverlapWhereTheExtentsDoNotDivide) {
  const PoolGeometry g = adaptive_line(5, 3);  // windows {0,1}, {1,2,3}, {3,4}
  const std::vector<float> x{2, 4, 9, 8, 10};
  std::vector<float> y(3), dx(5);
  std::vector<std::int64_t> index(3);
  avg_pool(g, in(x), out(y));
  EXPECT_EQ(y, (std::vector<float>{3, 7, 9}));
  avg_pool_backward(g, in(std::vector<float>{2, 6, 4}), out(dx));
  EXPECT_EQ(dx, (std::vector<float>{1, 3, 2, 4, 2}));
  max_pool(g, in(x), out(y), out(index));
  EXPECT_EQ(y, (std::vector<float>{4, 9, 10}));
  EXPECT_EQ(index, (std::vector<std::int64_t>{1, 2, 4}));
  max_pool_backward(g, in(std::vector<float>{1, 2, 3}), in(index), out(dx));
  EXPECT_EQ(dx, (std::vector<float>{0, 1, 2, 0, 3}));
}

TEST(ReferencePool, AdaptiveWindowsAreSharedWhereThereAreMoreThanElements) {
  const PoolGeometry g = adaptive_line(2, 3);  // windows {0}, {0,1}, {1}
  std::vector<float> y(3), dx(2);
  std::vector<std::int64_t> index(3);
  avg_pool(g, in(std::vector<float>{4, 8}), out(y));
  EXPECT_EQ(y, (std::vector<float>{4, 6, 8}));
  avg_pool_backward(g, in(std::vector<float>{1, 4, 3}), out(dx));
  EXPECT_EQ(dx, (std::vector<float>{3, 5}));
  max_pool(g, in(std::vector<float>{8, 8}), out(y), out(index));
  EXPECT_EQ(index, (std::vector<std::int64_t>{0, 0, 1})) << "of equal elements the first";
}

TEST(ReferencePool, SumsAreChainsFromZeroWithoutADivision) {
  PoolGeometry g;
  g.n = g.c = 1;
  g.sum = true;
  g.count_include_pad = true;  // nothing is divided, whatever would be counted
  g.axis[2] = {4, 3, 2, 1, 1, 0, 0};
  std::vector<float> y(2), dx(4);
  avg_pool(g, in(std::vector<float>{0x1p24F, 1, 1, 2}), out(y));
  EXPECT_EQ(y, (std::vector<float>{0x1p24F, 4})) << "the large number absorbs each 1 by itself";
  avg_pool_backward(g, in(std::vector<float>{3, 5}), out(dx));
  EXPECT_EQ(dx, (std::vector<float>{3, 8, 8, 5}));
  g.adaptive = true;  // windows {0,1}, {2,3}
  avg_pool(g, in(std::vector<float>{1, 2, 3, 4}), out(y));
  EXPECT_EQ(y, (std::vector<float>{3, 7}));
}

}  // namespace
}  // namespace isobit::cpu::reference
