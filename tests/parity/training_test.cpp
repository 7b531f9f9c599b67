// Training ends in the same digest on every device: forward, both gradients, losses, norms, pooling and
// optimizers together, step after step. Emulated devices take minutes for what the CPU does in a second, so
// the full lengths run under ISOBIT_LONG=1.
#include <isobit/models.h>
#include <isobit/train.h>

#include <chrono>

#include "tests/parity/report.h"
#include "tests/support/pictures.h"

namespace isobit::parity {
namespace {

struct Training {
  const char* model;
  const char* optimizer;
  std::int64_t batch, steps;
};

std::string digest_of(const Training& t, Device device) {
  train::Options options;
  options.optimizer = t.optimizer;
  options.lr = train::default_lr(t.optimizer);
  options.momentum = options.optimizer == "sgd" ? 0.9 : 0;
  options.batch = t.batch;
  options.epochs = 1;
  options.augment = {.crop_pad = 2, .flip = true};
  const data::TrainTest sets{test::bars(t.batch * t.steps, 10, 28), {}};
  train::Trainer trainer(models::make(t.model, 10), options, sets, device, t.model);
  const auto start = std::chrono::steady_clock::now();
  trainer.run();
  const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - start;
  EXPECT_EQ(trainer.at().step, t.steps);
  const std::string digest = nn::digest(trainer.net());
  std::printf("%s, %lld steps of %lld by %s on %s: %s in %.1f s\n", t.model, static_cast<long long>(t.steps),
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
    EXPECT_EQ(digest_of(t, device), expected) << t.model << " on " << device.name();
}

TEST(TrainingParity, LeNet) {
  expect_one_digest({"lenet", "sgd", 32, is_long() ? 50 : 3});
}

TEST(TrainingParity, ResNetSmall) {
  if (is_long())
    expect_one_digest({"resnet-small", "adam", 32, 10});
  else
    expect_one_digest({"resnet-small", "adam", 4, 2});
}

}  // namespace
}  // namespace isobit::parity
