// Failing cases made small, and two faults at once.
#include <gtest/gtest.h>
#include <isobit/autograd.h>
#include <isobit/compare_network.h>
#include <isobit/error.h>
#include <isobit/explain.h>
#include <isobit/nn.h>

#include <algorithm>

#include "tests/support/plain_conv.h"

namespace isobit {
namespace {

using compare::Judgement;
using compare::LayerCase;
using compare::Op;
using compare::Problem;
using compare::Result;
using compare::Verdict;
using test::PlainConv;

Problem plain_problem(const PlainConv& c, Result result = Result::y) {
  Problem p;
  p.result = result;
  p.x = random_normal(c.x_shape(), {3, 1});
  p.w = random_normal(c.w_shape(), {3, 2});
  p.dy = random_normal(c.y_shape(), {3, 3});
  p.conv = c.options();
  return p;
}

TEST(CompareShrink, Convolutions) {
  const PlainConv c{.n = 3,
                    .h = 11,
                    .w = 12,
                    .c = 12,
                    .k = 18,
                    .r = 5,
                    .s = 3,
                    .groups = 2,
                    .stride = 2,
                    .dilation = 1,
                    .top = 2,
                    .bottom = 1,
                    .left = 1,
                    .right = 1};
  Problem p = plain_problem(c);
  p.b = random_normal({c.k}, {3, 4});
  int asked = 0;
  // Fails whenever the filter has 2 rows or more and there is a padding on the left.
  const auto fails = [&](const Problem& q) {
    ++asked;
    const Tensor y = run(q);  // and is a problem that runs
    return q.w.shape(0) >= 2 && std::get<1>(q.conv.padding.value)[1].first >= 1 && y.numel() > 0;
  };
  const Problem small = compare::shrink(p, fails);
  EXPECT_TRUE(fails(small));
  EXPECT_EQ(small.w.shape(), (Shape{2, 1, 1, 1}));
  EXPECT_EQ(small.x.shape(), (Shape{1, 2, 1, 1}));
  EXPECT_EQ(small.conv.groups, 1);
  EXPECT_FALSE(small.b.defined());
  EXPECT_LT(asked, 500);
  EXPECT_EQ(shape_line(small, "small"), "mb1g1ic1oc1ih2kh2sh1dh0ph0phr0iw1kw1sw1dw0pw1pwr0n\"small\"");
  EXPECT_EQ(parse_conv_problem(shape_line(small, "small")).w, small.w.shape());
  Problem mirrored = small;
  mirrored.conv.mode = PadModes(PadMode::replicate, PadMode::reflect);
  mirrored.x = zeros({1, 4, 4, 1});
  EXPECT_EQ(parse_conv_problem(shape_line(mirrored, "m")).options.mode.value[1], PadMode::reflect);
  EXPECT_THROW(compare::shrink(p, [](const Problem&) { return false; }), Error);

  // A gradient: the tail of filters that a kernel leaves out.
  Problem g = plain_problem(c, Result::dx);
  const Problem tail =
      compare::shrink(g, [](const Problem& q) { return q.w.shape(-1) / q.conv.groups % 4 == 1; });
  EXPECT_EQ(tail.w.shape(-1), 1);
  EXPECT_EQ(run(tail).shape(), tail.x.shape());
}

Problem transposed_problem(Result result) {
  Problem p;
  p.op = Op::conv_transpose;
  p.result = result;
  p.x = random_normal({2, 6, 5, 8}, {4, 1});
  p.w = random_normal({4, 3, 3, 8}, {4, 2});  // [r, s, k / groups, c]
  p.b = random_normal({6}, {4, 3});
  p.transpose.stride = PerAxis(3, 2);
  p.transpose.dilation = PerAxis(1, 2);
  p.transpose.groups = 2;
  p.transpose.padding = Padding({{2, 1}, {1, 0}});
  p.transpose.output_padding = PerAxis(1, 1);
  p.dy = random_normal(run([&] {
                         Problem y = p;
                         y.result = Result::y;
                         return y;
                       }())
                           .shape(),
                       {4, 4});
  return p;
}

TEST(CompareShrink, TransposedConvolutions) {
  for (const Result result : {Result::y, Result::dx, Result::dw, Result::db}) {
    const Problem p = transposed_problem(result);
    const Problem least = compare::shrink(p, [](const Problem& q) { return run(q).numel() > 0; });
    EXPECT_EQ(least.x.shape(), (Shape{1, 1, 1, 1})) << least.to_string();
    EXPECT_EQ(least.w.shape(), (Shape{1, 1, 1, 1}));
    EXPECT_EQ(least.transpose.groups, 1);
    EXPECT_EQ(least.transpose.stride.value[0], 1);
    EXPECT_EQ(least.transpose.stride.value[1], 1);
    EXPECT_FALSE(least.b.defined());
    // Only where a stride of two meets two taps.
    const Problem small = compare::shrink(
        p, [](const Problem& q) { return q.transpose.stride.value[0] >= 2 && q.w.shape(0) >= 2; });
    EXPECT_EQ(small.w.shape(), (Shape{2, 1, 1, 1}));
    EXPECT_EQ(small.transpose.stride.value[0], 2);
    EXPECT_EQ(small.transpose.stride.value[1], 1);
    EXPECT_EQ(judge(small, run(small)).verdict, Verdict::bit_equal);
    EXPECT_NE(shape_line(small, "small").find("kh2"), std::string::npos);
  }
  // What the whole case has to itself is what the small one has: cut, not drawn anew.
  const Problem p = transposed_problem(Result::y);
  const Problem small =
      compare::shrink(p, [](const Problem& q) { return q.x.data<float>()[0] > 0 || q.x.numel() > 0; });
  EXPECT_EQ(small.x.data<float>()[0], p.x.data<float>()[0]);
}

TEST(CompareShrink, Pools) {
  for (const Op op : {Op::avg_pool, Op::max_pool})
    for (const Result result : {Result::y, Result::dx}) {
      Problem p;
      p.op = op;
      p.result = result;
      p.x = random_normal({3, 9, 8, 5}, {5, 1});
      p.window = PerAxis(3, 2);
      p.pool.padding = Same;
      p.pool.stride = 2;
      p.pool.ceil_mode = true;
      p.pool.count_include_pad = op == Op::avg_pool;
      p.dy = random_normal({3, 5, 4, 5}, {5, 2});
      const Problem small = compare::shrink(p, [](const Problem& q) {
        return q.window.value[0] >= 2 && q.x.shape(1) >= 3 && run(q).numel() > 0;
      });
      EXPECT_EQ(small.x.shape(), (Shape{1, 3, 1, 1})) << small.to_string();
      EXPECT_EQ(small.window.value[0], 2);
      EXPECT_EQ(small.window.value[1], 1);
      EXPECT_FALSE(small.pool.ceil_mode);
      EXPECT_FALSE(small.pool.count_include_pad);
      EXPECT_EQ(judge(small, run(small)).verdict, Verdict::bit_equal);
    }
}

TEST(CompareShrink, Linear) {
  Problem p;
  p.op = Op::linear;
  p.result = Result::dw;
  p.x = random_normal({4, 3, 10}, {6, 1});
  p.w = random_normal({10, 7}, {6, 2});
  p.b = random_normal({7}, {6, 3});
  p.dy = random_normal({4, 3, 7}, {6, 4});
  const Problem small =
      compare::shrink(p, [](const Problem& q) { return q.w.shape(0) >= 4 && run(q).numel() > 0; });
  EXPECT_EQ(small.x.shape(), (Shape{1, 1, 4}));
  EXPECT_EQ(small.w.shape(), (Shape{4, 1}));
  EXPECT_EQ(small.dy.shape(), (Shape{1, 1, 1}));
}

/// A built layer with parameters that are no ones and zeros.
LayerCase layer_case(const nn::Layer& layer, const Shape& x, const std::string& tensor) {
  layer.build(x.sub(1, x.rank()), {}, Seed{2});
  nn::StateDict state = layer.state_dict();
  for (auto& [name, t] : state) t = random_uniform(t.shape(), {7, 3}, 0.5, 2);
  layer.load_state_dict(state);
  layer.eval();
  const NoGrad off;
  const Tensor in = random_normal(x, {7, 1});
  return {layer, in, random_normal(layer(in).shape(), {7, 2}), tensor};
}

TEST(CompareShrink, LayersWithoutABound) {
  const LayerCase norm = layer_case(nn::GroupNorm(4), {3, 6, 5, 24}, "dx");
  EXPECT_EQ(judge(norm, run(norm)).verdict, Verdict::bit_equal);
  EXPECT_EQ(judge(norm, compare::run(norm, Device::parse("simt"))).verdict, Verdict::bit_equal);
  int asked = 0;
  const LayerCase small = compare::shrink(norm, [&](const LayerCase& c) {
    ++asked;
    EXPECT_EQ(run(c).shape(), c.x.shape());
    return c.x.shape(-1) >= 5 && c.x.shape(1) >= 2;
  });
  EXPECT_EQ(small.x.shape(), (Shape{1, 2, 1, 5}));
  EXPECT_EQ(small.dy.shape(), small.x.shape());
  EXPECT_EQ(small.layer.module().describe(), "GroupNorm(1)");
  EXPECT_EQ(small.layer.state_dict()[0].second.to_vector<float>(), [&] {
    std::vector<float> all = norm.layer.state_dict()[0].second.to_vector<float>();
    all.resize(5);
    return all;
  }());
  EXPECT_EQ(norm.layer.input_shape(), (Shape{6, 5, 24})) << "the layer itself is left alone";
  EXPECT_LT(asked, 200);

  const auto least = [](const nn::Layer& layer, const Shape& x, const std::string& tensor) {
    const LayerCase c = compare::shrink(layer_case(layer, x, tensor),
                                        [](const LayerCase& one) { return run(one).numel() > 0; });
    return fmt::format("{}", c.to_string());
  };
  EXPECT_EQ(least(nn::BatchNorm(), {4, 5, 6, 7}, "gamma"), "BatchNorm gamma, x [1,1,1,1]");
  EXPECT_EQ(least(nn::LayerNorm(), {4, 7}, "y"), "LayerNorm y, x [1,1]");
  EXPECT_EQ(least(nn::Softmax(), {4, 3, 7}, "dx"), "Softmax dx, x [1,1,1]");
  EXPECT_EQ(least(nn::GELU(), {4, 3, 2, 7}, "dx"), "GELU dx, x [1,1,1,1]");
  EXPECT_EQ(least(nn::Upsample(4), {2, 3, 2, 5}, "y"), "Upsample(1, nearest) y, x [1,1,1,1]");
  EXPECT_THROW(compare::shrink(norm, [](const LayerCase&) { return false; }), Error);
}

/// The result with what `spoil` does to some elements.
Tensor spoiled(const Problem& p,
               const std::function<void(std::int64_t place, std::int64_t channel, float& v)>& spoil) {
  const Tensor y = run(p);
  std::vector<float> values = y.to_vector<float>();
  const std::int64_t k = y.shape(-1);
  for (std::size_t i = 0; i < values.size(); ++i)
    spoil(static_cast<std::int64_t>(i) / k, static_cast<std::int64_t>(i) % k, values[i]);
  return from_vector(values, y.shape());
}

TEST(CompareFaultPairs, EachAtPlacesOfItsOwn) {
  // The last two of ten channels are left out, and the top row does not add its last row of taps.
  const PlainConv c{
      .n = 2, .h = 7, .w = 6, .c = 3, .k = 10, .r = 3, .s = 3, .top = 1, .bottom = 1, .left = 1, .right = 1};
  const Problem p = plain_problem(c);
  Problem fewer = p;
  fewer.w = pad(pad(p.w, {{0, -1}, {0, 0}, {0, 0}, {0, 0}}), {{0, 1}, {0, 0}, {0, 0}, {0, 0}});
  const std::vector<float> without = run(fewer).to_vector<float>();
  std::size_t i = 0;
  const Tensor both = spoiled(p, [&](std::int64_t place, std::int64_t channel, float& v) {
    if (place % 42 < 6) v = without[i];
    if (channel >= 8) v = 0;
    ++i;
  });
  const Judgement j = judge(p, both);
  EXPECT_EQ(j.verdict, Verdict::wrong);
  EXPECT_NE(j.explanation.find("tail of 2 output channels left out"), std::string::npos) << j.to_string();
  EXPECT_NE(j.explanation.find("tap row 2 missing at the top border"), std::string::npos) << j.to_string();
  EXPECT_NE(j.explanation.find(", and "), std::string::npos) << j.to_string();

  // One of the two alone is itself, and a third that nothing explains leaves no name.
  EXPECT_EQ(
      judge(p, spoiled(p, [](std::int64_t, std::int64_t channel, float& v) { v = channel >= 8 ? 0 : v; }))
          .explanation,
      "tail of 2 output channels left out");
  i = 0;
  const Tensor three = spoiled(p, [&](std::int64_t place, std::int64_t channel, float& v) {
    if (place % 42 < 6) v = without[i];
    if (channel >= 8) v = 0;
    if (place == 20 && channel == 3) v += 1;
    ++i;
  });
  const Judgement none = judge(p, three);
  EXPECT_EQ(none.verdict, Verdict::wrong);
  EXPECT_EQ(none.explanation, "") << none.to_string();
}

TEST(CompareFaultPairs, LayersOfANetwork) {
  nn::Sequential net{nn::Conv2D(5, 3, {.padding = Same}), nn::ReLU(), nn::GroupNorm(5), nn::AvgPool2D(2)};
  net.build({8, 8, 3}, {}, Seed{3});
  net.eval();
  const Tensor x = random_normal({2, 8, 8, 3}, {1, 2});
  const compare::Implementation honest = compare::on_device(net);
  const auto with = [&](const std::vector<std::string>& faulty) {
    return compare::compare_network(net, x, [&](const compare::LayerCall& call) {
      nn::StateDict all = honest(call);
      if (std::find(faulty.begin(), faulty.end(), call.path) == faulty.end()) return all;
      for (auto& [name, tensor] : all)
        if (name == "y") tensor = call.path == "3" ? mul_scalar(tensor, 4) : mul_scalar(tensor, -1);
      return all;
    });
  };
  const compare::NetworkComparison two = with({"0", "3"});
  EXPECT_FALSE(two.ok());
  EXPECT_EQ(two.first_difference()->path, "0");
  EXPECT_EQ(two.wrong_layers(),
            "2 layers are wrong, each given the right input:\n"
            "  0 (Conv2D(5, 3x3, same)), y\n"
            "  3 (AvgPool2D(2x2)), y: wrong divisor: not divided at all\n");
  EXPECT_NE(two.to_string().find("they part first at layer 0"), std::string::npos);
  EXPECT_NE(two.to_string().find(two.wrong_layers()), std::string::npos);
  EXPECT_EQ(with({"3"}).wrong_layers(), "");
}

}  // namespace
}  // namespace isobit
