// Derivatives through padding modes: pad, the convolutions with their padding inside, transposed convolution.
#include <gtest/gtest.h>

#include "tests/support/gradcheck.h"

namespace isobit::test {
namespace {

using Sides = std::vector<std::pair<std::int64_t, std::int64_t>>;

std::vector<ConvOptions> modes() {
  std::vector<ConvOptions> all;
  for (const PadMode mode :
       {PadMode::constant, PadMode::reflect, PadMode::symmetric, PadMode::replicate, PadMode::circular})
    for (const Sides& sides : {Sides{{1, 1}, {2, 0}}, Sides{{5, 7}, {0, 4}}, Sides{{-1, 3}, {1, -1}}})
      for (const std::int64_t groups : {1, 2}) {
        ConvOptions o;
        o.padding = Padding(sides);
        o.mode = PadModes(mode, mode == PadMode::circular ? PadMode::replicate : mode);
        o.groups = groups;
        o.stride = groups;
        all.push_back(o);
      }
  return all;
}

std::string describe(const ConvOptions& o) {
  return fmt::format("mode {} groups {}", name_of(o.mode.value[0]), o.groups);
}

TEST(BorderGradient, AdjointsAreExactOnIntegers) {
  for (const ConvOptions& o : modes()) {
    const Shape x_shape{2, 4, 5, 4}, w_shape{3, 2, 4 / o.groups, 6};
    const Tensor x = random_integers(x_shape, 1, 4), w = random_integers(w_shape, 2, 4);
    const Tensor y = conv(x, w, {}, o), g = random_integers(y.shape(), 3, 4);
    EXPECT_EQ(inner_product(y, g), inner_product(x, conv_backward_input(g, w, x_shape, o))) << describe(o);
    EXPECT_EQ(inner_product(y, g), inner_product(w, conv_backward_filter(x, g, w_shape, o))) << describe(o);
  }
}

TEST(BorderGradient, AdjointOfPad) {
  for (const PadMode mode :
       {PadMode::constant, PadMode::reflect, PadMode::symmetric, PadMode::replicate, PadMode::circular})
    for (const std::int64_t extent : {1, 2, 5})
      for (const std::int64_t width : {0, 1, 7})
        check_adjoint(fmt::format("pad {} {} by {}", name_of(mode), extent, width),
                      random_integers({2, extent, 3}, 1, 4), [&](const Tensor& t) {
                        return pad(t, {{0, 0}, {width, 2}, {1, width}}, mode);
                      });
}

TEST(BorderGradient, DifferencesOfEveryOrder) {
  for (ConvOptions o : modes()) {
    const Shape x{1, 3, 3, 2}, w{2, 2, 2 / o.groups, 2};
    if (o.mode.value[0] == PadMode::constant) o.pad_value = 0.5;
    check_gradients("conv " + describe(o), [&o](const auto& in) { return conv(in[0], in[1], in[2], o); },
                    {random_values(x, 1), random_values(w, 2), random_values({2}, 3)},
                    {.order = o.groups == 2 ? 2 : 1, .roundings = 64});
  }
}

TEST(BorderGradient, GradientOpsOfASide) {
  for (const ConvOptions& base : modes()) {
    if (base.groups != 2) continue;
    ConvOptions o = base;
    o.pad_value = o.mode.value[0] == PadMode::constant ? -0.25 : 0.0;
    const Shape x{1, 3, 3, 2}, w{2, 2, 1, 2};
    const Shape y = conv(random_values(x, 1), random_values(w, 2), {}, o).shape();
    check_gradients("conv_backward_input " + describe(o),
                    [&](const auto& in) { return conv_backward_input(in[0], in[1], x, o); },
                    {random_values(y, 6), random_values(w, 7)}, {.order = 2, .roundings = 64});
    check_gradients("conv_backward_filter " + describe(o),
                    [&](const auto& in) { return conv_backward_filter(in[0], in[1], w, o); },
                    {random_values(x, 8), random_values(y, 9)}, {.order = 2, .roundings = 64});
  }
}

TEST(BorderGradient, Flip) {
  check_gradients("flip",
                  [](const auto& in) {
                    return square(flip(in[0], {0, 2}));
                  },
                  {random_values({2, 3, 2}, 1)}, {.order = 2, .roundings = 64});
  ConvOptions o;
  o.flip = true;
  o.padding = SameRule::full;
  check_gradients("true convolution", [&o](const auto& in) { return conv(in[0], in[1], {}, o); },
                  {random_values({1, 3, 3, 1}, 1), random_values({2, 2, 1, 2}, 2)},
                  {.order = 2, .roundings = 64});
}

TEST(BorderGradient, ConvTranspose) {
  ConvTransposeOptions o;
  o.stride = 2;
  o.padding = 1;
  o.output_padding = 1;
  o.groups = 2;
  check_gradients("conv_transpose", [&o](const auto& in) { return conv_transpose(in[0], in[1], in[2], o); },
                  {random_values({1, 3, 2, 4}, 1), random_values({3, 3, 1, 4}, 2), random_values({2}, 3)},
                  {.order = 2, .roundings = 64});
}

}  // namespace
}  // namespace isobit::test
