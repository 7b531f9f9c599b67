// Layers: inferred shapes agree with what really comes out, options are checked, composition works.
#include <gtest/gtest.h>
#include <isobit/autograd.h>
#include <isobit/models.h>
#include <isobit/nn.h>
#include <isobit/ops.h>

#include "core/trace.h"

namespace isobit {
namespace {

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(NnLayers, InferredShapesAreThoseOfTheForwardPass) {
  const Shape image{9, 11, 6};
  const std::vector<std::pair<nn::Layer, Shape>> cases = {
      {nn::Conv2D(8, 3), {7, 9, 8}},
      {nn::Conv2D(8, 3, {.stride = 2, .padding = Same}), {5, 6, 8}},
      {nn::Conv2D(8, {3, 5}, {.stride = {2, 1}, .dilation = 2, .groups = 2}), {3, 3, 8}},
      {nn::Conv2D(6, 3, {.padding = 1, .groups = 6}), {9, 11, 6}},
      {nn::MaxPool2D(2), {4, 5, 6}},
      {nn::MaxPool2D(3, {.stride = 2, .ceil_mode = true}), {4, 5, 6}},
      {nn::AvgPool2D({2, 3}), {4, 3, 6}},
      {nn::GlobalAvgPool(), {6}},
      {nn::GlobalMaxPool(), {6}},
      {nn::GlobalLpPool(3), {6}},
      {nn::MaxPool(3, {.stride = 2, .ceil_mode = true}), {4, 5, 6}},
      {nn::AvgPool(2, {.stride = 1, .dilation = 3}), {6, 8, 6}},
      {nn::LpPool({2, 3}, 3), {4, 3, 6}},
      {nn::AdaptiveAvgPool({2, 15}), {2, 15, 6}},
      {nn::AdaptiveMaxPool(4), {4, 4, 6}},
      {nn::Flatten(), {9 * 11 * 6}},
      {nn::Linear(5), {9, 11, 5}},
      {nn::BatchNorm(), image},
      {nn::LayerNorm(), image},
      {nn::GroupNorm(3), image},
      {nn::InstanceNorm(), image},
      {nn::LocalResponseNorm(5), image},
      {nn::Upsample(2), {18, 22, 6}},
      {nn::Upsample({1, 3}, Interpolation::linear, true), {9, 33, 6}},
      {nn::DepthToSpace({3, 2}), {27, 22, 1}},
      {nn::PixelShuffle({1, 2}), {9, 22, 3}},
      {nn::ReLU(), image},
      {nn::LeakyReLU(0.2), image},
      {nn::ELU(), image},
      {nn::GELU(), image},
      {nn::SiLU(), image},
      {nn::Sigmoid(), image},
      {nn::Tanh(), image},
      {nn::Softplus(), image},
      {nn::Softmax(), image},
      {nn::LogSoftmax(), image},
      {nn::Dropout(0.5), image},
      {nn::Lambda("Sum", [](const Tensor& x) { return sum(x, {1}); }), {11, 6}},
      {nn::Residual(nn::Conv2D(6, 3, {.padding = Same})), image},
  };
  const Tensor x = random_normal({2, 9, 11, 6}, random_key(Seed{1}, "x"));
  for (const auto& [layer, out] : cases) {
    EXPECT_EQ(layer.output_shape(image), out) << layer.module().describe();
    EXPECT_EQ(layer(x).shape(), out.inserted(0, 2)) << layer.module().describe();
  }
}

TEST(NnLayers, PoolingTakesOneToThreeSpatialAxes) {
  for (const Shape& sample : {Shape{6, 2}, Shape{6, 8, 2}, Shape{4, 6, 8, 2}}) {
    const Tensor x = random_normal(sample.inserted(0, 3), random_key(Seed{1}, "x"));
    const std::pair<nn::Layer, Tensor> cases[] = {{nn::MaxPool(2), max_pool(x, 2)},
                                                  {nn::AvgPool(2), avg_pool(x, 2)},
                                                  {nn::LpPool(2, 3), lp_pool(x, 2, 3)},
                                                  {nn::AdaptiveAvgPool(3), adaptive_avg_pool(x, 3)},
                                                  {nn::AdaptiveMaxPool(3), adaptive_max_pool(x, 3)},
                                                  {nn::GlobalLpPool(), global_lp_pool(x)}};
    for (const auto& [layer, y] : cases) {
      EXPECT_TRUE(equal_bits(layer(x), y)) << layer.module().describe();
      EXPECT_EQ(layer.output_shape(sample).inserted(0, 3), y.shape()) << layer.module().describe();
    }
  }
  EXPECT_EQ(nn::LpPool({2, 3}, 2).module().describe(), "LpPool(2x3, p=2)");
  EXPECT_EQ(nn::MaxPool2D(2).module().describe(), "MaxPool2D(2x2)");
}

TEST(NnLayers, ConvolutionsActivationIsTheBitsOfAReLU) {
  const nn::Sequential fused{nn::Conv2D(5, 3, {.activation = Activate::relu})};
  const nn::Sequential apart{nn::Conv2D(5, 3), nn::ReLU()};
  fused.build({8, 8, 3}, Device::cpu(), Seed{4});
  apart.build({8, 8, 3}, Device::cpu(), Seed{4});
  const Tensor x = random_normal({3, 8, 8, 3}, random_key(Seed{1}, "x"));
  EXPECT_TRUE(equal_bits(fused(x), apart(x)));
}

TEST(NnLayers, ResidualAddsTheShortcut) {
  const nn::Residual same(nn::Lambda("Double", [](const Tensor& x) { return mul_scalar(x, 2); }));
  const Tensor x = from_vector<float>({1, -2}, {1, 2});
  EXPECT_EQ(same(x).to_vector<float>(), (std::vector<float>{3, -6}));
  const nn::Residual projected(nn::Conv2D(8, 3, {.stride = 2, .padding = Same}),
                               nn::Conv2D(8, 1, {.stride = 2}));
  EXPECT_EQ(projected(zeros({1, 7, 7, 4})).shape(), (Shape{1, 4, 4, 8}));
  const std::string message = message_of([] { nn::Residual(nn::Conv2D(8, 3)).build({7, 7, 4}); });
  EXPECT_TRUE(contains(message, "[5,5,8]") && contains(message, "[7,7,4]") && contains(message, "projection"))
      << message;
}

TEST(NnLayers, WrongOptionsAreRefusedWhenTheLayerIsMade) {
  EXPECT_THROW(nn::Conv2D(0, 3), Error);
  EXPECT_THROW(nn::Conv2D(8, 0), Error);
  EXPECT_THROW(nn::Conv2D(8, {3, 3, 3}), Error);
  EXPECT_THROW(nn::Conv2D(8, 3, {.groups = 3}), Error);
  EXPECT_THROW(nn::Linear(0), Error);
  EXPECT_THROW(nn::MaxPool2D(0), Error);
  EXPECT_THROW(nn::MaxPool2D({2, 2, 2}), Error);
  EXPECT_THROW(nn::AvgPool({2, 2, 0}), Error);
  EXPECT_THROW(nn::LpPool(2, 0.5), Error);
  EXPECT_THROW(nn::GlobalLpPool(std::nan("")), Error);
  EXPECT_THROW(nn::AdaptiveAvgPool(0), Error);
  EXPECT_THROW(nn::Dropout(1), Error);
  EXPECT_THROW(nn::Dropout(std::nan("")), Error);
  EXPECT_THROW(nn::BatchNorm({.momentum = 2}), Error);
  EXPECT_THROW(nn::LayerNorm({.eps = -1}), Error);
  EXPECT_THROW(nn::GroupNorm(0), Error);
  EXPECT_THROW(nn::InstanceNorm({.eps = -1}), Error);
  EXPECT_THROW(nn::Upsample(0), Error);
  EXPECT_THROW(nn::Upsample(2, Interpolation::nearest, true), Error);
  EXPECT_THROW(nn::DepthToSpace({2, 0}), Error);
  EXPECT_THROW(nn::PixelShuffle(-1), Error);
  EXPECT_THROW(nn::LocalResponseNorm(0), Error);
  EXPECT_THROW(nn::LocalResponseNorm(5, {.bias = 0}), Error);
  EXPECT_THROW(nn::Input({2}, {.deviation = 0}), Error);
}

TEST(NnLayers, WrongShapesAreRefusedWhenTheNetworkIsBuilt) {
  EXPECT_THROW(nn::Conv2D(8, 3, {.groups = 2}).build({8, 8, 3}), Error);
  EXPECT_THROW(nn::Conv2D(8, 9).build({8, 8, 3}), Error);
  EXPECT_THROW(nn::Conv2D(8, 3).build({8, 3}), Error);
  EXPECT_THROW(nn::GroupNorm(4).build({8, 8, 6}), Error);
  EXPECT_THROW(nn::Upsample({2, 2, 2}).build({8, 8, 6}), Error);
  EXPECT_THROW(nn::Upsample(2).build({6}), Error);
  EXPECT_THROW(nn::DepthToSpace(2).build({8, 8, 6}), Error);
  EXPECT_THROW(nn::MaxPool2D(3).build({2, 8, 6}), Error);
  EXPECT_THROW(nn::AvgPool2D(2).build({8, 6}), Error);
  EXPECT_THROW(nn::AvgPool({2, 2}).build({8, 6}), Error);
  EXPECT_THROW(nn::LpPool(2, 2).build({6}), Error);
  const nn::Sequential net{nn::Conv2D(4, 3), nn::Conv2D(4, 9)};
  EXPECT_THROW(net.build({8, 8, 1}), Error);
  EXPECT_FALSE(net.built());
  EXPECT_FALSE(net[0].built());  // nothing is half-built
  net.build({12, 12, 1});
  EXPECT_EQ(net.parameters().size(), 4u);
}

TEST(NnLayers, HalfPrecisionKeepsNormsInF32) {
  const nn::Sequential net{nn::Conv2D(4, 3), nn::BatchNorm()};
  net.build({6, 6, 2}, Device::cpu(), Seed{1}, DType::bf16);
  const nn::StateDict state = net.state_dict();
  EXPECT_EQ(state[0].second.dtype(), DType::bf16);
  EXPECT_EQ(state[2].second.dtype(), DType::f32);
  EXPECT_EQ(net(zeros({2, 6, 6, 2}, {DType::bf16})).dtype(), DType::bf16);
}

TEST(NnLayers, SummaryCountsBeforeAnyData) {
  const nn::Sequential net = models::lenet();
  const nn::Summary summary = net.summarize({28, 28, 1});
  EXPECT_FALSE(net.built());
  EXPECT_EQ(summary.parameters, 5 * 5 * 32 + 32 + 5 * 5 * 32 * 64 + 64 + 3136 * 512 + 512 + 512 * 10 + 10);
  EXPECT_EQ(summary.multiply_adds, 28 * 28 * 32 * 25 + 14 * 14 * 64 * 25 * 32 + 3136 * 512 + 512 * 10);
  ASSERT_EQ(summary.rows.size(), 10u);
  EXPECT_EQ(summary.rows[5].output, (Shape{7, 7, 64}));
  std::string table = net.summary({28, 28, 1});
  EXPECT_TRUE(contains(table, "Conv2D(64, 5x5, same)")) << table;
  const std::string last = "arithmetic exact (one order of summation on every device)\n";
  ASSERT_TRUE(table.ends_with(last)) << table;
  table.resize(table.size() - last.size());
  EXPECT_TRUE(contains(table, "1,663,370")) << table;
  // All lines of the frame are equally wide.
  std::size_t width = 0;
  for (std::size_t at = 0, end; (end = table.find('\n', at)) != std::string::npos; at = end + 1) {
    std::size_t columns = 0;
    for (std::size_t i = at; i < end; ++i) columns += (static_cast<unsigned char>(table[i]) & 0xC0) != 0x80;
    if (width == 0) width = columns;
    EXPECT_EQ(columns, width);
  }
}

TEST(NnLayers, SummaryNamesTheArithmeticOfTheNetworkAndLayersThatHaveAnother) {
  const nn::Sequential net{nn::Conv2D(4, 3), nn::Sequential{nn::ReLU(), nn::Conv2D(5, 1)}, nn::Conv2D(6, 1)};
  const auto ends = [&](const char* last) { return net.summary({8, 8, 2}).ends_with(last); };
  EXPECT_TRUE(ends("arithmetic exact (one order of summation on every device)\n"));
  {
    const MathScope scope(Math::fast_f16);
    EXPECT_TRUE(ends("arithmetic fast-f16 (f32 through f16)\n"));
    EXPECT_FALSE(contains(net.summary({8, 8, 2}), " in "));
  }
  net.set_math(Math::fast);
  net[1].set_math(Math::exact);
  const nn::Summary summary = net.summarize({8, 8, 2});
  EXPECT_EQ(summary.math, Math::fast);
  std::vector<Math> rows;
  for (const nn::SummaryRow& row : summary.rows) rows.push_back(row.math);
  EXPECT_EQ(rows, (std::vector<Math>{Math::fast, Math::exact, Math::exact, Math::fast}));
  const std::string table = summary.to_string();
  EXPECT_TRUE(contains(table, "Conv2D(5, 1x1) in exact ")) << table;
  EXPECT_TRUE(contains(table, "ReLU ")) << table;
  EXPECT_FALSE(contains(table, "in fast")) << table;
  EXPECT_TRUE(table.ends_with("arithmetic fast (f32 through tf32, on CPUs through two bf16)\n")) << table;
}

TEST(NnLayers, SummaryOfAResidualNetworkAndSharedLayers) {
  const nn::Summary summary = models::resnet_small().summarize({28, 28, 1});
  std::int64_t sum = 0;
  for (const nn::SummaryRow& row : summary.rows) sum += row.parameters;
  EXPECT_EQ(sum, summary.parameters);
  const nn::Sequential net = models::resnet_small();
  net.build({28, 28, 1});
  std::int64_t real = 0, buffers = 0;
  for (const Tensor& p : net.parameters()) real += p.numel();
  for (const auto& [name, buffer] : net.named_buffers()) buffers += buffer.numel();
  EXPECT_EQ(real, summary.parameters);
  EXPECT_EQ(buffers, summary.buffers);
  const nn::Linear shared(4);
  EXPECT_EQ((nn::Sequential{shared, nn::ReLU(), shared}.summarize({4}).parameters), 20);
}

/// Asks for as many parameters as the test says.
class Growing : public nn::Module {
 public:
  nn::Plan plan(const Shape& in) const override {
    nn::Plan plan;
    plan.output = in;
    for (int i = 0; i < wanted; ++i)
      plan.parameters.push_back({fmt::format("p{}", i), Shape{1}, nn::zeros(), {}, false});
    return plan;
  }
  Tensor forward(const Tensor& x) override { return x; }
  std::string kind() const override { return "Growing"; }
  static inline int wanted = 1;
};

TEST(Nn, APlanThatGrowsIsRefused) {
  const nn::Layer layer = nn::make<Growing>();
  Growing::wanted = 1;
  layer.build({3});
  ASSERT_EQ(layer.parameters().size(), 1u);
  Growing::wanted = 2;
  const std::string message = message_of([&] { layer.build({3}); });
  EXPECT_NE(message.find("Growing"), std::string::npos) << message;
  EXPECT_NE(message.find("was built with 1 parameters or buffers, its plan for an input of [3] has 2"),
            std::string::npos)
      << message;
}

class Gate : public nn::Module {
 public:
  Gate() {
    add_child("value", value_);
    add_child("gate", gate_);
  }
  std::string kind() const override { return "Gate"; }
  Tensor forward(const Tensor& x) override { return value_(x) * sigmoid(gate_(x)); }

