// The judge judged: check_gradients must refuse wrong gradients of every kind it claims to see.
#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

#include "tests/support/gradcheck.h"

namespace isobit::test {
namespace {

/// x^3 with a gradient of its own making.
Tensor cube(const Tensor& x, const BackwardFunction& backward) {
  const Tensor y = mul(x.detach(), square(x.detach()));
  return record("cube", {x}, y, {x}, backward);
}

TEST(GradientChecker, RefusesAWrongFirstDerivative) {
  const Tensor x = random_values({4}, 1, 0.5, 2);
  EXPECT_NONFATAL_FAILURE(
      check_gradients("cube",
                      [](const auto& in) {
                        return cube(in[0], [](const BackwardContext& c) {
                          return std::vector{mul(c.dy(), mul_scalar(square(c.saved(0)), 3.00001))};
                        });
                      },
                      {x}, {.order = 1, .halves = false}),
      "derivative 1");
}

TEST(GradientChecker, RefusesAWrongSecondDerivative) {
  const Tensor x = random_values({4}, 1, 0.5, 2);
  EXPECT_NONFATAL_FAILURE(
      check_gradients("cube",
                      [](const auto& in) {
                        return cube(in[0], [](const BackwardContext& c) {
                          // The history is lost: right once, wrong twice.
                          return std::vector{mul(c.dy(), mul_scalar(square(c.saved(0).detach()), 3))};
                        });
                      },
                      {x}, {.order = 2, .halves = false}),
      "derivative 2");
}

TEST(GradientChecker, RefusesARecordingThatChangesBits) {
  const Tensor x = random_values({4}, 1, 0.5, 2);
  EXPECT_NONFATAL_FAILURE(check_gradients("cube",
                                          [](const auto& in) {
                                            return cube(in[0], [](const BackwardContext& c) {
                                              const Tensor three = mul_scalar(square(c.saved(0)), 3);
                                              return std::vector{grad_enabled()
                                                                     ? mul(c.dy(), add_scalar(three, 1e-15))
                                                                     : mul(c.dy(), three)};
                                            });
                                          },
                                          {x}, {.order = 1, .halves = false}),
                          "create_graph changes bits");
}

TEST(GradientChecker, RefusesNaN) {
  const Tensor x = random_values({4}, 1, 0.5, 2);
  EXPECT_NONFATAL_FAILURE(check_gradients("cube",
                                          [](const auto& in) {
                                            return cube(in[0], [](const BackwardContext& c) {
                                              return std::vector{mul_scalar(c.dy(), NAN)};
                                            });
                                          },
                                          {x}, {.order = 1, .halves = false}),
                          "derivative 1");
}

}  // namespace
}  // namespace isobit::test
