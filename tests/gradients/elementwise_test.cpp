// Derivatives of the element-wise ops: first, second and (for the smooth ones) third order.
#include <gtest/gtest.h>

#include "tests/support/gradcheck.h"

namespace isobit::test {
namespace {

using Unary = Tensor (*)(const Tensor&);
using Binary = Tensor (*)(const Tensor&, const Tensor&);

struct UnaryCase {
  const char* name;
  Unary f;
  double low, high;
  bool kink = false;  ///< at 0
};

TEST(ElementwiseGradient, FunctionsOfOne) {
  const UnaryCase cases[] = {
      {"neg", neg, -2, 2},
      {"abs", abs, -2, 2, true},
      {"square", square, -2, 2},
      {"reciprocal", reciprocal, 0.5, 2},
      {"exp", exp, -2, 1},
      {"expm1", expm1, -2, 1},
      {"log", log, 0.5, 3},
      {"log1p", log1p, -0.5, 2},
      {"sqrt", sqrt, 0.5, 3},
      {"sin", sin, -3, 3},
      {"cos", cos, -3, 3},
      {"erf", erf, -2, 2},
      {"tanh", tanh, -2, 2},
      {"sigmoid", sigmoid, -3, 3},
      {"relu", relu, -2, 2, true},
      {"gelu", gelu, -3, 3},
      {"silu", silu, -3, 3},
      {"softplus", softplus, -3, 3},
      {"leaky_relu", [](const Tensor& x) { return leaky_relu(x, 0.1); }, -2, 2, true},
      {"leaky_relu 0", [](const Tensor& x) { return leaky_relu(x, 0); }, -2, 2, true},
      {"leaky_relu -1", [](const Tensor& x) { return leaky_relu(x, -1); }, -2, 2, true},
      {"elu", [](const Tensor& x) { return elu(x, 1.5); }, -2, 2, true},
      {"add_scalar", [](const Tensor& x) { return x + 2; }, -2, 2},
      {"mul_scalar", [](const Tensor& x) { return x * -2.5; }, -2, 2},
      {"div_scalar", [](const Tensor& x) { return x / 4; }, -2, 2},
      {"rsub_scalar", [](const Tensor& x) { return 3 - x; }, -2, 2},
  };
  for (const UnaryCase& c : cases) {
    const auto f = [&c](const std::vector<Tensor>& in) { return c.f(in[0]); };
    const std::vector<double> kinks(c.kink ? 1 : 0, 0.0);
    for (const Shape& shape : {Shape{7}, Shape{2, 3}, Shape{}})
      check_gradients(c.name, f, {random_values(shape, 1, c.low, c.high, kinks)}, {.order = 3});
  }
}

struct BinaryCase {
  const char* name;
  Binary f;
  double low, high;  ///< of the second operand
};

TEST(ElementwiseGradient, FunctionsOfTwoWithBroadcasting) {
  const BinaryCase cases[] = {
      {"add", add, -2, 2}, {"sub", sub, -2, 2}, {"mul", mul, -2, 2}, {"div", div, 0.5, 2}};
  const std::pair<Shape, Shape> shapes[] = {{{3}, {3}},       {{2, 3}, {3}},       {{3}, {2, 3}},
                                            {{2, 1}, {1, 3}}, {{2, 3, 2}, {3, 1}}, {{}, {2, 2}},
                                            {{2, 2}, {}}};
  for (const BinaryCase& c : cases)
    for (const auto& [a, b] : shapes)
      check_gradients(c.name, [&c](const std::vector<Tensor>& in) { return c.f(in[0], in[1]); },
                      {random_values(a, 2, -2, 2), random_values(b, 3, c.low, c.high)}, {.order = 3});
}

TEST(ElementwiseGradient, MaximumMinimumAndSelect) {
  // All values of one tensor differ; its halves are the operands, so no pair is near a tie.
  const Tensor v = distinct_values({2, 6}, 4);
  const std::vector<Tensor> pair{v.slice(0, 1).clone(), v.slice(1, 2).clone()};
  check_gradients(
      "maximum", [](const auto& in) { return maximum(in[0], in[1]); }, pair);
  check_gradients(
      "minimum", [](const auto& in) { return minimum(in[0], in[1]); }, pair);
  const std::vector<Tensor> spread{distinct_values({2, 3}, 5), full({1}, 0.015, {.dtype = DType::f64})};
  check_gradients(
      "maximum, broadcast", [](const auto& in) { return maximum(in[0], in[1]); }, spread);
  const Tensor condition = gt(random_values({2, 3}, 6), zeros({}, {.dtype = DType::f64}));
  check_gradients("select", [&](const auto& in) { return select(condition, mul(in[0], in[0]), in[1]); },
                  {random_values({2, 3}, 7), random_values({3}, 8)});
}

TEST(ElementwiseGradient, TiesAndNaNsGoToTheFirst) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  Tensor a = from_vector<float>({1, 2, nan, 1, nan, -0.f}, {6}).set_requires_grad();
  Tensor b = from_vector<float>({1, 3, 1, nan, nan, 0.f}, {6}).set_requires_grad();
  for (const bool greatest : {true, false}) {
    const auto g = grad(greatest ? maximum(a, b) : minimum(a, b), {a, b}, ones({6}));
    const float second = greatest ? 0.f : 1.f;
    EXPECT_EQ(g[0].to_vector<float>(), (std::vector<float>{1, second, 1, 0, 1, 1}));
    EXPECT_EQ(g[1].to_vector<float>(), (std::vector<float>{0, 1 - second, 0, 1, 0, 0}));
  }
}

TEST(ElementwiseGradient, KinksHaveTheDocumentedSide) {
  Tensor x = from_vector<float>({0.f, -0.f}, {2}).set_requires_grad();
  const Tensor one = ones({2});
  EXPECT_EQ(grad(relu(x), {x}, one)[0].to_vector<float>(), (std::vector<float>{0, 0}));
  EXPECT_EQ(grad(leaky_relu(x), {x}, one)[0].to_vector<float>(), (std::vector<float>{1, 1}));
  EXPECT_EQ(grad(elu(x), {x}, one)[0].to_vector<float>(), (std::vector<float>{1, 1}));
  EXPECT_EQ(grad(abs(x), {x}, one)[0].to_vector<float>(), (std::vector<float>{0, 0}));
}

TEST(ElementwiseGradient, CastsCarryGradients) {
  check_gradients("to", [](const auto& in) { return mul(in[0].to(DType::f64), in[0].to(DType::f64)); },
                  {random_values({5}, 9)}, {.halves = false});
}

TEST(ElementwiseGradient, ChainOfManyUses) {
  check_gradients("y = x e^x + tanh(x) / (1 + x^2), x used often",
                  [](const auto& in) {
                    const Tensor& x = in[0];
                    return add(mul(x, exp(x)), div(tanh(x), add_scalar(square(x), 1)));
                  },
                  {random_values({4}, 10)}, {.order = 3});
}

}  // namespace
}  // namespace isobit::test
