// Padding modes: inside a convolution they give the bits of the padded tensor's valid convolution, in every
// direction; the padded input gradient may be cut into boxes; pad against NumPy's rule; transposed
// convolution.
#include <gtest/gtest.h>
#include <isobit/error.h>
#include <isobit/explain.h>

#include <cstring>

#include "core/folded_gradient.h"
#include "core/numerics/pad_index.h"
#include "tests/support/gradcheck.h"

namespace isobit {
namespace {

using Sides = std::vector<std::pair<std::int64_t, std::int64_t>>;

constexpr PadMode kModes[] = {PadMode::constant, PadMode::reflect, PadMode::symmetric, PadMode::replicate,
                              PadMode::circular};

Tensor noise(const Shape& shape, std::uint64_t stream, DType dtype = DType::f32) {
  return random_normal(shape, {23, stream}, 0, 1, {.dtype = dtype});
}

Tensor padded(const Tensor& x, const Sides& sides, const PadModes& modes, double value = 0) {
  std::vector<std::pair<std::int64_t, std::int64_t>> widths(static_cast<std::size_t>(x.rank()));
  std::vector<PadMode> of(widths.size(), PadMode::constant);
  for (std::size_t i = 0; i < sides.size(); ++i) {
    widths[i + 1] = sides[i];
    of[i + 1] = modes.value[modes.count == 1 ? 0 : i];
  }
  return pad(x, widths, of, value);
}

TEST(Border, PadFollowsNumpy) {
  // numpy.pad(range(4), (5, 6), mode): reflect, symmetric, edge, wrap.
  const Tensor x = arange(4, 0, 1, {.dtype = DType::i64});
  const std::vector<std::int64_t> expected[] = {{7, 7, 7, 7, 7, 0, 1, 2, 3, 7, 7, 7, 7, 7, 7},
                                                {1, 2, 3, 2, 1, 0, 1, 2, 3, 2, 1, 0, 1, 2, 3},
                                                {3, 3, 2, 1, 0, 0, 1, 2, 3, 3, 2, 1, 0, 0, 1},
                                                {0, 0, 0, 0, 0, 0, 1, 2, 3, 3, 3, 3, 3, 3, 3},
                                                {3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1}};
  for (std::size_t m = 0; m < 5; ++m) {
    const Tensor y = pad(x, {{5, 6}}, kModes[m], 7);
    for (std::int64_t i = 0; i < 15; ++i)
      EXPECT_EQ(static_cast<const std::int64_t*>(y.raw())[i], expected[m][static_cast<std::size_t>(i)])
          << name_of(kModes[m]) << " " << i;
  }
}

class BorderTypes : public ::testing::TestWithParam<DType> {};
INSTANTIATE_TEST_SUITE_P(Types, BorderTypes,
                         ::testing::Values(DType::f32, DType::f64, DType::f16, DType::bf16),
                         [](const auto& info) { return std::string(name_of(info.param)); });

TEST_P(BorderTypes, InsideEqualsPadThenValid) {
  const DType type = GetParam();
  for (const PadMode mode : kModes)
    for (const Sides& sides : {Sides{{1, 2}, {0, 3}}, Sides{{9, 4}, {2, 11}}, Sides{{-1, 2}, {3, -2}}})
      for (const std::int64_t stride : {1, 2}) {
        const Tensor x = noise({3, 6, 7, 4}, 1, type), w = noise({3, 2, 2, 6}, 2, type);
        ConvOptions inside, valid;
        inside.stride = valid.stride = stride;
        inside.groups = valid.groups = 2;
        inside.padding = Padding(sides);
        inside.mode = PadModes(mode, PadMode::circular);
        inside.pad_value = 0.75;
        Tensor a = x.clone().set_requires_grad(), b = x.clone().set_requires_grad();
        const Tensor outer = padded(b, sides, inside.mode, 0.75);
        const Tensor y = conv(a, w, {}, inside), z = conv(outer, w, {}, valid);
        ASSERT_TRUE(equal_bits(y.detach(), z.detach())) << name_of(mode);
        const Tensor dy = noise(y.shape(), 3, type);
        EXPECT_TRUE(equal_bits(grad(y, {a}, dy)[0], grad(z, {b}, dy)[0])) << name_of(mode) << stride;
        EXPECT_TRUE(equal_bits(conv_backward_filter(x, dy, w.shape(), inside),
                               conv_backward_filter(outer.detach(), dy, w.shape(), valid)))
            << name_of(mode);
      }
}

TEST_P(BorderTypes, ActivationsHaveTheBitsOfTheOps) {
  const Tensor x = noise({2, 9, 11, 5}, 1, GetParam()), w = noise({3, 3, 5, 20}, 2, GetParam()),
               b = noise({20}, 3, GetParam());
  const std::pair<Activate, Tensor (*)(const Tensor&)> all[] = {
      {Activate::relu, relu},
      {Activate::silu, silu},
      {Activate::sigmoid, sigmoid},
      {Activate::tanh, isobit::tanh},
      {Activate::gelu, gelu},
      {Activate::leaky_relu, [](const Tensor& t) {
                                                                 return leaky_relu(t, 0.3); }}};
  for (const auto& [activation, op] : all) {
    ConvOptions plain, fused;
    plain.padding = fused.padding = Same;
    fused.activation = activation;
    fused.slope = 0.3;
    EXPECT_TRUE(equal_bits(conv(x, w, b, fused), op(conv(x, w, b, plain)))) << static_cast<int>(activation);
    Tensor v = w.clone().set_requires_grad();
    const Tensor y = conv(x, v, b, fused), z = op(conv(x, v, b, plain)), dy = noise(y.shape(), 4, GetParam());
    EXPECT_TRUE(equal_bits(y.detach(), z.detach()));
    EXPECT_TRUE(equal_bits(grad(y, {v}, dy)[0], grad(z, {v}, dy)[0])) << static_cast<int>(activation);
  }
}

// The boxes of a workspace of a few rows against one that holds everything.
TEST(Border, BoxesOfThePaddedGradientGiveItsBits) {
  Backend& cpu = backend(Device::cpu());
  const FoldedGradientKernels kernels{
      [&](const ConvGeometry& g, ConstView dy, ConstView w, View dx) {
        cpu.conv_backward_input(g, dy, w, dx);
      },
      [&](const PadGeometry& g, ConstView dy, View dx) { cpu.pad_backward(g, dy, dx); }};
  for (const PadMode mode : kModes) {
    if (mode == PadMode::constant) continue;
    for (const bool volume : {false, true}) {
      ConvOptions options;
      options.stride = 2;
      options.padding = volume ? Padding(Sides{{2, 3}, {1, 1}, {0, 2}}) : Padding(Sides{{3, 2}, {1, 4}});
      options.mode = mode;
      const Shape x = volume ? Shape{2, 11, 4, 5, 3} : Shape{2, 17, 6, 3};
      const Shape w = volume ? Shape{3, 3, 2, 3, 4} : Shape{3, 3, 3, 4};
      const ConvGeometry g = make_conv_geometry(x, w, options);
      const Tensor filter = noise(w, 2), dy = noise(conv_output_shape(g, x.rank()), 3);
      const Tensor expected = conv_backward_input(dy, filter, x, options);
      for (const std::int64_t limit : {1, 700, 5000, 1 << 20}) {
        const std::int64_t bytes = folded_workspace(g, DType::f32, limit);
        if (limit >= 5000) {
          EXPECT_LE(bytes, std::max<std::int64_t>(limit, 8000));
        }
        std::vector<char> workspace(static_cast<std::size_t>(bytes));
        Tensor dx = full(x, std::numeric_limits<double>::quiet_NaN());
        folded_backward_input(kernels, g, {dy.raw(), DType::f32, dy.numel()},
                              {filter.raw(), DType::f32, filter.numel()}, workspace.data(),
                              {const_cast<void*>(dx.raw()), DType::f32, dx.numel()}, limit);
        EXPECT_TRUE(equal_bits(dx, expected)) << name_of(mode) << " " << limit << " " << volume;
      }
    }
  }
}

TEST(Border, FullAndCausalAndFlip) {
  const Tensor x = noise({1, 6, 2}, 1), w = noise({3, 2, 4}, 2);
  ConvOptions full, causal, wide;
  full.padding = SameRule::full;
  full.dilation = causal.dilation = wide.dilation = 2;
  causal.padding = SameRule::causal;
  wide.padding = Padding(Sides{{4, 4}});
  const Tensor y = conv(x, w, {}, full);
  EXPECT_EQ(y.shape(), (Shape{1, 10, 4}));
  EXPECT_TRUE(equal_bits(y, conv(x, w, {}, wide)));
  EXPECT_TRUE(
      equal_bits(conv(x, w, {}, causal), y.slice(0, 1).reshape({10, 4}).slice(0, 6).reshape({1, 6, 4})));
  ConvOptions flipped = full;
  flipped.flip = true;
  EXPECT_TRUE(equal_bits(conv(x, w, {}, flipped), conv(x, flip(w, {0}), {}, full)));
  EXPECT_TRUE(equal_bits(conv_backward_filter(x, y, w.shape(), flipped),
                         flip(conv_backward_filter(x, y, w.shape(), full), {0})));
}

TEST(ConvTranspose, IsTheGradientAndItsShapes) {
  const Tensor x = noise({2, 4, 5, 6}, 1), w = noise({3, 3, 2, 6}, 2), b = noise({4}, 3);
  ConvTransposeOptions o;
  o.stride = 2;
  o.padding = 1;
  o.groups = 2;
  EXPECT_EQ(conv_transpose(x, w, {}, o).shape(), (Shape{2, 7, 9, 4}));
  o.output_padding = 1;
  const Tensor y = conv_transpose(x, w, b, o);
  EXPECT_EQ(y.shape(), (Shape{2, 8, 10, 4}));
  ConvOptions of;
  of.stride = 2;
  of.padding = 1;
  of.groups = 2;
  EXPECT_TRUE(equal_bits(y, conv_backward_input(x, w, {2, 8, 10, 4}, of) + b));
  o.output_padding = 0;
  o.output_shape = PerAxis(8, 10);
  EXPECT_TRUE(equal_bits(y, conv_transpose(x, w, b, o)));
  ConvTransposeOptions same;
  same.stride = 3;
  same.padding = Same;
  EXPECT_EQ(conv_transpose(noise({1, 4, 2}, 1), noise({5, 3, 2}, 2), {}, same).shape(), (Shape{1, 12, 3}));
  const auto refuses = [&](auto change, const char* expected) {
    ConvTransposeOptions bad;
    bad.groups = 2;
    bad.stride = 2;
    change(bad);
    try {
      conv_transpose(x, w, b, bad);
      ADD_FAILURE() << expected;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(expected), std::string::npos) << error.what();
    }
  };
  refuses([](auto& bad) { bad.output_padding = 2; }, "output_padding is 2");
  refuses([](auto& bad) { bad.output_shape = PerAxis(100, 100); }, "x has shape");
  refuses([](auto& bad) { bad.padding = 9; }, "expected at least 1");
  refuses([](auto& bad) { bad.groups = 0; }, "groups is 0");
}

TEST(Trace, SumsToTheElementAndListsItsUses) {
  for (const DType type : {DType::f32, DType::f64, DType::bf16})
    for (const PadMode mode : kModes) {
      const Tensor x = noise({2, 5, 6, 40}, 1, type), w = noise({3, 3, 20, 4}, 2, type);
      ConvOptions o;
      o.padding = 2;
      o.stride = 2;
      o.groups = 2;
      o.mode = mode;
      o.pad_value = 0.5;
      const Tensor y = conv(x, w, {}, o);
      const ConvTrace t = trace(x, w, 1, {0, 3}, 3, o);
      ASSERT_EQ(t.taps.size(), 180u);
      const Tensor sum = full({}, t.sum, {.dtype = type == DType::f64 ? DType::f64 : DType::f32}).to(type);
      EXPECT_EQ(sum.item(), y.to(DType::f64)
                                .slice(1, 2)
                                .reshape({y.numel() / 2})
                                .slice((0 * y.shape(2) + 3) * 4 + 3, (0 * y.shape(2) + 3) * 4 + 4)
                                .reshape({})
                                .item())
          << name_of(mode) << name_of(type);
      EXPECT_NE(to_text(t).find(mode == PadMode::constant ? "the value" : "0,0,"), std::string::npos);
      // Every use of an element is a tap of that output that reads it, and the other way round.
      std::int64_t found = 0, listed = 0;
      for (std::int64_t h = 0; h < 5; ++h)
        for (std::int64_t v = 0; v < 6; ++v) {
          const auto all = uses(x.shape(), w.shape(), {h, v}, o);
          listed += static_cast<std::int64_t>(all.size());
          for (const ConvUse& use : all)
            for (std::size_t i = 0; i < 3; ++i) {
              const AxisGeometry a = make_conv_geometry(x.shape(), w.shape(), o).axis[i];
              const std::int64_t place[] = {0, h, v};
              found += numerics::pad_source(a.mode,
                                            use.output[i] * a.stride + use.tap[i] * a.dilation - a.pad_before,
                                            a.in) == place[i];
            }
        }
      EXPECT_EQ(found, 3 * listed);
      std::int64_t inside = 0;
      for (std::int64_t p = 0; p < y.shape(1); ++p)
        for (std::int64_t q = 0; q < y.shape(2); ++q)
          for (const ConvTap& tap : trace(x, w, 0, {p, q}, 0, o).taps) inside += !tap.outside;
      EXPECT_EQ(inside, 20 * listed);
    }
  EXPECT_THROW(trace(noise({1, 3, 1}, 1), noise({3, 1, 1}, 2), 0, {1}, 0), Error);
  EXPECT_THROW(trace(noise({1, 3, 1}, 1), noise({3, 1, 1}, 2), 0, {0, 0}, 0), Error);
  EXPECT_THROW(uses({1, 3, 1}, {3, 1, 1}, {3}), Error);
}

}  // namespace
}  // namespace isobit
