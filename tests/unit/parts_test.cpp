// Parts of a batch: the joined gradients are the bits of the whole batch's, whatever the split.
#include <gtest/gtest.h>
#include <isobit/ops.h>
#include <isobit/parts.h>

namespace isobit {
namespace {

struct Net {
  Tensor w1, w2, shared, scale;
  std::vector<Tensor> parameters() const { return {w1, w2, shared, scale}; }
};

Net make_net() {
  const auto parameter = [](const Shape& s, const char* name) {
    Tensor t = random_normal(s, random_key(Seed{3}, name), 0, 0.3);
    return t.set_requires_grad();
  };
  return {parameter({3, 3, 2, 5}, "w1"), parameter({5 * 36, 7}, "w2"), parameter({7, 7}, "shared"),
          parameter({1}, "scale")};
}

/// A convolution, dropout, a weight used four times (twice by way of a transposed copy), and a scalar for the
/// whole batch.
Tensor loss_of(const Net& net, const Tensor& x, const Tensor& labels) {
  Tensor h = relu(conv(x, net.w1, {}, {.padding = Same}));
  h = dropout(h, 0.25, random_key(Seed{5}, "drop", 11));
  h = linear(flatten(h), net.w2);
  const Tensor turned = transpose(net.shared);
  h = linear(tanh(linear(h, net.shared)), net.shared);
  h = linear(tanh(linear(h, turned)), turned) * net.scale;
  return cross_entropy(h, labels, {.label_smoothing = 0.1});
}

struct Outcome {
  double loss;
  std::vector<Tensor> gradients;
};

Outcome run(std::int64_t whole, std::int64_t part_length) {
  const Net net = make_net();
  const Tensor x = random_normal({whole, 6, 6, 2}, random_key(Seed{4}, "x"));
  std::vector<std::int64_t> label(static_cast<std::size_t>(whole));
  for (std::size_t i = 0; i < label.size(); ++i) label[i] = static_cast<std::int64_t>(i * 5 % 7);
  const Tensor labels = from_vector(label, {whole});
  Outcome out;
  if (part_length == 0) {
    const Tensor loss = loss_of(net, x, labels);
    loss.backward();
    out.loss = loss.item();
  } else {
    const auto parts = split_batch(whole, part_length);
    const auto parameters = net.parameters();
    out.loss = backward_in_parts(parts, parameters, [&](const Part& p) {
                 const std::int64_t end = p.first + p.length;
                 return loss_of(net, x.slice(p.first, end), labels.slice(p.first, end));
               }).item();
  }
  for (const Tensor& p : net.parameters()) out.gradients.push_back(p.grad());
  return out;
}

TEST(Parts, AnySplitGivesTheBitsOfTheWholeBatch) {
  for (const std::int64_t whole : {64, 50, 17, 130}) {
    const Outcome expected = run(whole, 0);
    for (const std::int64_t length : {16, 32, 64, 128}) {
      const Outcome got = run(whole, length);
      EXPECT_NEAR(got.loss, expected.loss, 1e-5 * expected.loss);
      for (std::size_t i = 0; i < got.gradients.size(); ++i)
        EXPECT_TRUE(equal_bits(got.gradients[i], expected.gradients[i]))
            << "batch " << whole << " in parts of " << length << ", parameter " << i;
    }
  }
}

TEST(Parts, PlainAccumulationWouldNotDo) {
  // What the binary counter is for: adding part after part gives other bits.
  const Outcome expected = run(64, 0);
  const Net net = make_net();
  const Tensor x = random_normal({64, 6, 6, 2}, random_key(Seed{4}, "x"));
  std::vector<std::int64_t> label(64);
  for (std::size_t i = 0; i < label.size(); ++i) label[i] = static_cast<std::int64_t>(i * 5 % 7);
  for (const Part& p : split_batch(64, 16)) {
    const PartScope scope(p);
    loss_of(net, x.slice(p.first, p.first + 16), from_vector(label, {64}).slice(p.first, p.first + 16))
        .backward();
  }
  EXPECT_FALSE(equal_bits(net.w2.grad(), expected.gradients[1]));
}

TEST(Parts, AFailingPartLeavesGradientsUntouched) {
  const Net net = make_net();
  const auto parts = split_batch(64, 16);
  const auto parameters = net.parameters();
  const auto failing = [&](const Part& p) -> Tensor {
    if (p.first == 32) fail("loss", "on purpose");
    return sum(linear(ones({p.length, 7}), net.shared));
  };
  EXPECT_THROW(backward_in_parts(parts, parameters, failing), Error);
  EXPECT_FALSE(net.shared.grad().defined());
  EXPECT_EQ(current_part("test", 5).whole, 5);
}

TEST(Parts, RefusesSplitsThatWouldChangeTheAnswer) {
  EXPECT_THROW(split_batch(64, 24), Error);
  EXPECT_THROW(split_batch(64, 8), Error);
  EXPECT_THROW(split_batch(0, 16), Error);
  EXPECT_EQ(split_batch(10, 100).size(), 1u);
  EXPECT_EQ(split_batch(50, 16).back().length, 2);
  EXPECT_THROW(PartScope({0, 65, 64}), Error);
  EXPECT_THROW(PartScope({-1, 1, 64}), Error);
  BinaryCounter counter;
  counter.push({0, 16, 48}, {ones({2})});
  EXPECT_THROW(counter.push({32, 16, 48}, {ones({2})}), Error);
  EXPECT_THROW(counter.push({16, 16, 48}, {ones({3})}), Error);
  EXPECT_THROW(counter.push({16, 24, 48}, {ones({2})}), Error);
  EXPECT_THROW(counter.take(), Error);
  counter.push({16, 16, 48}, {ones({2})});
  counter.push({32, 16, 48}, {ones({2})});
  EXPECT_EQ(counter.take()[0].to_vector<float>(), (std::vector<float>{3, 3}));
  const PartScope scope({16, 16, 64});
  EXPECT_THROW(current_part("test", 17), Error);
}

}  // namespace
}  // namespace isobit
