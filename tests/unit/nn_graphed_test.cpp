// nn::Graphed on every device that records: a replayed step gives the bits of the step, for every optimizer,
// with draws, running statistics, changed rates and shapes; its memory and its counters.
#include <isobit/arithmetic.h>

#include "tests/support/graphed.h"

#include <tuple>

namespace isobit::graphed {
namespace {

class Graphed : public GraphedOn {};
INSTANTIATE_TEST_SUITE_P(Devices, Graphed, testing::ValuesIn(others()));

using DeviceAndOptimizer = std::tuple<std::string, std::string>;
class GraphedSteps : public testing::TestWithParam<DeviceAndOptimizer> {
 protected:
  void SetUp() override {
    if (const std::string why = find_graphs(std::get<0>(GetParam()), gpu_); !why.empty()) GTEST_SKIP() << why;
  }
  Device gpu_ = Device::cpu();
  const std::string kind_ = std::get<1>(GetParam());
};

TEST_P(GraphedSteps, GiveTheBitsOfTheSteps) {
  Net plain = make_net(kind_, gpu_), graphed = make_net(kind_, gpu_), cpu = make_net(kind_, {});
  const nn::Graphed::Step by_hand = step_of(plain), on_cpu = step_of(cpu);
  nn::Graphed step(gpu_, step_of(graphed));
  for (std::uint64_t i = 0; i < 12; ++i) {
    const std::int64_t batch = i % 4 == 3 ? 5 : 8;  // two graphs in turn
    for (Net* n : {&plain, &graphed, &cpu}) {
      if (i == 6) n->optimizer->set_lr(n->optimizer->lr() / 2);
      n->optimizer->set_lr_factor(1.0 / (1.0 + static_cast<double>(i)));
    }
    const Sample s = sample(batch, i, gpu_), host = sample(batch, i, {});
    const double a = by_hand({s.x, s.labels})[0].item(), b = step({s.x, s.labels})[0].item(),
                 c = on_cpu({host.x, host.labels})[0].item();
    EXPECT_EQ(a, b) << "step " << i;
    EXPECT_EQ(c, b) << "step " << i;
  }
  EXPECT_EQ(digest(plain.net), digest(graphed.net));
  EXPECT_EQ(digest(cpu.net), digest(graphed.net));
  EXPECT_EQ(plain.optimizer->steps(), graphed.optimizer->steps());
  EXPECT_EQ(plain.net.step(), graphed.net.step());
  EXPECT_EQ(io::digest(plain.optimizer->state_dict()), io::digest(graphed.optimizer->state_dict()));
  EXPECT_EQ(step.graphs(), 2);
  EXPECT_EQ(step.replays(), 12 - 4);
  EXPECT_GT(step.nodes(), 40);
}
INSTANTIATE_TEST_SUITE_P(Devices, GraphedSteps,
                         testing::Combine(testing::ValuesIn(others()),
                                          testing::Values("sgd", "adam", "adamw", "rmsprop")));

TEST_P(Graphed, AfterReplaysStepsByHandGoOn) {
  Net plain = make_net("adam", gpu_), graphed = make_net("adam", gpu_);
  const nn::Graphed::Step by_hand = step_of(plain), other = step_of(graphed);
  nn::Graphed step(gpu_, other);
  for (std::uint64_t i = 0; i < 8; ++i) {
    const Sample s = sample(4, i, gpu_);
    by_hand({s.x, s.labels});
    if (i == 5) step.forget();
    if (i == 3)
      other({s.x, s.labels});
    else
      step({s.x, s.labels});
  }
  EXPECT_EQ(digest(plain.net), digest(graphed.net));
}

TEST(GraphedOnTheCpu, EveryCallRunsTheStep) {
  int runs = 0;
  nn::Graphed twice(Device(), [&](const std::vector<Tensor>& in) {
    ++runs;
    return std::vector{in[0] + in[0]};
  });
  for (int i = 0; i < 4; ++i)
    EXPECT_EQ(twice({full(Shape{2}, i)})[0].to_vector<float>()[1], 2.0F * static_cast<float>(i));
  EXPECT_EQ(runs, 4);
  EXPECT_EQ(twice.graphs(), 0);
}

TEST_P(Graphed, ResultsAreMemoryOfTheirOwn) {
  int runs = 0;
  nn::Graphed square(gpu_, [&](const std::vector<Tensor>& in) {
    ++runs;
    return std::vector{in[0] * in[0], in[0]};
  });
  std::vector<std::vector<Tensor>> results;
  for (int i = 0; i < 5; ++i) results.push_back(square({filled(3, i)}));
  EXPECT_EQ(runs, 2);
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(results[static_cast<std::size_t>(i)][0].to_vector<float>()[2], static_cast<float>(i * i));
    EXPECT_EQ(results[static_cast<std::size_t>(i)][1].to_vector<float>()[2], static_cast<float>(i));
  }
}

TEST_P(Graphed, MemoryGoesWithTheGraphAndItsLastTensor) {
  const std::int64_t before = memory_stats(gpu_).current;
  {
    nn::Graphed add_one(gpu_, [](const std::vector<Tensor>& in) { return std::vector{exp(in[0]) + 1.0}; });
    Tensor kept;
    for (int i = 0; i < 3; ++i) kept = add_one({filled(1000, 0)})[0];
    EXPECT_GT(memory_stats(gpu_).current, before);
    EXPECT_EQ(kept.to_vector<float>()[999], 2.0F);
  }
  EXPECT_EQ(memory_stats(gpu_).current, before);
}

TEST_P(Graphed, KeepsWhatTheStepReads) {
  Tensor offset = filled(4, 3);
  nn::Graphed shift(gpu_, [offset](const std::vector<Tensor>& in) { return std::vector{in[0] + offset}; });
  const Tensor x = filled(4, 1);
  shift({x});
  shift({x});
  offset.fill(5);  // in place: a replay sees it
  EXPECT_EQ(shift({x})[0].to_vector<float>()[0], 6.0F);
}

TEST_P(Graphed, CountsTheWritesOfReplays) {
  Tensor state = zeros({4}, {DType::f32, gpu_});
  nn::Graphed count(gpu_, [state](const std::vector<Tensor>& in) mutable {
    state.copy_from(state + in[0]);
    return std::vector<Tensor>();
  });
  const Tensor one = ones({4}, {DType::f32, gpu_});
  for (int i = 0; i < 3; ++i) count({one});
  const std::uint64_t version = state.version();
  count({one});
  EXPECT_GT(state.version(), version);
  EXPECT_EQ(state.to_vector<float>()[3], 4.0F);
}

TEST_P(Graphed, WithinAnothersRecordingIsPartOfThatGraph) {
  int runs = 0;
  nn::Graphed inner(gpu_, [&](const std::vector<Tensor>& in) {
    ++runs;
    return std::vector{in[0] + in[0]};
  });
  nn::Graphed outer(gpu_, [&](const std::vector<Tensor>& in) { return std::vector{exp(inner(in)[0])}; });
  for (int i = 0; i < 4; ++i) inner({filled(2, 1)});
  for (int i = 0; i < 4; ++i) {
    const std::vector<float> x = inner({filled(2, i)})[0].to_vector<float>();
    EXPECT_EQ(x[1], 2.0F * static_cast<float>(i));
    EXPECT_EQ(outer({filled(2, i)})[0].to_vector<float>(), exp(filled(2, 2.0 * i)).to_vector<float>());
  }
  EXPECT_EQ(outer.graphs(), 1);
  EXPECT_EQ(inner.graphs(), 1);
  EXPECT_EQ(runs, 2 + 1);  // by hand, recorded; recorded by the outer one
}

TEST_P(Graphed, EveryArithmeticHasItsGraph) {
  nn::Graphed product(gpu_, [](const std::vector<Tensor>& in) { return std::vector{matmul(in[0], in[0])}; });
  const Tensor x = full({2, 2}, 1.0 / 3, {DType::f32, gpu_});
  const std::vector<float> exact = matmul(x, x).to_vector<float>();
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(product({x})[0].to_vector<float>(), exact);
    const MathScope fast(Math::fast);
    product({x});
  }
  EXPECT_EQ(product.graphs(), 2);
}

TEST_P(Graphed, ServesOthersAsTheyAreWhenThereAreManyShapes) {
  nn::Graphed twice(gpu_, [](const std::vector<Tensor>& in) { return std::vector{in[0] + in[0]}; });
  for (int round = 0; round < 3; ++round)
    for (std::int64_t size = 1; size <= nn::Graphed::kGraphs + 3; ++size)
      EXPECT_EQ(twice({filled(size, 2)})[0].to_vector<float>().back(), 4.0F);
  EXPECT_EQ(twice.graphs(), nn::Graphed::kGraphs);
}

}  // namespace
}  // namespace isobit::graphed
