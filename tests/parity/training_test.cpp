// Training ends in the same digest on every device: forward, both gradients, losses, norms, pooling, borders
// and optimizers together, step after step. Emulated devices take minutes for what the CPU does in a second,
// so the full lengths run under ISOBIT_LONG=1.
#include <isobit/models.h>
#include <isobit/train.h>

#include <chrono>
#include <functional>

#include "tests/parity/report.h"
#include "tests/support/border_net.h"
#include "tests/support/pictures.h"

namespace isobit::parity {
namespace {

struct Training {
  const char* name;
  std::function<nn::Sequential()> make;
  const char* optimizer;
  std::int64_t batch, steps, size;
};

std::function<nn::Sequential()> model(const char* name) {
  return [name] { return models::make(name, 10); };
}

std::string digest_of(const Training& t, Device device) {
  train::Options options;
  options.optimizer = t.optimizer;
  options.lr = train::default_lr(t.optimizer);
  options.momentum = options.optimizer == "sgd" ? 0.9 : 0;
  options.batch = t.batch;
  options.epochs = 1;
  options.augment = {.crop_pad = 2, .flip = true};
  const data::TrainTest sets{test::bars(t.batch * t.steps, 10, t.size), {}};
  train::Trainer trainer(t.make(), options, sets, device, t.name);
  const auto start = std::chrono::steady_clock::now();
  trainer.run();
  const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - start;
  EXPECT_EQ(trainer.at().step, t.steps);
  const std::string digest = nn::digest(trainer.net());
  std::printf("%s, %lld steps of %lld by %s on %s: %s in %.1f s\n", t.name, static_cast<long long>(t.steps),
              static_cast<long long>(t.batch), t.optimizer, device.name().c_str(), digest.c_str(),
              spent.count());
  return digest;
}

void expect_one_digest(const Training& t) {
  const std::vector<Device> others = other_devices();
  if (others.empty()) GTEST_SKIP() << "no device but the CPU is registered";
  const std::string expected = digest_of(t, Device::cpu());
  EXPECT_EQ(expected.size(), 64u);
  for (const Device device : others)
    EXPECT_EQ(digest_of(t, device), expected) << t.name << " on " << device.name();
}

TEST(TrainingParity, LeNet) {
  expect_one_digest({"lenet", model("lenet"), "sgd", 32, is_long() ? 50 : 3, 28});
}

TEST(TrainingParity, ResNetSmall) {
  if (is_long())
    expect_one_digest({"resnet-small", model("resnet-small"), "adam", 32, 10, 28});
  else
    expect_one_digest({"resnet-small", model("resnet-small"), "adam", 4, 2, 28});
}

TEST(TrainingParity, ConvolutionsOfEveryRankAndBorder) {
  expect_one_digest({"borders", [] { return test::border_net(10); }, "sgd", 20, 3, 8});
}

}  // namespace
}  // namespace isobit::parity
