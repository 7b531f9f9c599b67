// Training: wrong options, diverging runs, and checkpoints that are damaged or belong elsewhere.
#include <gtest/gtest.h>
#include <isobit/io.h>
#include <isobit/models.h>
#include <isobit/train.h>

#include <limits>

#include "tests/support/files.h"
#include "tests/support/pictures.h"

namespace isobit {
namespace {

using test::refuses;

data::TrainTest sets(std::int64_t n = 40) {
  return {test::bars(n), test::bars(20, 4, 8, 2)};
}

nn::Sequential net() {
  return {nn::Flatten(), nn::Linear(4)};
}

TEST(TrainErrors, OptionsAreNamedWithTheirValues) {
  const auto check = [](const std::function<void(train::Options&)>& change,
                        std::initializer_list<std::string_view> parts) {
    train::Options o;
    change(o);
    EXPECT_TRUE(refuses([&] { o.check(); }, parts));
  };
  const double nan = std::numeric_limits<double>::quiet_NaN();
  check([&](auto& o) { o.lr = nan; }, {"lr", "nan"});
  check([](auto& o) { o.lr = -1; }, {"lr", "-1"});
  check([](auto& o) { o.batch = 0; }, {"batch", "0", "at least 1"});
  check([](auto& o) { o.epochs = -1; }, {"epochs", "-1"});
  check([](auto& o) { o.momentum = 1; }, {"momentum", "[0, 1)"});
  check([](auto& o) { o.optimizer = "adagrad"; }, {"adagrad", "rmsprop"});
  check([](auto& o) { o.schedule = "linear"; }, {"linear", "one-cycle"});
  check([&](auto& o) { o.weight_decay = nan; }, {"weight-decay"});
  check([&](auto& o) { o.clip_norm = nan; }, {"clip-norm"});
  check([](auto& o) { o.label_smoothing = 1; }, {"label-smoothing"});
  check([](auto& o) { o.limit = -1; }, {"limit"});
  check([](auto& o) { o.warm_up = -1; }, {"warm-up"});
  check([](auto& o) { o.augment.shift = -1; }, {"shift"});
  EXPECT_THROW(train::default_lr("adagrad"), Error);
}

TEST(TrainErrors, PartsMustBePowersOfTwo) {
  train::Trainer trainer(net(), {}, sets());
  for (const std::int64_t part : {1, 8, 24, 33, -16})
    EXPECT_TRUE(refuses([&] { trainer.run({.micro_batch = part}); }, {"micro-batch", std::to_string(part)}))
        << part;
  EXPECT_THROW(trainer.run({.steps = -1}), Error);
  EXPECT_EQ(trainer.at().step, 0);
}

TEST(TrainErrors, AGraphHasNoPartsAndNeitherClipsNorScales) {
  train::Options o;
  EXPECT_TRUE(refuses([&] { train::Trainer(net(), o, sets()).run({.micro_batch = 16, .graph = true}); },
                      {"graph", "parts of 16"}));
  o.clip_norm = 0.5;
  EXPECT_TRUE(refuses([&] { train::Trainer(net(), o, sets()).run({.graph = true}); }, {"graph", "0.5"}));
  o.clip_norm = 0;
  o.loss_scale = "1024";
  EXPECT_TRUE(refuses([&] { train::Trainer(net(), o, sets()).run({.graph = true}); }, {"graph", "1024"}));
}

TEST(TrainErrors, ADivergingRunStops) {
  train::Options o;
  o.lr = 1e300;
  o.schedule = "constant";
  o.batch = 8;
  train::Trainer trainer(net(), o, sets());
  EXPECT_TRUE(refuses([&] { trainer.run(); }, {"diverged", "lower lr"}));
}

TEST(TrainErrors, DataOfTwoShapesAreRefused) {
  EXPECT_TRUE(refuses(
      [] {
        train::Trainer(net(), {}, {test::bars(9), test::bars(9, 4, 10)});
      },
      {"[8,8,1]", "[10,10,1]"}));
}

class TrainCheckpoint : public ::testing::Test {
 protected:
  TrainCheckpoint() : path_(folder_ / "c.safetensors") {
    train::Trainer trainer(net(), o_, sets(), Device::cpu(), "linear");
    trainer.run({.steps = 1});
    train::save(path_, trainer.checkpoint());
  }
  test::TemporaryFolder folder_;
  std::string path_;
  train::Options o_;
};

TEST_F(TrainCheckpoint, HoldsEverything) {
  const train::Checkpoint c = train::load(path_);
  EXPECT_EQ(c.model, "linear");
  EXPECT_EQ(c.input, (Shape{8, 8, 1}));
  EXPECT_EQ(c.classes.size(), 4u);
  EXPECT_EQ(c.samples, 40);
  EXPECT_EQ(c.at.step, 1);
  EXPECT_EQ(c.options.lr, o_.lr);
  EXPECT_EQ(c.normalise.mean, data::channel_statistics(test::bars(40)).mean);
  EXPECT_EQ(io::read_safetensors(path_).at("1.weight").shape(), (Shape{64, 4}));
  EXPECT_EQ(folder_.listing(), "c.safetensors");
}

TEST_F(TrainCheckpoint, EveryTruncationIsRefused) {
  const test::Bytes bytes = test::read_bytes(path_);
  for (std::size_t size = 0; size < bytes.size(); size += 1 + size / 7) {
    test::write_bytes(folder_ / "short", std::span(bytes).first(size));
    EXPECT_TRUE(refuses([&] { train::load(folder_ / "short"); }, {"short"})) << size;
  }
  EXPECT_TRUE(refuses([&] { train::load(folder_ / "absent"); }, {"absent"}));
}

TEST_F(TrainCheckpoint, DamagedOrMissingMetadataAreRefused) {
  const io::SafeTensors file = io::read_safetensors(path_);
  const std::string good = file.metadata.at("isobit");
  const auto with = [&](const std::string& text) {
    io::write_safetensors(folder_ / "d", file.tensors, {{"isobit", text}});
    train::load(folder_ / "d");
  };
  with(good);
  const auto replaced = [&](const std::string& what, const std::string& by) {
    std::string text = good;
    const std::size_t at = text.find(what);
    EXPECT_NE(at, std::string::npos) << what;
    return text.replace(at, what.size(), by);
  };
  EXPECT_TRUE(refuses([&] { with("{"); }, {"damaged", "/d"}));
  EXPECT_TRUE(refuses([&] { with("[]"); }, {"damaged"}));
  EXPECT_TRUE(refuses([&] { with(replaced("\"format\":1", "\"format\":7")); }, {"format 7"}));
  EXPECT_TRUE(refuses([&] { with(replaced("\"batch\":64", "\"batch\":0")); }, {"batch is 0"}));
  EXPECT_TRUE(refuses([&] { with(replaced("\"batch\":64", "\"batch\":\"many\"")); }, {"damaged"}));
  EXPECT_TRUE(refuses([&] { with(replaced("[8,8,1]", "[8,-8,1]")); }, {"damaged"}));
  EXPECT_TRUE(refuses([&] { with(replaced("\"step\":1", "\"step\":-1")); }, {"negative"}));
  io::write_safetensors(folder_ / "e", file.tensors, {});
  EXPECT_TRUE(refuses([&] { train::load(folder_ / "e"); }, {"not a checkpoint of isobit"}));
}

TEST_F(TrainCheckpoint, OtherModelsAndDataAreRefused) {
  const train::Checkpoint c = train::load(path_);
  const auto resume = [](const nn::Sequential& model, const train::Checkpoint& checkpoint,
                         const data::TrainTest& data) { train::Trainer::resume(model, checkpoint, data); };
  resume(net(), c, sets());
  EXPECT_TRUE(refuses(
      [&] {
        resume({nn::Flatten(), nn::Linear(9), nn::Linear(4)}, c, sets());
      },
      {"\"1.weight\" is f32 [64,4], expected f32 [64,9]", "\"2.weight\" [9,4] is missing"}));
  EXPECT_TRUE(refuses([&] { resume(net(), c, sets(41)); }, {"40", "41"}));
  EXPECT_TRUE(refuses([&] { resume(net(), c, {test::bars(40, 4, 8, 9), {}}); }, {"training images"}));
  EXPECT_TRUE(refuses([&] { resume(net(), c, {test::bars(40, 2), {}}); }, {"classes"}));
  train::Checkpoint moved = c;
  moved.at.batch = 5;
  EXPECT_TRUE(refuses([&] { resume(net(), moved, sets()); }, {"batch 5"}));
  train::Checkpoint stripped = c;
  stripped.optimizer.clear();
  EXPECT_TRUE(refuses([&] { resume(net(), stripped, sets()); }, {"sgd", "missing"}));
}

}  // namespace
}  // namespace isobit
