// The loss scale by itself: powers of two that change no bit, overflow, growth, state.
#include <gtest/gtest.h>
#include <isobit/autograd.h>
#include <isobit/error.h>
#include <isobit/nn.h>
#include <isobit/ops.h>
#include <isobit/optim.h>

#include <limits>

namespace isobit::optim {
namespace {

Tensor parameter(float value) {
  Tensor p = from_vector(std::vector<float>{value, value}, {2});
  p.set_requires_grad();
  return p;
}
void give(Tensor& p, float g) {
  p.set_grad(from_vector(std::vector<float>{1, g}, {2}));
}
std::string message(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(LossScale, TakesBackWhatItPutIn) {
  LossScale scale({.initial = 1024});
  Tensor p = parameter(3);
  Tensor loss = sum(square(p));
  EXPECT_EQ(scale.scaled(loss).item(), 1024 * loss.item());
  scale.scaled(loss).backward();
  EXPECT_EQ(p.grad().to_vector<float>(), (std::vector<float>{6144, 6144}));
  EXPECT_TRUE(scale.unscale(std::span(&p, 1)));
  EXPECT_EQ(p.grad().to_vector<float>(), (std::vector<float>{6, 6}));
  EXPECT_EQ(scale.state().good, 1);
}

TEST(LossScale, OverflowClearsGradientsAndHalves) {
  for (const float bad : {std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity(),
                          std::numeric_limits<float>::quiet_NaN()}) {
    LossScale scale({.initial = 8});
    Tensor ps[] = {parameter(1), parameter(2), parameter(3)};
    give(ps[0], 5);
    give(ps[1], bad);  // the third has none
    EXPECT_FALSE(scale.unscale(ps));
    EXPECT_EQ(scale.scale(), 4);
    EXPECT_EQ(scale.state().skipped, 1);
    for (const Tensor& p : ps) EXPECT_FALSE(p.grad().defined());
  }
}

TEST(LossScale, TheLargestFiniteGradientIsNoOverflow) {
  LossScale scale({.initial = 2});
  Tensor ps[] = {parameter(1), parameter(2)};
  for (Tensor& p : ps) give(p, std::numeric_limits<float>::max());
  EXPECT_TRUE(scale.unscale(ps));
  EXPECT_EQ(ps[1].grad().to_vector<float>()[1], std::numeric_limits<float>::max() / 2);
}

TEST(LossScale, GrowsAfterGoodStepsInARowUpToItsMost) {
  LossScale scale({.initial = 0x1p22, .growth_interval = 3});
  Tensor p = parameter(1);
  const auto step = [&](float g) {
    give(p, g);
    return scale.unscale(std::span(&p, 1));
  };
  step(1), step(1);
  EXPECT_EQ(scale.scale(), 0x1p22);
  EXPECT_FALSE(step(std::numeric_limits<float>::infinity()));
  step(1), step(1);
  EXPECT_EQ(scale.scale(), 0x1p21) << "the count began anew";
  step(1);
  EXPECT_EQ(scale.scale(), 0x1p22);
  for (int i = 0; i < 30; ++i) step(1);
  EXPECT_EQ(scale.scale(), 0x1p24);
}

TEST(LossScale, CannotGoBelowOneOrAwayFromAFixedOne) {
  Tensor p = parameter(1);
  give(p, std::numeric_limits<float>::infinity());
  LossScale least({.initial = 1});
  EXPECT_EQ(
      message([&] { least.unscale(std::span(&p, 1)); }),
      "loss_scale: a gradient is not finite at scale 1, which is the least: the run has diverged, lower the "
      "learning rate");
  LossScale fixed({.initial = 64, .dynamic = false});
  EXPECT_EQ(
      message([&] { fixed.unscale(std::span(&p, 1)); }),
      "loss_scale: a gradient is not finite at scale 64, which is fixed: give a lower one, or a dynamic one");
  EXPECT_TRUE(p.grad().defined()) << "an error changes nothing";
  EXPECT_EQ(fixed.scale(), 64);
}

TEST(LossScale, RefusesWhatIsNoScaleAndNoState) {
  for (const double wrong : {0.0, 0.5, 3.0, 0x1p25, -2.0, std::numeric_limits<double>::infinity(),
                             std::numeric_limits<double>::quiet_NaN()})
    EXPECT_NE(
        message([&] { LossScale({.initial = wrong}); }).find("expected a power of two from 1 to 16777216"),
        std::string::npos)
        << wrong;
  EXPECT_THROW(LossScale({.growth_interval = 0}), Error);
  LossScale scale({.initial = 4, .growth_interval = 10});
  EXPECT_THROW(scale.set_state({3, 0, 0}), Error);
  EXPECT_THROW(scale.set_state({4, -1, 0}), Error);
  EXPECT_THROW(scale.set_state({4, 10, 0}), Error);
  EXPECT_THROW(scale.set_state({4, 0, -1}), Error);
  EXPECT_EQ(scale.scale(), 4);
  scale.set_state({2, 9, 7});
  Tensor p = parameter(1);
  give(p, 1);
  EXPECT_TRUE(scale.unscale(std::span(&p, 1)));
  EXPECT_EQ(scale.scale(), 4) << "the tenth good step in a row";
  EXPECT_EQ(scale.state().skipped, 7);
  EXPECT_THROW(LossScale({.initial = 4, .dynamic = false}).set_state({2, 0, 0}), Error);
}

// Trained with any power of two in exact arithmetic: scaling multiplies every product and sum of the backward
// pass by it and rounds nothing.
TEST(LossScale, ChangesNoBitOfExactTraining) {
  const auto train = [](double initial) {
    nn::Sequential net{nn::Conv2D(4, 3), nn::ReLU(), nn::MaxPool2D(2), nn::Flatten(), nn::Linear(3)};
    net.build({8, 8, 2}, {}, Seed{1});
    const Tensor images = random_normal({6, 8, 8, 2}, random_key(Seed{2}, "images"), 0, 1);
    const Tensor labels = from_vector(std::vector<std::int64_t>{0, 1, 2, 0, 1, 2}, {6});
    SGD sgd(net.parameters(), {.lr = 0.1, .momentum = 0.9});
    LossScale scale({.initial = initial == 0 ? 1 : initial});
    for (int step = 0; step < 5; ++step) {
      const Tensor loss = cross_entropy(net(images), labels);
      if (initial == 0) {
        loss.backward();
      } else {
        scale.scaled(loss).backward();
        EXPECT_TRUE(scale.unscale(net.parameters()));
      }
      sgd.step();
    }
    return nn::digest(net);
  };
  const std::string plain = train(0);
  for (const double scale : {1.0, 2.0, 65536.0, 0x1p24}) EXPECT_EQ(train(scale), plain) << scale;
}

}  // namespace
}  // namespace isobit::optim
