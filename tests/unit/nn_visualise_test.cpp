// What a network looks at: activations, saliency, deconvolution, ascent.
#include <gtest/gtest.h>
#include <isobit/models.h>
#include <isobit/ops.h>
#include <isobit/visualise.h>

#include <algorithm>

#include "tests/support/files.h"

namespace isobit {
namespace {

using namespace nn;
using test::refuses;

Tensor noise(const Shape& shape, std::uint64_t seed = 1) {
  return random_normal(shape, random_key(Seed{seed}, "visualise"));
}

TEST(Visualise, ActivationsAreThoseOfTheNetwork) {
  for (const std::string_view name : models::names()) {
    const Sequential net = models::make(name, 4);
    net.build({12, 12, 3});
    net.train();
    const Tensor x = noise({2, 12, 12, 3});
    const std::vector<Activation> all = activations(net, x);
    EXPECT_TRUE(net.training()) << name;  // as it was
    net.eval();
    EXPECT_TRUE(equal_bits(all.back().y, net(x))) << name;
    EXPECT_EQ(all.front().path, "0");
    EXPECT_EQ(all.front().kind, "Conv2D");
    EXPECT_TRUE(equal_bits(all.front().y, net[0](x))) << name;
    EXPECT_FALSE(all.back().y.requires_grad());
    EXPECT_EQ(activations(net, x, "1").size(), 2U);
  }
}

TEST(Visualise, ResidualsAreGoneThrough) {
  const Sequential net = models::resnet_small(4);
  net.build({8, 8, 1});
  const auto all = activations(net, noise({1, 8, 8, 1}), "5.projection.0");
  std::vector<std::string> paths;
  for (const Activation& a : all) paths.push_back(a.path);
  EXPECT_NE(std::find(paths.begin(), paths.end(), "3.body.4"), paths.end());
  EXPECT_EQ(paths.back(), "5.projection.0");
  EXPECT_TRUE(refuses(
      [&] {
        activations(net, noise({1, 8, 8, 1}), "5.body.7");
      },
      {"\"5.body.7\"", "3.body.4"}));
}

TEST(Visualise, BranchesAreGoneThrough) {
  const Sequential net{Concat{Conv2D(2, 3, {.padding = Same}), Sequential{}, Conv2D(1, 1)}, GlobalAvgPool()};
  net.build({6, 6, 2});
  net.eval();
  const Tensor x = noise({2, 6, 6, 2});
  const auto all = activations(net, x);
  std::vector<std::string> paths;
  for (const Activation& a : all) paths.push_back(a.path);
  EXPECT_EQ(paths, (std::vector<std::string>{"0.0", "0.1", "0.2", "0", "1"}));
  EXPECT_EQ(all[3].y.shape(), Shape({2, 6, 6, 5}));
  EXPECT_TRUE(equal_bits(all.back().y, net(x)));
}

TEST(Visualise, SaliencyOfAConvolutionIsItsFilterAtTheLargestValue) {
  const Sequential net{Conv2D(2, 3, {.padding = Same})};
  net.build({7, 7, 1});
  const Tensor w = net.named_parameters()[0].second;
  Tensor x = noise({1, 7, 7, 1});
  const InputView view = saliency(net, x, {"0", 1});
  const Tensor y = net(x);
  const auto values = y.detach().to_vector<float>();
  std::size_t best = 0;
  for (std::size_t i = 0; i < 49; ++i)
    if (values[2 * i + 1] > values[2 * best + 1]) best = i;
  EXPECT_EQ(view.position, static_cast<std::int64_t>(best));
  EXPECT_EQ(view.value, values[2 * best + 1]);
  const std::int64_t row = view.position / 7, column = view.position % 7;
  EXPECT_EQ(view.top, std::max<std::int64_t>(0, row - 1));
  EXPECT_EQ(view.bottom, std::min<std::int64_t>(7, row + 2));
  EXPECT_EQ(view.left, std::max<std::int64_t>(0, column - 1));
  EXPECT_EQ(view.right, std::min<std::int64_t>(7, column + 2));
  const auto g = view.gradient.to_vector<float>();
  const auto filters = w.detach().to_vector<float>();
  EXPECT_EQ(g[static_cast<std::size_t>(row * 7 + column)], filters[4 * 2 + 1]);  // the filter's middle
  EXPECT_FALSE(x.grad().defined());
  EXPECT_FALSE(w.grad().defined());
}

// One number through two weights with a ReLU between.
struct Chain {
  Sequential net{Linear(1, {.bias = false}), ReLU(), Linear(1, {.bias = false})};
  Chain(float first, float second) {
    net.build({1});
    net.load_state_dict({{"0.weight", full({1, 1}, first)}, {"2.weight", full({1, 1}, second)}});
  }
};

TEST(Visualise, ADeconvolutionRectifiesWhatComesFromAbove) {
  const Tensor one = ones({1, 1});
  struct Case {
    float first, second;
    double gradient, deconvolution;
  };
  for (const Case& c : {Case{2, 3, 6, 6},       // open, wanted: both pass
                        Case{2, -3, -6, 0},     // open, unwanted: only the gradient
                        Case{-2, 3, 0, -6},     // shut, wanted: only the deconvolution
                        Case{-2, -3, 0, 0}}) {  // shut, unwanted
    const Chain chain(c.first, c.second);
    EXPECT_EQ(saliency(chain.net, one, {"2", 0}).gradient.item(), c.gradient) << c.first << " " << c.second;
    EXPECT_EQ(deconvolution(chain.net, one, {"2", 0}).gradient.item(), c.deconvolution)
        << c.first << " " << c.second;
    EXPECT_EQ(deconvolution(chain.net, one, {"2", 0}).value, saliency(chain.net, one, {"2", 0}).value);
  }
}

TEST(Visualise, ExcitementIsTheLargestValueOfEverySample) {
  const Sequential net = models::lenet(3);
  net.build({8, 8, 1});
  const Tensor x = noise({5, 8, 8, 1});
  const std::vector<double> values = excitement(net, x, {"3", 40});
  ASSERT_EQ(values.size(), 5U);
  for (std::int64_t n = 0; n < 5; ++n) {
    const InputView view = saliency(net, x.slice(n, n + 1), {"3", 40});
    EXPECT_EQ(values[static_cast<std::size_t>(n)], view.value);
    EXPECT_GT(view.bottom, view.top);
  }
  EXPECT_EQ(excitement(net, x, {"9", 2}).size(), 5U);  // a layer without a map
  EXPECT_TRUE(refuses([&] { excitement(net, x, {"3", 64}); }, {"channel 64", "below 64"}));
  EXPECT_TRUE(refuses([&] { excitement(net, x, {"4.body", 0}); }, {"\"4.body\"", "0, 1, 2"}));
  EXPECT_TRUE(refuses([&] { saliency(net, x, {"3", 0}); }, {"[5,8,8,1]", "[1, ...]"}));
}

TEST(Visualise, AscentFindsWhatAFilterLooksFor) {
  const Sequential net{Conv2D(1, 3, {.padding = Same, .bias = false})};
  net.build({5, 5, 1});
  const std::vector<float> edge{-1, 0, 1, -1, 0, 1, -1, 0, 1};
  net.load_state_dict({{"0.weight", from_vector(edge, {3, 3, 1, 1})}});
  AscentOptions options;
  options.steps = 50;
  options.blur = 0;
  options.noise = 0.02;
  int calls = 0;
  options.progress = [&](std::int64_t step, double) { EXPECT_EQ(step, calls++); };
  const Ascent found = exciting_input(net, {"0", 0}, options);
  EXPECT_EQ(calls, 50);
  const auto x = found.x.to_vector<float>();
  for (std::size_t r = 1; r < 4; ++r) {  // the middle's window: dark left, bright right
    EXPECT_LT(x[r * 5 + 1], -0.9F);
    EXPECT_GT(x[r * 5 + 3], 0.9F);
    EXPECT_LT(std::abs(x[r * 5 + 2]), 0.1F);
  }
  for (const float v : x) EXPECT_LE(std::abs(v), 1.0F);
  EXPECT_GT(found.value, 5.4);
  options.progress = {};
  EXPECT_TRUE(equal_bits(exciting_input(net, {"0", 0}, options).x, found.x));
  options.blur = 1;
  options.rate = 0.02;
  EXPECT_LT(exciting_input(net, {"0", 0}, options).value, found.value);
}

TEST(Visualise, AscentRefusesWhatItCannotDo) {
  const Sequential net = models::lenet(3);
  EXPECT_TRUE(refuses([&] { exciting_input(net, {"0", 0}); }, {"built"}));
  net.build({8, 8, 1});
  EXPECT_TRUE(refuses([&] { exciting_input(net, {"0", 0}, {.rate = 0}); }, {"rate 0"}));
  EXPECT_TRUE(refuses([&] { exciting_input(net, {"0", 0}, {.decay = 1}); }, {"decay 1"}));
  EXPECT_TRUE(refuses([&] { exciting_input(net, {"0", 0}, {.noise = -1}); }, {"noise -1"}));
  EXPECT_TRUE(refuses([&] { exciting_input(net, {"0", 0}, {.low = 2}); }, {"low 2"}));
  EXPECT_TRUE(refuses([&] { exciting_input(net, {"0", 32}, {.steps = 1}); }, {"channel 32"}));
  EXPECT_EQ(exciting_input(net, {"9", 1}, {.steps = 2}).x.shape(), Shape({1, 8, 8, 1}));
}

TEST(Visualise, UnitsAreReadFromText) {
  EXPECT_EQ(parse_unit("3.body.1:17").layer, "3.body.1");
  EXPECT_EQ(parse_unit("3.body.1:17").channel, 17);
  for (const char* text : {"", "3", "3:", ":x", "3:-1", "3:1x", "3:99999999999999999999"})
    EXPECT_TRUE(refuses([&] { parse_unit(text); }, {"layer:channel", text})) << text;
}

}  // namespace
}  // namespace isobit