 private:
  nn::Linear value_{6}, gate_{6};
};

TEST(NnLayers, AUsersModuleNeedsOnlyAForward) {
  const nn::Sequential net{nn::Flatten(), nn::make<Gate>(), nn::Linear(3)};
  net.build({2, 2, 2}, Device::cpu(), Seed{9});
  std::vector<std::string> names;
  for (const auto& [name, tensor] : net.named_parameters()) names.push_back(name);
  EXPECT_EQ(names, (std::vector<std::string>{"1.value.weight", "1.value.bias", "1.gate.weight", "1.gate.bias",
                                             "2.weight", "2.bias"}));
  EXPECT_EQ(net(zeros({5, 2, 2, 2})).shape(), (Shape{5, 3}));
  EXPECT_TRUE(net.training());
  EXPECT_TRUE(contains(net.summary(), "Gate")) << net.summary();
  sum(net(ones({5, 2, 2, 2}))).backward();
  for (const Tensor& p : net.parameters()) EXPECT_TRUE(p.grad().defined());
}

TEST(NnLayers, NamesOfChildrenAreChecked) {
  nn::Sequential net;
  net.add("stem", nn::Linear(3)).add("head", nn::Linear(2));
  EXPECT_THROW(net.add("stem", nn::ReLU()), Error);
  EXPECT_THROW(net.add("a.b", nn::ReLU()), Error);
  EXPECT_THROW(net.add("", nn::ReLU()), Error);
  EXPECT_THROW(net.add("self", net), Error);
  EXPECT_THROW(net.add("empty", nn::Layer()), Error);
  EXPECT_THROW(net[2], Error);
  net.build({4});
  EXPECT_EQ(net.named_parameters()[2].first, "head.weight");
  EXPECT_THROW(net.add(nn::ReLU()), Error);
}

TEST(NnLayers, ModelsAreBuiltByName) {
  for (const std::string_view name : models::names()) {
    const nn::Sequential net = models::make(name, 7);
    EXPECT_EQ(net.output_shape({28, 28, 1}), (Shape{7})) << name;
    EXPECT_EQ(net.output_shape({32, 32, 3}), (Shape{7})) << name;
  }
  const std::string message = message_of([] { models::make("alexnet"); });
  EXPECT_TRUE(contains(message, "alexnet") && contains(message, "resnet-small")) << message;
}

// A convolution applies the ReLU that follows it in a Sequential: one kernel less, the same bits.
TEST(NnLayers, AConvolutionAppliesTheReluBehindIt) {
  Tensor x = random_uniform({3, 9, 8, 4}, random_key(Seed{5}, "x"));
  x.set_requires_grad();
  const nn::Conv2D conv(6, 3, {.padding = Same});
  const nn::ReLU relu;
  const nn::Sequential net{conv, relu, nn::Conv2D(5, 3, {.activation = Activate::tanh}), nn::ReLU()};
  net.build({9, 8, 4}, {}, Seed{1});
  const auto relus = [](const std::function<void()>& action) {
    const TraceCapture trace;
    action();
    return trace.count("unary");
  };
  Tensor fused, apart;
  EXPECT_EQ(relus([&] { fused = net(x); }), 1);  // behind the tanh
  EXPECT_EQ(relus([&] { apart = net[3](net[2](relu(conv(x)))); }), 2);
  EXPECT_EQ(fused.to_vector<float>(), apart.to_vector<float>());
  const auto gradients = [&](const Tensor& y) {
    x.zero_grad();
    net.zero_grad();
    sum(y).backward();
    std::vector<std::vector<float>> all{x.grad().to_vector<float>()};
    for (const Tensor& parameter : net.parameters()) all.push_back(parameter.grad().to_vector<float>());
    return all;
  };
  EXPECT_EQ(gradients(fused), gradients(apart));
  // Twice the same layer, and nothing is left for whoever comes next on this thread.
  EXPECT_EQ(relus([&] { conv(x); }), 0);
  EXPECT_THROW(net(zeros({3, 9, 8, 3})), Error);
  EXPECT_EQ(conv(x).to_vector<float>(), conv(x).to_vector<float>());
  EXPECT_LT(min(conv(x)).item(), 0);
  const nn::Behind with_relu{{}, true};
  EXPECT_EQ(conv.module().forward_with(x, with_relu).to_vector<float>(), relu(conv(x)).to_vector<float>());
  EXPECT_EQ(nn::Tanh().module().forward_with(x, with_relu).to_vector<float>(),
            relu(tanh(x)).to_vector<float>());
}

// In evaluation the batch norm behind a convolution is numbers that are given: one kernel for three layers.
TEST(NnLayers, AConvolutionAppliesTheNormBehindItInEvaluation) {
  for (const DType dtype : {DType::f32, DType::f64, DType::bf16}) {
    const Tensor x = random_uniform({3, 9, 8, 4}, random_key(Seed{5}, "x")).to(dtype);
    const nn::Conv2D conv(6, 3, {.padding = Same, .bias = false});
    const nn::BatchNorm norm;
    const nn::Sequential net{conv, norm, nn::ReLU(), nn::Conv2D(5, 3), nn::BatchNorm({.affine = false})};
    net.build({9, 8, 4}, {}, Seed{1}, dtype);
    const auto kernels = [&](const char* kernel, const std::function<void()>& action) {
      const TraceCapture trace;
      action();
      return trace.count(kernel);
    };
    net(x);  // running statistics that are not 0 and 1
    NoGrad no_grad;
    EXPECT_EQ(kernels("norm_statistics", [&] { net(x); }), 2);
    net.eval();
    Tensor fused;
    EXPECT_EQ(kernels("norm_apply", [&] { fused = net(x); }), 0);
    const Tensor apart = net[4](net[3](relu(norm(conv(x)))));
    EXPECT_EQ(fused.to(DType::f64).to_vector<double>(), apart.to(DType::f64).to_vector<double>());
    const nn::Behind behind{norm.module().given_norm(), true};
    ASSERT_TRUE(behind.norm);
    EXPECT_EQ(nn::Tanh().module().forward_with(conv(x), behind).to(DType::f64).to_vector<double>(),
              relu(norm(tanh(conv(x)))).to(DType::f64).to_vector<double>());
  }
}

}  // namespace
}  // namespace isobit
