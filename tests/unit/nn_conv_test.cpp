// The layers of the convolution family: they are their ops, with parameters that are named, drawn and
// counted.
#include <gtest/gtest.h>
#include <isobit/autograd.h>
#include <isobit/nn.h>
#include <isobit/ops.h>
#include <isobit/train.h>

#include <algorithm>
#include <cmath>

#include "tests/support/border_net.h"
#include "tests/support/files.h"
#include "tests/support/pictures.h"

namespace isobit {
namespace {

using Sides = std::vector<std::pair<std::int64_t, std::int64_t>>;
using Op = std::function<Tensor(const Tensor& x, const Tensor& w, const Tensor& b)>;

Tensor noise(const Shape& shape, const char* name) {
  return random_normal(shape, random_key(Seed{5}, name));
}

/// A layer, and what it says, makes and computes.
struct Case {
  nn::Layer layer;
  std::string text;
  Shape sample, output, weight;
  std::int64_t multiply_adds;
  Op op;
};

std::vector<Case> convolutions() {
  return {
      {nn::Conv1D(6, 5),
       "Conv1D(6, 5)",
       {20, 4},
       {16, 6},
       {5, 4, 6},
       16 * 120,
       [](const Tensor& x, const Tensor& w, const Tensor& b) { return conv(x, w, b); }},
      {nn::Conv1D(6, 3, {.stride = 2, .padding = Same, .groups = 2, .mode = PadMode::circular}),
       "Conv1D(6, 3, same, circular, stride 2, 2 groups)",
       {9, 4},
       {5, 6},
       {3, 2, 6},
       5 * 36,
       [](const Tensor& x, const Tensor& w, const Tensor& b) {
         return conv(x, w, b, {.stride = 2, .padding = Same, .groups = 2, .mode = PadMode::circular});
       }},
      {nn::Conv2D(4, {3, 5},
                  {.padding = Padding(Sides{{1, 1}, {0, 2}}),
                   .dilation = {2, 1},
                   .activation = Activate::leaky_relu,
                   .slope = 0.2,
                   .mode = {PadMode::replicate, PadMode::circular},
                   .flip = true}),
       "Conv2D(4, 3x5, padding 1x0:2, replicate/circular, dilation 2x1, flipped, leaky_relu(0.2))",
       {7, 8, 3},
       {5, 6, 4},
       {3, 5, 3, 4},
       30 * 180,
       [](const Tensor& x, const Tensor& w, const Tensor& b) {
         const ConvOptions o{.padding = Padding(Sides{{1, 1}, {0, 2}}),
                             .dilation = {2, 1},
                             .mode = {PadMode::replicate, PadMode::circular},
                             .flip = true};
         return leaky_relu(conv(x, w, b, o), 0.2);
       }},
      {nn::Conv2D(4, 3,
                  {.padding = SameRule::full, .bias = false, .activation = Activate::gelu, .pad_value = 0.5}),
       "Conv2D(4, 3x3, full, pad value 0.5, gelu, no bias)",
       {5, 6, 2},
       {7, 8, 4},
       {3, 3, 2, 4},
       56 * 72,
       [](const Tensor& x, const Tensor& w, const Tensor&) {
         return gelu(conv(x, w, {}, {.padding = 2, .pad_value = 0.5}));
       }},
      {nn::Conv3D(
           5, 2,
           {.padding = SameRule::causal, .mode = {PadMode::symmetric, PadMode::reflect, PadMode::constant}}),
       "Conv3D(5, 2x2x2, causal, symmetric/reflect/constant)",
       {4, 5, 6, 2},
       {4, 5, 6, 5},
       {2, 2, 2, 2, 5},
       120 * 80,
       [](const Tensor& x, const Tensor& w, const Tensor& b) {
         return conv(x, w, b,
                     {.padding = Padding(Sides{{1, 0}}),
                      .mode = {PadMode::symmetric, PadMode::reflect, PadMode::constant}});
       }},
      {nn::Conv3D(4, {1, 2, 3}, {.stride = {1, 2, 1}, .padding = Padding(0), .activation = Activate::relu}),
       "Conv3D(4, 1x2x3, stride 1x2x1, relu)",
       {3, 5, 6, 2},
       {3, 2, 4, 4},
       {1, 2, 3, 2, 4},
       24 * 48,
       [](const Tensor& x, const Tensor& w, const Tensor& b) {
         return relu(conv(x, w, b, {.stride = {1, 2, 1}}));
       }},
      {nn::Conv2D(4, 4, {.padding = SameRule::same_lower, .activation = Activate::leaky_relu}),
       "Conv2D(4, 4x4, same_lower, leaky_relu)",
       {5, 6, 1},
       {5, 6, 4},
       {4, 4, 1, 4},
       30 * 64,
       [](const Tensor& x, const Tensor& w, const Tensor& b) {
         return leaky_relu(conv(x, w, b, {.padding = Padding(Sides{{2, 1}})}));
       }}};
}

std::vector<Case> transposed_convolutions() {
  return {
      {nn::ConvTranspose1D(3, 4, {.stride = 2, .padding = 1}),
       "ConvTranspose1D(3, 4, padding 1, stride 2)",
       {6, 5},
       {12, 3},
       {4, 3, 5},
       6 * 60,
       [](const Tensor& x, const Tensor& w, const Tensor& b) {
         return conv_transpose(x, w, b, {.stride = 2, .padding = 1});
       }},
      {nn::ConvTranspose2D(4, 3,
                           {.stride = {2, 3}, .padding = Same, .groups = 2, .activation = Activate::tanh}),
       "ConvTranspose2D(4, 3x3, same, stride 2x3, 2 groups, tanh)",
       {4, 5, 6},
       {8, 15, 4},
       {3, 3, 2, 6},
       20 * 108,
       [](const Tensor& x, const Tensor& w, const Tensor& b) {
         return tanh(conv_transpose(x, w, b, {.stride = {2, 3}, .padding = Same, .groups = 2}));
       }},
      {nn::ConvTranspose2D(3, 3,
                           {.stride = 2,
                            .padding = 1,
                            .bias = false,
                            .mode = PadMode::reflect,
                            .flip = true,
                            .output_padding = {1, 0}}),
       "ConvTranspose2D(3, 3x3, padding 1, reflect, stride 2, flipped, output padding 1x0, no bias)",
       {4, 5, 2},
       {8, 9, 3},
       {3, 3, 3, 2},
       20 * 54,
       [](const Tensor& x, const Tensor& w, const Tensor&) {
         return conv_backward_input(x, w, {2, 8, 9, 3},
                                    {.stride = 2, .padding = 1, .mode = PadMode::reflect, .flip = true});
       }},
      {nn::ConvTranspose3D(2, {2, 3, 3},
                           {.stride = {1, 2, 2},
                            .activation = Activate::leaky_relu,
                            .slope = 0.5,
                            .output_shape = PerAxis(4, 8, 10)}),
       "ConvTranspose3D(2, 2x3x3, stride 1x2x2, output 4x8x10, leaky_relu(0.5))",
       {3, 3, 4, 2},
       {4, 8, 10, 2},
       {2, 3, 3, 2, 2},
       36 * 72,
       [](const Tensor& x, const Tensor& w, const Tensor& b) {
         return leaky_relu(add(conv_backward_input(x, w, {2, 4, 8, 10, 2}, {.stride = {1, 2, 2}}), b), 0.5);
       }}};
}

void expect_is_its_op(const Case& c) {
  SCOPED_TRACE(c.text);
  EXPECT_EQ(c.layer.module().describe(), c.text);
  EXPECT_EQ(c.layer.output_shape(c.sample), c.output);
  c.layer.build(c.sample, Device::cpu(), Seed{3});
  const Tensor w = noise(c.weight, "w").set_requires_grad();
  const bool with_bias = c.layer.parameters().size() == 2;
  const Tensor b = with_bias ? noise({c.output[-1]}, "b").set_requires_grad() : Tensor();
  nn::StateDict state{{"weight", w.detach()}};
  if (with_bias) state.emplace_back("bias", b.detach());
  c.layer.load_state_dict(state);

  Tensor x = noise(c.sample.inserted(0, 2), "x").set_requires_grad();
  const Tensor y = c.layer(x), expected = c.op(x, w, b);
  ASSERT_EQ(y.shape(), c.output.inserted(0, 2));
  EXPECT_TRUE(equal_bits(y, expected));
  const Tensor dy = noise(y.shape(), "dy");
  std::vector<Tensor> operands{w, x};
  if (with_bias) operands.push_back(b);
  const std::vector<Tensor> by_hand = grad(expected, operands, dy);
  y.backward(dy);
  EXPECT_TRUE(equal_bits(c.layer.parameters()[0].grad(), by_hand[0]));
  EXPECT_TRUE(equal_bits(x.grad(), by_hand[1]));
  if (with_bias) {
    EXPECT_TRUE(equal_bits(c.layer.parameters()[1].grad(), by_hand[2]));
  }

  const nn::Summary summary = c.layer.summarize(c.sample);
  ASSERT_EQ(summary.rows.size(), 1u);
  EXPECT_EQ(summary.rows[0].kind, c.text);
  EXPECT_EQ(summary.rows[0].output, c.output);
  EXPECT_EQ(summary.parameters, c.weight.numel() + (with_bias ? c.output[-1] : 0));
  EXPECT_EQ(summary.multiply_adds, c.multiply_adds);
}

TEST(NnConv, ConvolutionsAreTheirOp) {
  for (const Case& c : convolutions()) expect_is_its_op(c);
}

TEST(NnConv, TransposedConvolutionsAreTheirOp) {
  for (const Case& c : transposed_convolutions()) expect_is_its_op(c);
}

TEST(NnConv, AllRanksDrawFromTheirFans) {
  const struct {
    nn::Layer layer;
    Shape sample, weight;
    std::int64_t fan;  // taps * input channels of a group
  } cases[] = {
      {nn::Conv1D(6, 5, {.groups = 2}), {9, 4}, {5, 2, 6}, 10},
      {nn::Conv3D(6, 2), {3, 3, 3, 4}, {2, 2, 2, 4, 6}, 32},
      {nn::ConvTranspose1D(6, 4, {.stride = 2}), {9, 3}, {4, 6, 3}, 12},
      {nn::ConvTranspose2D(6, {2, 3}, {.groups = 2}), {4, 4, 8}, {2, 3, 3, 8}, 24},
      {nn::ConvTranspose3D(6, 2), {3, 3, 3, 1}, {2, 2, 2, 6, 1}, 8},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.layer.module().describe());
    c.layer.build(c.sample, Device::cpu(), Seed{3});
    const double bound = nn::relu_gain * std::sqrt(3.0 / static_cast<double>(c.fan));
    EXPECT_TRUE(equal_bits(c.layer.parameters()[0],
                           random_uniform(c.weight, random_key(Seed{3}, "weight"), -bound, bound)));
    EXPECT_TRUE(equal_bits(c.layer.parameters()[1], zeros({6})));
  }
}

TEST(NnConv, PaddingBeforeOrInsideIsTheSame) {
  const nn::Conv2D valid(4, 3), inside(4, 3, {.padding = 2, .mode = PadMode::symmetric});
  const nn::Sequential before{nn::Pad(2, {.mode = PadMode::symmetric}), valid};
  inside.build({5, 6, 3}, Device::cpu(), Seed{3});
  before.build({5, 6, 3}, Device::cpu(), Seed{4});
  before.load_state_dict({{"1.weight", inside.parameters()[0]}, {"1.bias", inside.parameters()[1]}});
  const Tensor x = noise({2, 5, 6, 3}, "x");
  EXPECT_TRUE(equal_bits(before(x), inside(x)));
}

TEST(NnConv, PadIsItsOp) {
  const Tensor line = noise({2, 6, 3}, "x"), plane = noise({2, 6, 5, 3}, "x"),
               volume = noise({2, 6, 5, 4, 3}, "x");
  const PadMode modes[] = {PadMode::constant, PadMode::reflect, PadMode::circular, PadMode::constant};
  const PadMode deep[] = {PadMode::constant, PadMode::symmetric, PadMode::symmetric, PadMode::symmetric,
                          PadMode::constant};
  const Sides crop{{0, 0}, {1, 1}, {-2, 0}, {0, 0}}, all{{0, 0}, {1, 2}, {1, 2}, {1, 2}, {0, 0}};
  const struct {
    nn::Layer layer;
    const char* text;
    Tensor x, y;
  } cases[] = {
      {nn::Pad(1), "Pad(1)", line, pad(line, {{0, 0}, {1, 1}, {0, 0}})},
      {nn::Pad(2, {.value = -1.5}), "Pad(2, value -1.5)", plane,
       pad(plane, {{0, 0}, {2, 2}, {2, 2}, {0, 0}}, -1.5)},
      {nn::Pad(Padding(Sides{{1, 1}, {-2, 0}}), {.mode = {PadMode::reflect, PadMode::circular}}),
       "Pad(1x-2:0, reflect/circular)", plane, pad(plane, crop, modes)},
      {nn::Pad(Padding(Sides{{1, 2}}), {.mode = PadMode::symmetric}), "Pad(1:2, symmetric)", volume,
       pad(volume, all, deep)},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.text);
    EXPECT_EQ(c.layer.module().describe(), c.text);
    EXPECT_EQ(c.layer.output_shape(c.x.shape().sub(1, c.x.rank())), c.y.shape().sub(1, c.y.rank()));
    EXPECT_TRUE(equal_bits(c.layer(c.x), c.y));
  }
}

