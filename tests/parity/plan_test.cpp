// A training run under a plan: in exact arithmetic its bits are those without one, on every device and
// whatever the plan chooses; in fast mode a plan that is read gives the same bits each time.
#include <gtest/gtest.h>
#include <isobit/algorithms.h>
#include <isobit/nn.h>
#include <isobit/optim.h>
#include <isobit/plan.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace isobit::parity {
namespace {

class PlanParity : public testing::TestWithParam<const char*> {
 protected:
  void TearDown() override { std::filesystem::remove(path); }

  std::string train() const {
    const Device device = Device::parse(GetParam());
    nn::Sequential net{nn::Conv2D(6, 3, {.padding = Same}),  nn::ReLU(),    nn::MaxPool2D(2),
                       nn::Conv2D(16, 3, {.padding = Same}), nn::Flatten(), nn::Linear(5)};
    net.build({8, 8, 3}, device, Seed{7});
    optim::SGD sgd(net.parameters(), {.lr = 0.05, .momentum = 0.9});
    const Tensor x = random_normal({16, 8, 8, 3}, random_key(Seed{3}, "x"), 0, 1).to(device);
    const Tensor labels = from_vector(std::vector<std::int64_t>(16, 2), {16}).to(device);
    for (int step = 0; step < 2; ++step) {
      cross_entropy(net(x), labels).backward();
      sgd.step();
    }
    return digest(net);
  }
  void write(const std::vector<PlanLine>& lines) const { std::ofstream(path) << to_text(lines); }

  const std::string path =
      (std::filesystem::path(testing::TempDir()) / fmt::format("plan_parity_{}.plan", getpid())).string();
};

TEST_P(PlanParity, ChangesNoBitOfExactTraining) {
  const std::string before = train();
  {
    const PlanScope plan(path, PlanUse::time);
    EXPECT_EQ(train(), before);
    ASSERT_GT(plan.timed(), 0);
  }
  // Of each problem another algorithm than the one that was chosen.
  std::vector<PlanLine> lines = read_plan(path);
  std::size_t turned = 0;
  for (PlanLine& line : lines) {
    ASSERT_GE(line.timings.size(), 2U);
    std::swap(line.timings.front(), line.timings.back());
    ++turned;
  }
  write(lines);
  const ServedCalls calls;
  const PlanScope plan(path);
  EXPECT_EQ(train(), before);
  EXPECT_EQ(plan.timed(), 0);
  const auto counts = calls.counts();
  for (const PlanLine& line : lines)
    EXPECT_TRUE(counts.contains({line.kernel, line.timings.front().algorithm}))
        << line.kernel << " " << line.timings.front().algorithm;
  EXPECT_GT(turned, 0U);
}

TEST_P(PlanParity, RepeatsItsBitsInFastMode) {
  const MathScope fast(Math::fast_bf16);
  std::string first;
  {
    const PlanScope plan(path, PlanUse::time);
    train();
    first = train();
  }
  const PlanScope plan(path);
  EXPECT_EQ(train(), first);
  EXPECT_EQ(train(), first);
  for (const PlanLine& line : plan.lines()) EXPECT_EQ(line.math, "fast-bf16");
}

INSTANTIATE_TEST_SUITE_P(Devices, PlanParity, testing::Values("cpu", "simt"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace isobit::parity
