// Derivatives of convolution and linear: groups, stride, dilation and asymmetric padding crossed, because the
// errors of others sat in the crossings.
#include <gtest/gtest.h>

#include "tests/support/gradcheck.h"

namespace isobit::test {
namespace {

Padding sides(std::vector<std::pair<std::int64_t, std::int64_t>> widths) {
  return Padding(std::move(widths));
}

std::string describe(const ConvOptions& o, const Shape& x, const Shape& w) {
  return fmt::format("conv x {} w {} groups {} stride {} dilation {}", x, w, o.groups, o.stride.value[0],
                     o.dilation.value[0]);
}

std::vector<ConvOptions> crossed() {
  std::vector<ConvOptions> all;
  for (const std::int64_t groups : {1, 2})
    for (const std::int64_t stride : {1, 2, 3})
      for (const std::int64_t dilation : {1, 2})
        for (const Padding& padding : {Padding{}, sides({{2, 1}, {0, 3}}), Padding{Same}})
          all.push_back({.stride = stride, .padding = padding, .dilation = dilation, .groups = groups});
  return all;
}

TEST(ConvGradient, AdjointsAreExactOnIntegers) {
  int checked = 0;
  for (ConvOptions o : crossed())
    for (const Shape& window : {Shape{3, 2}, Shape{1, 1}, Shape{2, 3}}) {
      const Shape x_shape{2, 7, 6, 4}, w_shape{window[0], window[1], 4 / o.groups, 6};
      const Tensor x = random_integers(x_shape, 1, 4), w = random_integers(w_shape, 2, 4);
      const Tensor y = conv(x, w, {}, o);
      const Tensor g = random_integers(y.shape(), 3, 4);
      const double expected = inner_product(y, g);
      EXPECT_EQ(expected, inner_product(x, conv_backward_input(g, w, x_shape, o)))
          << describe(o, x_shape, w_shape);
      EXPECT_EQ(expected, inner_product(w, conv_backward_filter(x, g, w_shape, o)))
          << describe(o, x_shape, w_shape);
      ++checked;
    }
  EXPECT_EQ(checked, 108);
}

TEST(ConvGradient, AdjointsInOneAndThreeDimensionsWithCrops) {
  ConvOptions line;
  line.stride = 2;
  line.padding = sides({{-1, 2}});
  ConvOptions volume;
  volume.stride = PerAxis(1, 2, 1);
  volume.dilation = PerAxis(2, 1, 1);
  volume.padding = sides({{1, 0}, {0, 1}, {2, -1}});
  const std::tuple<Shape, Shape, ConvOptions> cases[] = {
      {Shape{3, 9, 2}, Shape{3, 2, 5}, line}, {Shape{2, 4, 5, 4, 2}, Shape{2, 3, 2, 2, 3}, volume}};
  for (const auto& [x_shape, w_shape, o] : cases) {
    const Tensor x = random_integers(x_shape, 4, 4), w = random_integers(w_shape, 5, 4);
    const Tensor y = conv(x, w, {}, o), g = random_integers(y.shape(), 6, 4);
    EXPECT_EQ(inner_product(y, g), inner_product(x, conv_backward_input(g, w, x_shape, o)));
    EXPECT_EQ(inner_product(y, g), inner_product(w, conv_backward_filter(x, g, w_shape, o)));
  }
}

TEST(ConvGradient, DifferencesAcrossTheCrossing) {
  for (const ConvOptions& o : crossed()) {
    const Shape x{2, 4, 5, 2}, w{2, 3, 2 / o.groups, 2};
    check_gradients(describe(o, x, w), [&o](const auto& in) { return conv(in[0], in[1], in[2], o); },
                    {random_values(x, 1), random_values(w, 2), random_values({2}, 3)},
                    {.order = 1, .roundings = 64});
  }
}

TEST(ConvGradient, HigherOrders) {
  ConvOptions o;
  o.groups = 2;
  o.stride = 2;
  o.padding = sides({{1, 0}, {0, 2}});
  const Shape x{2, 3, 3, 2}, w{2, 2, 1, 2};
  check_gradients("conv, order 3", [&o](const auto& in) { return conv(in[0], in[1], in[2], o); },
                  {random_values(x, 1), random_values(w, 2), random_values({2}, 3)},
                  {.order = 3, .roundings = 64});
  check_gradients("tanh(conv)^2", [&o](const auto& in) { return square(tanh(conv(in[0], in[1], {}, o))); },
                  {random_values(x, 4), random_values(w, 5)}, {.order = 2, .roundings = 64});
  const Shape y = conv(random_values(x, 1), random_values(w, 2), {}, o).shape();
  check_gradients("conv_backward_input",
                  [&](const auto& in) { return conv_backward_input(in[0], in[1], x, o); },
                  {random_values(y, 6), random_values(w, 7)}, {.order = 2, .roundings = 64});
  check_gradients("conv_backward_filter",
                  [&](const auto& in) { return conv_backward_filter(in[0], in[1], w, o); },
                  {random_values(x, 8), random_values(y, 9)}, {.order = 2, .roundings = 64});
}

TEST(ConvGradient, FusedReluHasTheBitsOfTheOp) {
  ConvOptions plain, fused;
  plain.padding = fused.padding = Same;
  fused.activation = Activate::relu;
  Tensor x = random_values({2, 5, 5, 3}, 1).to(DType::f32).set_requires_grad();
  Tensor w = random_values({3, 3, 3, 4}, 2).to(DType::f32).set_requires_grad();
  Tensor b = random_values({4}, 3).to(DType::f32).set_requires_grad();
  const Tensor one = conv(x, w, b, fused), two = relu(conv(x, w, b, plain));
  ASSERT_TRUE(equal_bits(one.detach(), two.detach()));
  const Tensor seed = random_values(one.shape(), 4).to(DType::f32);
  const auto g1 = grad(one, {x, w, b}, seed), g2 = grad(two, {x, w, b}, seed);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_TRUE(equal_bits(g1[i], g2[i])) << i;
}

TEST(ConvGradient, Linear) {
  for (const Shape& x : {Shape{3, 4}, Shape{4}, Shape{2, 3, 4}, Shape{2, 2, 2, 4}})
    check_gradients(fmt::format("linear {}", x), [](const auto& in) { return linear(in[0], in[1], in[2]); },
                    {random_values(x, 1), random_values({4, 3}, 2), random_values({3}, 3)},
                    {.order = 2, .roundings = 64});
  const Tensor x = random_integers({37, 5}, 4, 4), w = random_integers({5, 3}, 5, 4);
  check_adjoint("linear in x", x, [&](const Tensor& t) { return linear(t, w); });
  check_adjoint("linear in w", w, [&](const Tensor& t) { return linear(x, t); });
}

TEST(ConvGradient, EmptyBatch) {
  Tensor x = zeros({0, 5, 5, 2}).set_requires_grad(), w = ones({3, 3, 2, 4}).set_requires_grad();
  Tensor b = ones({4}).set_requires_grad();
  const Tensor y = conv(x, w, b);
  EXPECT_EQ(y.shape(), (Shape{0, 3, 3, 4}));
  const auto g = grad(y, {x, w, b}, zeros({0, 3, 3, 4}));
  EXPECT_EQ(g[0].shape(), x.shape());
  EXPECT_TRUE(equal_bits(g[1], zeros(w.shape())));
  EXPECT_TRUE(equal_bits(g[2], zeros({4})));
}

}  // namespace
}  // namespace isobit::test
