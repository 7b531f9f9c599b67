// One training run, one digest: whole or in parts, interrupted and resumed, any threads, any instruction set.
#include <gtest/gtest.h>
#include <isobit/models.h>
#include <isobit/ops.h>
#include <isobit/parts.h>
#include <isobit/train.h>

#include "cpu/runtime/isa.h"
#include "tests/support/files.h"
#include "tests/support/pictures.h"

namespace isobit {
namespace {

data::TrainTest sets(std::int64_t n = 150) {
  return {test::bars(n), test::bars(40, 4, 8, 2)};
}

// A convolution, dropout, and a linear layer that stands at two places.
nn::Sequential small_net() {
  const nn::Linear shared(24);
  return {nn::Conv2D(6, 3, {.padding = Same}),
          nn::ReLU(),
          nn::MaxPool2D(2),
          nn::Flatten(),
          nn::Linear(24),
          nn::Tanh(),
          shared,
          nn::Dropout(0.25),
          nn::GELU(),
          shared,
          nn::Linear(4)};
}

train::Options options() {
  train::Options o;
  o.epochs = 2;
  o.batch = 64;  // 150 samples: 64, 64, 22
  o.lr = 0.02;
  o.augment = {.crop_pad = 1, .flip = true};
  o.label_smoothing = 0.1;
  return o;
}

std::string run(const train::RunOptions& how = {}, const train::Options& o = options(), Device device = {}) {
  train::Trainer trainer(small_net(), o, sets(), device);
  const train::Outcome outcome = trainer.run(how);
  EXPECT_TRUE(outcome.finished);
  return digest(trainer.net());
}

TEST(TrainDigest, PartsGiveTheBitsOfTheWholeBatch) {
  const std::string whole = run();
  EXPECT_EQ(run({.micro_batch = 16}), whole);
  EXPECT_EQ(run({.micro_batch = 32}), whole);
  EXPECT_EQ(run({.micro_batch = 64}), whole);
  train::Options other = options();
  other.seed = {2};
  EXPECT_NE(run({}, other), whole);
  train::Options clipped = options();
  clipped.clip_norm = 0.5;
  EXPECT_NE(run({}, clipped), whole);
  EXPECT_EQ(run({}, clipped), run({.micro_batch = 16}, clipped));
}

TEST(TrainDigest, GraphsGiveTheBitsOfTheSteps) {
  for (const char* optimizer : {"sgd", "adam"}) {
    train::Options o = options();
    o.optimizer = optimizer;
    const std::string whole = run({}, o);
    EXPECT_EQ(run({.graph = true}, o), whole) << optimizer;
    EXPECT_EQ(run({.graph = true}, o, Device::simt()), whole) << optimizer;
  }
}

TEST(TrainDigest, ThreadsChangeNothing) {
  const int before = threads();
  std::vector<std::string> digests;
  for (const int count : {1, 2, 3}) {
    set_threads(count);
    digests.push_back(run());
  }
  set_threads(before);
  EXPECT_EQ(digests[1], digests[0]);
  EXPECT_EQ(digests[2], digests[0]);
}

TEST(TrainDigest, InstructionSetsChangeNothing) {
  const cpu::Isa before = cpu::current_isa();
  std::vector<std::string> digests;
  for (const cpu::Isa isa : cpu::available_isas()) {
    cpu::set_isa(isa);
    digests.push_back(run());
  }
  cpu::set_isa(before);
  for (const std::string& d : digests) EXPECT_EQ(d, digests[0]);
}

// Stops after `step`, saves, reads into a fresh process's worth of objects, finishes.
std::string resumed(const train::Options& o, std::int64_t step, const nn::Sequential& first,
                    const nn::Sequential& second) {
  const test::TemporaryFolder folder;
  const std::string path = folder / "checkpoint.safetensors";
  {
    train::Trainer trainer(first, o, sets(), Device::cpu(), "small");
    const train::Outcome outcome = trainer.run({.steps = step});
    EXPECT_EQ(trainer.at().step, step);
    EXPECT_EQ(outcome.finished, step == trainer.total_steps());
    train::save(path, trainer.checkpoint());
  }
  const train::Checkpoint checkpoint = train::load(path);
  EXPECT_EQ(checkpoint.model, "small");
  train::Trainer trainer = train::Trainer::resume(second, checkpoint, sets());
  EXPECT_TRUE(trainer.run().finished);
  return digest(trainer.net());
}

TEST(TrainDigest, AResumedRunEndsAsAnUninterruptedOne) {
  for (const char* optimizer : {"sgd", "adam", "adamw", "rmsprop"})
    for (const char* schedule : {"cosine", "one-cycle"}) {
      train::Options o = options();
      o.optimizer = optimizer;
      o.schedule = schedule;
      o.lr = train::default_lr(optimizer) / 2;
      o.momentum = o.optimizer == "sgd" ? 0.9 : o.optimizer == "rmsprop" ? 0.5 : 0;
      o.warm_up = 1;
      o.weight_decay = 0.01;
      const std::string whole = run({}, o);
      // In the first epoch, at its end, in the second, at the very end.
      for (const std::int64_t step : {1, 3, 4, 6})
        EXPECT_EQ(resumed(o, step, small_net(), small_net()), whole)
            << optimizer << " " << schedule << " " << step;
    }
}

TEST(TrainDigest, ANetworkWithRunningStatisticsResumesToo) {
  const auto net = [] {
    return nn::Sequential{nn::Conv2D(4, 3), nn::BatchNorm(), nn::ReLU(), nn::GlobalAvgPool(), nn::Linear(4)};
  };
  train::Trainer whole(net(), options(), sets());
  whole.run();
  EXPECT_EQ(resumed(options(), 2, net(), net()), digest(whole.net()));
}

TEST(TrainDigest, StoppingAnywhereLosesNothing) {
  const std::string whole = run();
  for (int stop_after = 0; stop_after < 9; ++stop_after) {  // before batches and inside evaluations
    int asked = 0;
    train::Trainer first(small_net(), options(), sets());
    const train::Outcome outcome = first.run({}, {.stop = [&] { return asked++ >= stop_after; }});
    if (!outcome.interrupted) {
      EXPECT_TRUE(outcome.finished);
      EXPECT_EQ(digest(first.net()), whole);
      continue;
    }
    EXPECT_FALSE(outcome.evaluation.has_value());
    train::Trainer second = train::Trainer::resume(small_net(), first.checkpoint(), sets());
    EXPECT_TRUE(second.run().finished);
    EXPECT_EQ(digest(second.net()), whole) << stop_after;
  }
}

TEST(TrainDigest, ItLearns) {
  train::Options o = options();
  o.epochs = 12;
  o.batch = 16;
  train::Trainer trainer(small_net(), o, sets());
  std::int64_t steps = 0, epochs = 0;
  train::Hooks hooks;
  hooks.step = [&](const train::Progress& p) {
    ++steps;
    EXPECT_EQ(p.at.step, steps);
    EXPECT_EQ(p.total_steps, 120);
    EXPECT_GT(p.lr, 0);
  };
  hooks.epoch = [&](const train::Progress& p, const nn::Evaluation* evaluation) {
    EXPECT_EQ(p.at.epoch, ++epochs);
    EXPECT_NE(evaluation, nullptr);
  };
  const train::Outcome outcome = trainer.run({}, hooks);
  EXPECT_EQ(steps, 120);
  EXPECT_EQ(epochs, 12);
  ASSERT_TRUE(outcome.evaluation.has_value());
  EXPECT_GT(outcome.evaluation->accuracy, 0.9);
}

}  // namespace
}  // namespace isobit
