// Training and evaluation: Dropout's keys and steps, BatchNorm's running statistics, evaluation of a dataset.
#include <gtest/gtest.h>
#include <isobit/autograd.h>
#include <isobit/nn.h>
#include <isobit/ops.h>
#include <isobit/parts.h>

namespace isobit {
namespace {

TEST(NnModes, DropoutIsKeyedBySeedPathAndStep) {
  const nn::Sequential net{nn::ReLU(), nn::Dropout(0.5)};
  net.build({40}, Device::cpu(), Seed{3});
  const Tensor x = ones({8, 40});
  const Tensor first = net(x), second = net(x);
  EXPECT_FALSE(equal_bits(first, second));  // each training pass is a step of its own
  EXPECT_EQ(net.step(), 1u);
  net.set_step(0);
  EXPECT_TRUE(equal_bits(net(x), first));
  EXPECT_TRUE(equal_bits(net(x), second));
  EXPECT_TRUE(equal_bits(first, dropout(x, 0.5, random_key(Seed{3}, "1.dropout", 0))));

  const nn::Sequential elsewhere{nn::Dropout(0.5), nn::ReLU()};
  elsewhere.build({40}, Device::cpu(), Seed{3});
  EXPECT_FALSE(equal_bits(elsewhere(x), first));  // another path, other draws

  net.eval();
  EXPECT_TRUE(equal_bits(net(x), x));
  EXPECT_EQ(net.step(), 1u);  // evaluation is no step
}

TEST(NnModes, PartsOfABatchAreOneStepAndDrawAsTheWhole) {
  const nn::Sequential net{nn::Dropout(0.3)};
  net.build({5}, Device::cpu(), Seed{3});
  const Tensor x = random_normal({40, 5}, random_key(Seed{1}, "x"));
  net.set_step(9);
  const Tensor whole = net(x);
  EXPECT_EQ(net.step(), 9u);
  net.set_step(9);
  std::vector<Tensor> parts;
  for (const Part& part : split_batch(40, 16)) {
    PartScope scope(part);
    parts.push_back(net(x.slice(part.first, part.first + part.length)));
    EXPECT_EQ(net.step(), 9u);
  }
  EXPECT_TRUE(equal_bits(concat(parts), whole));
  net(x);
  EXPECT_EQ(net.step(), 10u);
}

TEST(NnModes, BatchNormRecordsRunningStatistics) {
  const nn::Sequential net{nn::BatchNorm({.momentum = 0.25})};
  net.build({4, 4, 3}, Device::cpu(), Seed{1});
  const Tensor x = random_normal({6, 4, 4, 3}, random_key(Seed{1}, "x"), 2, 3);
  const BatchNormResult batch = batch_norm(x, {}, {});
  net(x);
  nn::StateDict buffers = net.named_buffers();
  EXPECT_EQ(buffers[0].first, "0.running_mean");
  EXPECT_TRUE(equal_bits(buffers[0].second, add(mul_scalar(zeros({3}), 0.75), mul_scalar(batch.mean, 0.25))));
  EXPECT_TRUE(
      equal_bits(buffers[1].second, add(mul_scalar(ones({3}), 0.75), mul_scalar(batch.variance, 0.25))));
  EXPECT_EQ(buffers[1].first, "0.running_variance");

  net.eval();
  const Tensor gamma = net.parameters()[0], beta = net.parameters()[1];
  const Tensor expected = batch_norm_inference(x, gamma, beta, buffers[0].second, buffers[1].second);
  const std::string before = digest(net);
  EXPECT_TRUE(equal_bits(net(x), expected));
  EXPECT_EQ(digest(net), before);  // evaluation records nothing
}

TEST(NnModes, BuildingAndSummariesRecordNothing) {
  const nn::Sequential net{nn::BatchNorm(), nn::Lambda("Id", [](const Tensor& x) { return x; })};
  net.build({3, 3, 2}, Device::cpu(), Seed{1});
  for (const auto& [name, buffer] : net.named_buffers())
    EXPECT_TRUE(equal_bits(buffer, name == "0.running_mean" ? zeros({2}) : ones({2})));
  net.summary();
  EXPECT_EQ(net.step(), 0u);
  EXPECT_TRUE(net.training());
}

data::Dataset brightness(std::int64_t n) {
  data::Dataset set;
  std::vector<std::uint8_t> pixels;
  std::vector<std::int64_t> labels;
  for (std::int64_t i = 0; i < n; ++i) {
    labels.push_back(i % 3);
    for (int p = 0; p < 4; ++p) pixels.push_back(static_cast<std::uint8_t>(100 * (i % 3) + p));
  }
  set.images = from_vector(pixels, {n, 2, 2, 1});
  set.labels = from_vector(labels, {n});
  set.classes = {"dark", "middle", "bright"};
  set.name = "brightness";
  return set;
}

TEST(NnModes, EvaluationCountsAndRestoresTheMode) {
  // A fixed "network": logits by the distance of the mean from three levels.
  const nn::Sequential net{
      nn::Dropout(0.9), nn::Flatten(), nn::Lambda("Levels", [](const Tensor& x) {
        const Tensor m = mean(x, {1}, true);
        const std::vector<Tensor> d = {neg(abs(m - 0.0)), neg(abs(m - 0.39)), neg(abs(m - 5.0))};
        return concat(d, 1);
      })};
  net.build({2, 2, 1});
  const nn::Evaluation e = nn::evaluate(net, brightness(31), {.batch = 7});
  EXPECT_TRUE(net.training());
  EXPECT_EQ(e.samples, 31);
  EXPECT_EQ(e.confusion.count(0, 0), 11);
  EXPECT_EQ(e.confusion.count(1, 1), 10);
  EXPECT_EQ(e.confusion.count(2, 1), 10);  // bright is taken for middle
  EXPECT_EQ(e.confusion.count(2, 2), 0);
  EXPECT_DOUBLE_EQ(e.accuracy, 21.0 / 31);
  EXPECT_DOUBLE_EQ(accuracy(net, brightness(31)), 21.0 / 31);
  EXPECT_DOUBLE_EQ(e.confusion.recall(2), 0);
  EXPECT_NE(e.confusion.to_string().find("bright"), std::string::npos);
  EXPECT_THROW(nn::evaluate(nn::Sequential{nn::Flatten()}.build({2, 2, 1}), brightness(3)), Error);
}

TEST(NnModes, ConfusionRefusesUnknownClasses) {
  nn::Confusion c({"a", "b"});
  EXPECT_EQ(c.accuracy(), 0);
  EXPECT_THROW(c.add(2, 0), Error);
  EXPECT_THROW(c.add(0, -1), Error);
  c.add(1, 0, 3);
  EXPECT_EQ(c.total(), 3);
  EXPECT_EQ(c.correct(), 0);
}

}  // namespace
}  // namespace isobit