TEST(NnConv, PartsAndAResumedRunGiveTheBitsOfTheWhole) {
  train::Options options;
  options.epochs = 1;
  options.batch = 32;
  options.lr = 0.02;
  const data::TrainTest sets{test::bars(80), {}};  // batches of 32, 32 and 16
  train::Trainer whole(test::border_net(4), options, sets);
  EXPECT_TRUE(whole.run().finished);
  EXPECT_EQ(whole.at().step, 3);
  const std::string expected = digest(whole.net());

  train::Trainer parts(test::border_net(4), options, sets);
  parts.run({.micro_batch = 16});
  EXPECT_EQ(digest(parts.net()), expected);

  const test::TemporaryFolder folder;
  const std::string path = folder / "checkpoint.safetensors";
  train::Trainer first(test::border_net(4), options, sets);
  first.run({.steps = 1});
  EXPECT_NE(digest(first.net()), expected);
  train::save(path, first.checkpoint());
  const train::Checkpoint checkpoint = train::load(path);
  std::vector<std::string> names;
  for (const auto& [name, tensor] : checkpoint.weights) names.push_back(name);
  for (const char* name : {"1.weight", "1.bias", "2.weight", "5.weight", "6.bias", "8.weight", "9.weight"})
    EXPECT_EQ(std::count(names.begin(), names.end(), name), 1) << name;
  EXPECT_EQ(std::count(names.begin(), names.end(), "9.bias"), 0);
  train::Trainer second = train::Trainer::resume(test::border_net(4), checkpoint, sets);
  EXPECT_TRUE(second.run().finished);
  EXPECT_EQ(digest(second.net()), expected);
}

}  // namespace
}  // namespace isobit
