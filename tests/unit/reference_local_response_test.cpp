// The reference local response normalisation: against plain loops in f64, and on data that tell the orders
// apart.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
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

LocalResponseGeometry geometry(std::int64_t rows, std::int64_t c, std::int64_t before, std::int64_t after) {
  LocalResponseGeometry g;
  g.rows = rows, g.c = c, g.before = before, g.after = after;
  g.scale = 0.3, g.beta = 0.75, g.bias = 1.5;
  return g;
}

void check(const LocalResponseGeometry& g) {
  const auto n = static_cast<std::size_t>(g.numel());
  std::vector<double> x(n), dy(n), y(n), dx(n);
  test::fill_uniform(out(x), 1, -2, 2);
  test::fill_uniform(out(dy), 2, -2, 2);
  local_response_norm(g, in(x), out(y));
  local_response_norm_backward(g, in(dy), in(x), out(dx));
  for (std::int64_t row = 0; row < g.rows; ++row) {
    const auto at = [&](std::int64_t e) { return static_cast<std::size_t>(row * g.c + e); };
    const auto holds = [&](std::int64_t e, std::int64_t j) { return j >= e - g.before && j <= e + g.after; };
    std::vector<double> d(static_cast<std::size_t>(g.c), g.bias);
    for (std::int64_t e = 0; e < g.c; ++e)
      for (std::int64_t j = 0; j < g.c; ++j)
        if (holds(e, j)) d[static_cast<std::size_t>(e)] += g.scale * x[at(j)] * x[at(j)];
    for (std::int64_t e = 0; e < g.c; ++e) {
      EXPECT_NEAR(y[at(e)], x[at(e)] * std::pow(d[static_cast<std::size_t>(e)], -g.beta), 1e-14);
      double expected = dy[at(e)] * std::pow(d[static_cast<std::size_t>(e)], -g.beta);
      for (std::int64_t j = 0; j < g.c; ++j)
        if (holds(j, e))
          expected -= 2 * g.scale * g.beta * x[at(e)] * dy[at(j)] * x[at(j)] *
                      std::pow(d[static_cast<std::size_t>(j)], -g.beta - 1);
      EXPECT_NEAR(dx[at(e)], expected, 1e-13) << "channel " << e << " of " << g.c;
    }
  }
}

TEST(ReferenceLocalResponse, AgreesWithPlainLoops) {
  check(geometry(2, 9, 2, 2));
  check(geometry(3, 8, 1, 2));
  check(geometry(2, 5, 4, 4));
  check(geometry(2, 3, 0, 0));
  check(geometry(4, 1, 0, 0));
  check(geometry(0, 4, 1, 1));
}

TEST(ReferenceLocalResponse, WindowsAreSummedInAscendingOrder) {
  // d = (1 + 1 + 1 + 1 + 2^24) - 2^24 of the last channel; from the other end it would be 0.
  LocalResponseGeometry g = geometry(1, 5, 4, 0);
  g.scale = 1, g.beta = -1, g.bias = -0x1p24;
  std::vector<float> y(5);
  local_response_norm(g, in(std::vector<float>{1, 1, 1, 1, 4096}), out(y));
  EXPECT_NEAR(y[4], 4096 * 4.0f, 0.01f);
  // d = s = 1, so u = dy, and dx[2] = factor * t: ((1 + 2^24) + 0 - 2^24) + 3, not 4.
  g = geometry(1, 5, 2, 2);
  g.scale = 0x1p-80, g.beta = 1, g.bias = 1;
  std::vector<float> dx(5);
  local_response_norm_backward(g, in(std::vector<float>{1, kBig, 0, -kBig, 3}),
                               in(std::vector<float>{1, 1, 1, 1, 1}), out(dx));
  EXPECT_EQ(dx[2], -0x1p-79f * 3);
}

TEST(ReferenceLocalResponse, Corners) {
  LocalResponseGeometry g = geometry(1, 2, 0, 0);
  constexpr float kInf = std::numeric_limits<float>::infinity();
  std::vector<float> y(2);
  local_response_norm(g, in(std::vector<float>{kInf, -0.0f}), out(y));
  EXPECT_TRUE(std::isnan(y[0])) << "infinity times 0";
  EXPECT_TRUE(y[1] == 0 && std::signbit(y[1]));
  g.after = 1;  // channel 0 sees channel 1
  local_response_norm(g, in(std::vector<float>{1, kInf}), out(y));
  EXPECT_EQ(y[0], 0.0f);
}

}  // namespace
}  // namespace isobit::cpu::reference
