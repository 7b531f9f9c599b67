// nn::Graphed: what cannot be recorded is refused, and leaves everything usable.
#include "tests/support/graphed.h"

namespace isobit::graphed {
namespace {

class GraphedErrors : public GraphedOn {};
INSTANTIATE_TEST_SUITE_P(Devices, GraphedErrors, testing::ValuesIn(others()));

// The message of what f throws.
template <class F>
std::string message(const F& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing was thrown";
}

struct Refused {
  const char* name;
  nn::Graphed::Step step;
  const char* message;
};

TEST_P(GraphedErrors, RefusesWhatAReplayCouldNotDo) {
  const TensorOptions f32{DType::f32, gpu_};
  Tensor hidden = ones({2}, f32);
  Tensor weight = ones({2}, f32);
  weight.set_requires_grad(true);
  Tensor rows = zeros({1}, {DType::i64, gpu_});
  const std::vector<Refused> refused = {
      {"item", [](const auto& in) { return std::vector{in[0] * sum(in[0]).item()}; }, "a copy to the host"},
      {"upload",
       [this](const auto& in) {
         return std::vector{in[0] + from_vector<float>({1, 2}, {2}).to(gpu_)};
       },
       "a copy from the host"},
      {"synchronize",
       [this](const auto& in) {
         synchronize(gpu_);
         return in;
       },
       "synchronize cannot"},
      {"draws",
       [&](const auto& in) {
         return std::vector{in[0] + random_normal({2}, RandomKey{1, 2}, 0, 1, f32)};
       },
       "would draw the same"},
      {"dropout",
       [](const auto& in) {
         return std::vector{dropout(in[0], 0.5, RandomKey{1, 2})};
       },
       "would draw the same"},
      {"gives up",
       [&](const auto& in) {
         hidden = hidden + in[0];
         return std::vector{hidden};
       },
       "is there no more"},
      {"gradients",
       [&](const auto& in) {
         sum(weight * in[0]).backward();
         return std::vector<Tensor>();
       },
       "leaves a gradient"},
      {"gradients of every call",
       [&](const auto& in) {
         weight.zero_grad();
         sum(weight * in[0]).backward();
         return std::vector<Tensor>();
       },
       "leaves a gradient"},
      {"computed indices",
       [](const auto& in) { return std::vector{gather(in[0], argmax(in[0]).reshape({1}))}; },
       "is computed within the step"},
      {"written indices",
       [&](const auto& in) {
         rows.copy_from(rows);
         return std::vector{gather(in[0], rows)};
       },
       "is computed within the step"},
      {"undefined", [](const auto&) { return std::vector{Tensor()}; }, "result 0 of the step is undefined"},
      {"elsewhere", [](const auto&) { return std::vector{ones({2})}; }, "is on cpu"},
  };
  for (const Refused& r : refused) {
    SCOPED_TRACE(r.name);
    nn::Graphed step(gpu_, r.step);
    const Tensor x = ones({2}, f32);
    std::string text = message([&] { step({x}); });
    for (int i = 0; i < 2; ++i)
      if (text == "nothing was thrown") text = message([&] { step({x}); });
    EXPECT_NE(text.find(r.message), std::string::npos) << text;
    EXPECT_EQ(step.graphs(), 0);
    EXPECT_EQ((x + x).to_vector<float>()[1], 2.0F);  // the device goes on
  }
}

TEST_P(GraphedErrors, AStepThatFailsHasDoneWhatItDidUntilThen) {
  Tensor weight = filled(2, 2);
  weight.set_requires_grad(true);
  double seen = 0;
  nn::Graphed step(gpu_, [&](const std::vector<Tensor>& in) {
    weight.zero_grad();
    const Tensor loss = sum(square(weight * in[0]));
    loss.backward();
    seen = loss.item();
    return std::vector{loss};
  });
  step({filled(2, 1)});
  EXPECT_EQ(seen, 8.0);
  EXPECT_NE(message([&] { step({filled(2, 3)}); }).find("a copy to the host"), std::string::npos);
  EXPECT_EQ(weight.grad().to_vector<float>(), (std::vector<float>{36, 36}));
}

TEST_P(GraphedErrors, SaysWhenATensorOfTheStepWasGivenUp) {
  Tensor offset = filled(4, 3);
  nn::Graphed shift(gpu_, [&](const std::vector<Tensor>& in) { return std::vector{in[0] + offset}; });
  const Tensor x = filled(4, 1);
  for (int i = 0; i < 3; ++i) shift({x});
  offset = filled(4, 5);
  EXPECT_NE(message([&] { shift({x}); }).find("f32 [4], that the step reads or writes is there no more"),
            std::string::npos)
      << message([&] { shift({x}); });
  shift.forget();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(shift({x})[0].to_vector<float>()[0], 6.0F);
}

TEST_P(GraphedErrors, LooksAtTheLabelsOfEveryReplay) {
  Net n = make_net("sgd", gpu_);
  nn::Graphed step(gpu_, step_of(n));
  const Sample s = sample(4, 0, gpu_);
  const Tensor wrong = from_vector(std::vector<std::int64_t>{0, 1, 5, 2}, Shape{4}).to(gpu_);
  step({s.x, s.labels});
  EXPECT_NE(message([&] { step({s.x, wrong}); }).find("label 5 at position 2"), std::string::npos);
  EXPECT_EQ(step.graphs(), 0);
  for (int i = 0; i < 3; ++i) step({s.x, s.labels});
  const std::string before = digest(n.net);
  const std::int64_t steps = n.optimizer->steps();
  EXPECT_NE(message([&] { step({s.x, wrong}); }).find("label 5 at position 2"), std::string::npos);
  EXPECT_EQ(digest(n.net), before);
  EXPECT_EQ(n.optimizer->steps(), steps);
  step({s.x, s.labels});
  EXPECT_NE(digest(n.net), before);
}

TEST_P(GraphedErrors, RefusesInputs) {
  nn::Graphed same(gpu_, [](const std::vector<Tensor>& in) { return in; });
  Tensor wants = ones({2}, {DType::f32, gpu_});
  wants.set_requires_grad(true);
  EXPECT_NE(message([&] { same({Tensor()}); }).find("input 0 is undefined"), std::string::npos);
  EXPECT_NE(message([&] { same({ones({2})}); }).find("input 0 is on cpu"), std::string::npos);
  EXPECT_NE(message([&] { same({wants}); }).find("requires a gradient"), std::string::npos);
  const PartScope part({0, 16, 32});
  EXPECT_NE(message([&] { same({filled(16, 1)}); }).find("a part of a batch"), std::string::npos);
  EXPECT_NE(message([&] { nn::Graphed(gpu_, nullptr); }).find("empty function"), std::string::npos);
}

TEST_P(GraphedErrors, RefusesALayerInAnotherModeOrArithmeticAndAnotherFreeze) {
  Net n = make_net("sgd", gpu_);
  nn::Graphed step(gpu_, step_of(n));
  const Sample s = sample(4, 0, gpu_);
  for (int i = 0; i < 3; ++i) step({s.x, s.labels});
  const std::string before = digest(n.net);
  n.net.eval();
  EXPECT_NE(message([&] { step({s.x, s.labels}); }).find("was recorded in training mode"), std::string::npos);
  n.net.train();
  n.net.set_math(Math::fast);
  EXPECT_NE(message([&] { step({s.x, s.labels}); }).find("another arithmetic"), std::string::npos);
  n.net.set_math(std::nullopt);
  n.net.parameters()[0].set_requires_grad(false);
  EXPECT_NE(message([&] {
              step({s.x, s.labels});
            }).find("was trained when the graph was recorded"),
            std::string::npos);
  EXPECT_EQ(digest(n.net), before);
  EXPECT_EQ(n.optimizer->steps(), 3);
  n.net.parameters()[0].set_requires_grad(true);
  step({s.x, s.labels});
  EXPECT_EQ(n.optimizer->steps(), 4);
}

}  // namespace
}  // namespace isobit::graphed
