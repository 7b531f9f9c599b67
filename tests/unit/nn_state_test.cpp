// Parameters: names, seeds, initialisers, sharing, saving and restoring.
#include <gtest/gtest.h>
#include <isobit/autograd.h>
#include <isobit/models.h>
#include <isobit/nn.h>
#include <isobit/ops.h>

#include <cmath>

namespace isobit {
namespace {

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

struct Moments {
  double mean, deviation, lowest, highest;
};

Moments moments(const Tensor& t) {
  double sum = 0, squares = 0, lowest = 1e300, highest = -1e300;
  for (const float v : t.to_vector<float>()) {
    sum += v;
    squares += static_cast<double>(v) * v;
    lowest = std::min<double>(lowest, v);
    highest = std::max<double>(highest, v);
  }
  const double n = static_cast<double>(t.numel()), mean = sum / n;
  return {mean, std::sqrt(squares / n - mean * mean), lowest, highest};
}

TEST(NnInit, DeviationsAndBoundsFollowTheFans) {
  const Shape shape{5, 5, 32, 64};
  const nn::Fans fans{800, 1600};
  const auto draw = [&](const nn::Init& init) {
    return moments(nn::initialize(init, shape, fans, random_key(Seed{3}, "w")));
  };
  const struct {
    nn::Init init;
    double deviation;
    bool uniform;
  } cases[] = {
      {nn::kaiming_normal(), std::sqrt(2.0 / 800), false},
      {nn::kaiming_uniform(), std::sqrt(2.0 / 800), true},
      {nn::kaiming_normal(1, nn::Fan::out), std::sqrt(1.0 / 1600), false},
      {nn::kaiming_uniform(1, nn::Fan::out), std::sqrt(1.0 / 1600), true},
      {nn::xavier_normal(), std::sqrt(2.0 / 2400), false},
      {nn::xavier_uniform(2), 2 * std::sqrt(2.0 / 2400), true},
      {nn::lecun_normal(), std::sqrt(1.0 / 800), false},
      {nn::lecun_uniform(), std::sqrt(1.0 / 800), true},
      {nn::normal(0, 0.25), 0.25, false},
      {nn::uniform(-1, 1), 1 / std::sqrt(3.0), true},
  };
  for (const auto& c : cases) {
    const Moments m = draw(c.init);
    // 51,200 draws: the deviation's own relative error is about 1 / sqrt(2 n) = 0.3 %.
    EXPECT_NEAR(m.deviation / c.deviation, 1, 0.02);
    EXPECT_NEAR(m.mean / c.deviation, 0, 0.02);
    if (c.uniform) {
      EXPECT_LE(m.highest, c.deviation * std::sqrt(3.0) * 1.0001);
      EXPECT_GT(m.highest, c.deviation * std::sqrt(3.0) * 0.99);
      EXPECT_LT(m.lowest, -c.deviation * std::sqrt(3.0) * 0.99);
    } else {
      EXPECT_GT(m.highest, 3 * c.deviation);
    }
  }
  EXPECT_EQ(draw(nn::constant(2.5)).lowest, 2.5);
  EXPECT_EQ(draw(nn::zeros()).highest, 0);
}

TEST(NnInit, WrongNumbersAreRefused) {
  const auto draw = [](const nn::Init& init, const nn::Fans& fans) {
    return nn::initialize(init, {2, 2}, fans, random_key(Seed{3}, "w"));
  };
  EXPECT_THROW(draw(nn::kaiming_normal(), {0, 1}), Error);
  EXPECT_THROW(draw(nn::kaiming_normal(std::nan("")), {1, 1}), Error);
  EXPECT_THROW(draw(nn::normal(0, -1), {1, 1}), Error);
  EXPECT_THROW(draw(nn::uniform(1, 0), {1, 1}), Error);
  EXPECT_THROW(draw(nn::Init(), {1, 1}), Error);
}

TEST(NnInit, EachParameterHasAStreamOfItsOwn) {
  const nn::Sequential a{nn::Conv2D(4, 3), nn::ReLU(), nn::Flatten(), nn::Linear(5)};
  const nn::Sequential b{nn::Conv2D(4, 3), nn::Tanh(), nn::Flatten(),
                         nn::Linear(5),    nn::ReLU(), nn::Linear(7)};
  a.build({6, 6, 1}, Device::cpu(), Seed{1});
  b.build({6, 6, 1}, Device::cpu(), Seed{1});
  EXPECT_TRUE(equal_bits(a.parameters()[0], b.parameters()[0]));
  EXPECT_TRUE(equal_bits(a.parameters()[2], b.parameters()[2]));
  const nn::Sequential c{nn::Conv2D(4, 3), nn::ReLU(), nn::Flatten(), nn::Linear(5)};
  c.build({6, 6, 1}, Device::cpu(), Seed{2});
  EXPECT_FALSE(equal_bits(a.parameters()[0], c.parameters()[0]));
  // Two layers of one shape draw different numbers, and the first is drawn by (seed, "0.weight").
  const nn::Sequential d{nn::Linear(4), nn::Linear(4)};
  d.build({4}, Device::cpu(), Seed{1});
  EXPECT_FALSE(equal_bits(d.parameters()[0], d.parameters()[2]));
  const double bound = nn::relu_gain * std::sqrt(3.0 / 4);
  EXPECT_TRUE(
      equal_bits(d.parameters()[0], random_uniform({4, 4}, random_key(Seed{1}, "0.weight"), -bound, bound)));
}

TEST(NnState, RoundTripGivesTheSameDigestAndOutput) {
  const nn::Sequential a = models::resnet_small(), b = models::resnet_small();
  a.build({12, 12, 1}, Device::cpu(), Seed{1});
  b.build({12, 12, 1}, Device::cpu(), Seed{2});
  EXPECT_NE(digest(a), digest(b));
  b.load_state_dict(a.state_dict());
  EXPECT_EQ(digest(a), digest(b));
  a.eval();
  b.eval();
  const Tensor x = random_normal({2, 12, 12, 1}, random_key(Seed{1}, "x"));
  EXPECT_TRUE(equal_bits(a(x), b(x)));
  EXPECT_FALSE(equal_bits(a.parameters()[0].detach() + 1.0, b.parameters()[0].detach()));
}

TEST(NnState, EveryWrongEntryIsNamedAndNothingIsChanged) {
  const nn::Sequential net{nn::Linear(3), nn::Linear(2)};
  net.build({4}, Device::cpu(), Seed{1});
  const std::string before = digest(net);
  nn::StateDict state;
  for (const auto& [name, tensor] : net.state_dict()) state.emplace_back(name, zeros_like(tensor));
  state.erase(state.begin() + 3);                 // 1.bias is missing
  state[1].second = zeros({9});                   // 0.bias is misshapen
  state[0].second = zeros({4, 3}, {DType::f64});  // 0.weight has another dtype
  state.emplace_back("2.weight", zeros({1}));     // unexpected
  const std::string message = message_of([&] { net.load_state_dict(state); });
  for (const char* part : {"\"1.bias\" [2] is missing", "\"0.bias\" is f32 [9], expected f32 [3]",
                           "\"0.weight\" is f64 [4,3], expected f32 [4,3]", "\"2.weight\" is unexpected"})
    EXPECT_TRUE(contains(message, part)) << message;
  EXPECT_EQ(digest(net), before);
  state = net.state_dict();
  state.push_back(state[0]);
  EXPECT_TRUE(contains(message_of([&] { net.load_state_dict(state); }), "twice"));
}

TEST(NnState, SharedLayersAreNamedOnceAndGetBothGradients) {
  const nn::Linear shared(4);
  const nn::Sequential net{shared, nn::Tanh(), shared};
  net.build({4}, Device::cpu(), Seed{1});
  ASSERT_EQ(net.named_parameters().size(), 2u);
  EXPECT_EQ(net.named_parameters()[0].first, "0.weight");
  const Tensor x = random_normal({3, 4}, random_key(Seed{1}, "x"));
  sum(net(x)).backward();
  const Tensor both = net.parameters()[0].grad();
  // The same function with two copies: the gradients of the copies add up to it, later use first.
  const nn::Sequential apart{nn::Linear(4), nn::Tanh(), nn::Linear(4)};
  apart.build({4});
  const nn::StateDict s = net.state_dict();
  apart.load_state_dict({{"0.weight", s[0].second},
                         {"0.bias", s[1].second},
                         {"2.weight", s[0].second},
                         {"2.bias", s[1].second}});
  sum(apart(x)).backward();
  EXPECT_TRUE(equal_bits(both, add(apart.parameters()[2].grad(), apart.parameters()[0].grad())));
}

TEST(NnState, CopiesOfALayerShareItsModule) {
  const nn::Sequential net{nn::Linear(4)};
  const nn::Sequential copy = net;
  copy.build({3}, Device::cpu(), Seed{1});
  EXPECT_TRUE(net.built());
  EXPECT_TRUE(equal_bits(net.parameters()[0], copy.parameters()[0]));
}

TEST(NnState, ABuiltLayerKeepsItsParametersInANewNetwork) {
  const nn::Linear backbone(4);
  backbone.build({3}, Device::cpu(), Seed{7});
  const std::string before = digest(backbone);
  const nn::Sequential net{backbone, nn::Linear(2)};
  net.build({3}, Device::cpu(), Seed{1});
  EXPECT_EQ(digest(backbone), before);
  EXPECT_EQ(net.named_parameters()[0].first, "0.weight");
  const nn::Sequential other{backbone, nn::Linear(2)};
  const std::string message = message_of([&] { other.build({5}); });
  EXPECT_TRUE(contains(message, "[3,4]") && contains(message, "[5,4]")) << message;
}

TEST(NnState, AnUnbuiltNetworkSaysWhatToDo) {
  const nn::Sequential net{nn::Linear(4)};
  for (const std::function<void()>& action : std::initializer_list<std::function<void()>>{
           [&] { net.parameters(); }, [&] { net.state_dict(); }, [&] { net.summary(); },
           [&] { net.set_step(1); }, [&] { digest(net); }})
    EXPECT_TRUE(contains(message_of(action), "build")) << message_of(action);
}

}  // namespace
}  // namespace isobit
