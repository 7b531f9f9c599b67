// Training in f16 with f32 weights: gradients that overflow on purpose, and what becomes of them.
#include <gtest/gtest.h>
#include <isobit/arithmetic.h>
#include <isobit/nn.h>
#include <isobit/train.h>

#include <cmath>

namespace isobit::parity {
namespace {

data::TrainTest pictures() {
  // The brightest of four corners is the label.
  data::Dataset set;
  set.name = "corners";
  set.classes = {"0", "1", "2", "3"};
  std::vector<std::uint8_t> pixels;
  std::vector<std::int64_t> labels;
  for (std::int64_t n = 0; n < 64; ++n) {
    labels.push_back(n % 4);
    for (std::int64_t h = 0; h < 6; ++h)
      for (std::int64_t w = 0; w < 6; ++w)
        pixels.push_back(
            static_cast<std::uint8_t>((h / 3) * 2 + w / 3 == n % 4 ? 200 + n % 5 : 40 + (n * h) % 30));
  }
  set.images = from_vector(pixels, {64, 6, 6, 1});
  set.labels = from_vector(labels, {64});
  return {set, {}};
}

nn::Sequential net() {
  return {nn::Conv2D(8, 3, {.padding = Same}), nn::ReLU(), nn::Flatten(), nn::Linear(4)};
}

train::Options options(const char* math, const char* loss_scale) {
  train::Options o;
  o.epochs = 8;
  o.batch = 32;
  o.schedule = "constant";
  o.math = math;
  o.loss_scale = loss_scale;
  return o;
}

struct Result {
  std::string digest;
  train::Progress progress;
  std::vector<double> losses;
};
Result finish(train::Trainer& trainer) {
  Result r;
  train::Hooks hooks;
  hooks.step = [&](const train::Progress& p) { r.losses.push_back(p.loss); };
  r.progress = trainer.run({}, hooks).progress;
  r.digest = digest(trainer.net());
  return r;
}
/// From the beginning, with a scale so large that f16 overflows.
Result from_too_large(std::int64_t micro_batch_steps = 0) {
  train::Trainer fresh(net(), options("fast-f16", "dynamic"), pictures(), Device::simt());
  train::Checkpoint c = fresh.checkpoint();
  c.loss_scale.scale = 0x1p24;
  train::Trainer trainer = train::Trainer::resume(net(), c, pictures(), Device::simt());
  if (micro_batch_steps > 0) {
    trainer.run({.steps = micro_batch_steps});
    c = trainer.checkpoint();
    trainer = train::Trainer::resume(net(), c, pictures(), Device::simt());
  }
  return finish(trainer);
}

TEST(FastTraining, OverflowIsLeftOutAndTrainingRecovers) {
  const Result r = from_too_large();
  EXPECT_GE(r.progress.skipped, 2) << "2^24 / 32 is beyond 65504";
  EXPECT_EQ(r.progress.loss_scale, 0x1p24 / std::exp2(static_cast<double>(r.progress.skipped)));
  EXPECT_LT(r.progress.skipped, 12);
  ASSERT_EQ(r.losses.size(), 16u);
  EXPECT_EQ(r.losses.front() - r.losses.front(), 0);
  EXPECT_LT(r.losses.back(), r.losses.front() / 2);
  EXPECT_EQ(from_too_large().digest, r.digest) << "the same in every run";
  EXPECT_EQ(from_too_large(1).digest, r.digest) << "and when it is resumed amid the overflows";
  EXPECT_EQ(from_too_large(9).digest, r.digest);
}

TEST(FastTraining, AFixedScaleThatOverflowsSaysSo) {
  train::Trainer trainer(net(), options("fast-f16", "16777216"), pictures(), Device::simt());
  try {
    trainer.run();
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("not finite at scale 16777216, which is fixed"),
              std::string::npos)
        << error.what();
  }
}

TEST(FastTraining, InExactArithmeticNoScaleChangesABit) {
  std::string plain;
  for (const char* scale : {"1", "dynamic", "2", "4096"}) {
    train::Trainer trainer(net(), options("exact", scale), pictures(), Device::simt());
    const Result r = finish(trainer);
    if (plain.empty()) plain = r.digest;
    EXPECT_EQ(r.digest, plain) << scale;
    EXPECT_EQ(r.progress.skipped, 0) << scale;
    train::Trainer on_cpu(net(), options("exact", scale), pictures(), Device::cpu());
    EXPECT_EQ(finish(on_cpu).digest, plain) << scale;
    train::Trainer in_parts(net(), options("exact", scale), pictures(), Device::cpu());
    in_parts.run({.micro_batch = 16});
    EXPECT_EQ(digest(in_parts.net()), plain) << scale;
  }
}

TEST(FastTraining, WrongScalesAreRefusedByName) {
  for (const char* wrong : {"", "0", "3", "-2", "dynamic ", "1e3", "33554432", "99999999999999999999"}) {
    try {
      options("exact", wrong).check();
      ADD_FAILURE() << wrong;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find("power of two"), std::string::npos) << error.what();
    }
  }
}

}  // namespace
}  // namespace isobit::parity
