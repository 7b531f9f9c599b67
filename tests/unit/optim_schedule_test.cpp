// Schedules and gradient clipping.
#include <gtest/gtest.h>
#include <isobit/autograd.h>
#include <isobit/ops.h>
#include <isobit/optim.h>

#include <cmath>
#include <limits>

namespace isobit {
namespace {

TEST(OptimSchedule, StepAndMilestones) {
  const optim::Schedule halves = optim::step_decay(10, 0.5);
  EXPECT_EQ(halves(-1), 1);
  EXPECT_EQ(halves(9), 1);
  EXPECT_EQ(halves(10), 0.5);
  EXPECT_EQ(halves(35), 0.125);
  const optim::Schedule at = optim::milestones({5, 8}, 0.1);
  EXPECT_EQ(at(4), 1);
  EXPECT_EQ(at(5), 0.1);
  EXPECT_DOUBLE_EQ(at(100), 0.01);
  EXPECT_EQ(optim::constant_rate()(1 << 30), 1);
}

TEST(OptimSchedule, Cosine) {
  const optim::Schedule c = optim::cosine(100, 0.1);
  EXPECT_EQ(c(0), 1);
  EXPECT_NEAR(c(50), 0.55, 1e-15);
  EXPECT_EQ(c(100), 0.1);
  EXPECT_EQ(c(1000), 0.1);
  for (int i = 0; i <= 100; ++i)
    EXPECT_NEAR(c(i), 0.1 + 0.9 * (1 + std::cos(M_PI * i / 100)) / 2, 1e-15) << i;
}

TEST(OptimSchedule, WarmUpAndOneCycle) {
  const optim::Schedule w = optim::warm_up(4, optim::cosine(10));
  EXPECT_DOUBLE_EQ(w(0), 0.2);
  EXPECT_DOUBLE_EQ(w(3), 0.8);
  EXPECT_EQ(w(4), 1);
  EXPECT_EQ(w(14), 0);
  const optim::Schedule o = optim::one_cycle(100, {.warm = 0.25, .start_divisor = 10, .end_divisor = 100});
  EXPECT_DOUBLE_EQ(o(0), 0.1);
  EXPECT_DOUBLE_EQ(o(25), 1);
  EXPECT_DOUBLE_EQ(o(99), 0.001);
  EXPECT_DOUBLE_EQ(o(500), 0.001);
  for (int i = 0; i < 25; ++i) EXPECT_LT(o(i), o(i + 1));
  for (int i = 25; i < 99; ++i) EXPECT_GT(o(i), o(i + 1));
}

TEST(OptimSchedule, PlateauWaitsThenLowers) {
  optim::Plateau p({.factor = 0.5, .patience = 1, .threshold = 0, .floor = 0.2});
  EXPECT_EQ(p.report(3), 1);
  EXPECT_EQ(p.report(2), 1);
  EXPECT_EQ(p.report(2), 1);  // first report without improvement
  EXPECT_EQ(p.report(2.5), 0.5);
  const std::vector<double> state = p.state();
  optim::Plateau q({.factor = 0.5, .patience = 1, .threshold = 0, .floor = 0.2});
  q.load_state(state);
  for (const double v : {std::nan(""), 3.0, 3.0, 3.0, 1.0, 3.0}) EXPECT_EQ(p.report(v), q.report(v));
  EXPECT_EQ(p.factor(), 0.2);
  EXPECT_THROW(q.load_state({1}), Error);
}

TEST(OptimSchedule, WrongOptionsAreRefused) {
  EXPECT_THROW(optim::step_decay(0), Error);
  EXPECT_THROW(optim::step_decay(1, -1), Error);
  EXPECT_THROW(optim::milestones({3, 2}), Error);
  EXPECT_THROW(optim::cosine(0), Error);
  EXPECT_THROW(optim::cosine(10, std::nan("")), Error);
  EXPECT_THROW(optim::warm_up(-1, optim::constant_rate()), Error);
  EXPECT_THROW(optim::warm_up(1, {}), Error);
  EXPECT_THROW(optim::one_cycle(10, {.warm = 1}), Error);
  EXPECT_THROW(optim::Plateau({.factor = 1}), Error);
}

std::vector<Tensor> with_gradients(std::initializer_list<std::vector<float>> gradients) {
  std::vector<Tensor> result;
  for (const auto& g : gradients) {
    const Shape shape{static_cast<std::int64_t>(g.size())};
    Tensor p = zeros(shape);
    p.set_requires_grad();
    p.set_grad(from_vector(g, shape));
    result.push_back(p);
  }
  return result;
}

TEST(OptimClip, NormIsJointAndScalesAll) {
  const std::vector<Tensor> p = with_gradients({{3, 0}, {0, 4}});
  EXPECT_EQ(optim::clip_norm(p, 10), 5);
  EXPECT_EQ(p[0].grad().to_vector<float>(), (std::vector<float>{3, 0}));
  EXPECT_EQ(optim::clip_norm(p, 2.5), 5);
  EXPECT_EQ(p[0].grad().to_vector<float>(), (std::vector<float>{1.5, 0}));
  EXPECT_EQ(p[1].grad().to_vector<float>(), (std::vector<float>{0, 2}));
}

TEST(OptimClip, NormFollowsItsDocumentedOrder) {
  Tensor p = zeros({10, 20});
  p.set_requires_grad();
  const Tensor g = random_normal({10, 20}, random_key(Seed{1}, "g"));
  p.set_grad(g);
  // Lanes: term t to chain t mod 64, joined by halving.
  float lane[64] = {};
  const auto values = g.to_vector<float>();
  for (std::size_t t = 0; t < values.size(); ++t) lane[t % 64] += values[t] * values[t];
  for (std::size_t half = 32; half > 0; half /= 2)
    for (std::size_t i = 0; i < half; ++i) lane[i] += lane[i + half];
  EXPECT_EQ(optim::clip_norm(std::vector{p}, 1e9), std::sqrt(static_cast<double>(lane[0])));
}

TEST(OptimClip, DivergedAndWrongLimitsAreRefused) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<Tensor> p = with_gradients({{1, nan}});
  EXPECT_THROW(optim::clip_norm(p, 1), Error);
  EXPECT_EQ(p[0].grad().to_vector<float>()[0], 1);
  EXPECT_THROW(optim::clip_norm(p, 0), Error);
  EXPECT_THROW(optim::clip_norm(p, nan), Error);
  EXPECT_THROW(optim::clip_value(p, -1), Error);
  optim::clip_value(p, 0.5);
  EXPECT_EQ(p[0].grad().to_vector<float>()[0], 0.5f);
  EXPECT_TRUE(std::isnan(p[0].grad().to_vector<float>()[1]));
}

}  // namespace
}  // namespace isobit
