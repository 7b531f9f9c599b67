// Derivatives of pooling, softmax, losses, norms and dropout.
#include <gtest/gtest.h>
#include <isobit/parts.h>

#include "tests/support/gradcheck.h"

namespace isobit::test {
namespace {

using Inputs = std::vector<Tensor>;

PoolOptions pool_options(int kind) {
  PoolOptions o;
  if (kind == 1) o.stride = 1;
  if (kind == 2) {
    o.stride = PerAxis(2, 3);
    o.padding = Padding(std::vector<std::pair<std::int64_t, std::int64_t>>{{1, 0}, {0, 1}});
    o.ceil_mode = true;
  }
  if (kind == 3) {
    o.stride = 2;
    o.padding = Same;
    o.count_include_pad = true;
  }
  return o;
}

TEST(PoolGradient, DifferencesAndAdjoints) {
  for (const int kind : {0, 1, 2, 3})
    for (const PerAxis& window : {PerAxis(2), PerAxis(3, 2)}) {
      const PoolOptions o = pool_options(kind);
      const std::string name =
          fmt::format("pool kind {} window {}x{}", kind, window.value[0], window.value[1]);
      check_gradients("max_" + name, [&](const Inputs& in) { return square(max_pool(in[0], window, o)); },
                      {distinct_values({2, 4, 5, 2}, 1)});
      check_gradients("avg_" + name, [&](const Inputs& in) { return square(avg_pool(in[0], window, o)); },
                      {random_values({2, 4, 5, 2}, 2)});
      // Windows of 2 elements at most divide without rounding; maxima never round.
      check_adjoint("max_" + name, random_integers({2, 6, 7, 3}, 3, 8),
                    [&](const Tensor& t) { return max_pool(t, window, o); });
    }
  check_adjoint("avg_pool of 4", random_integers({2, 6, 7, 3}, 4, 8),
                [](const Tensor& t) { return avg_pool(t, 2); });
  PoolOptions dilated;
  dilated.dilation = 2;
  dilated.stride = 1;
  check_gradients("max_pool dilated", [&](const Inputs& in) { return square(max_pool(in[0], 2, dilated)); },
                  {distinct_values({1, 5, 4, 2}, 5)});
}

TEST(PoolGradient, OneAndThreeDimensionsAndGlobal) {
  check_gradients("max_pool 1", [](const Inputs& in) { return square(max_pool(in[0], 2)); },
                  {distinct_values({2, 5, 2}, 1)});
  check_gradients("avg_pool 3", [](const Inputs& in) { return square(avg_pool(in[0], 2)); },
                  {random_values({1, 2, 3, 4, 2}, 2)});
  check_gradients("global_avg_pool", [](const Inputs& in) { return square(global_avg_pool(in[0])); },
                  {random_values({2, 3, 2, 2}, 3)});
  check_gradients("global_max_pool", [](const Inputs& in) { return square(global_max_pool(in[0])); },
                  {distinct_values({2, 3, 2, 2}, 4)});
}

TEST(SoftmaxGradient, ThreeOrders) {
  for (const Shape& shape : {Shape{3, 4}, Shape{5}, Shape{2, 2, 3}, Shape{2, 1}}) {
    check_gradients("softmax", [](const Inputs& in) { return softmax(in[0]); },
                    {random_values(shape, 1, -2, 2)}, {.order = 3});
    check_gradients("log_softmax", [](const Inputs& in) { return log_softmax(in[0]); },
                    {random_values(shape, 2, -2, 2)}, {.order = 3});
  }
}

TEST(LossGradient, CrossEntropyAndMse) {
  const Tensor labels = from_vector<std::int64_t>({2, 0, 3}, {3});
  const Tensor more = from_vector<std::int64_t>({2, 0, 3, 1, 1, 0}, {3, 2});
  for (const double smoothing : {0.0, 0.1}) {
    const CrossEntropyOptions o{smoothing};
    check_gradients("cross_entropy", [&](const Inputs& in) { return cross_entropy(in[0], labels, o); },
                    {random_values({3, 4}, 1, -2, 2)}, {.order = 3, .halves = false});
    check_gradients("cross_entropy, positions",
                    [&](const Inputs& in) { return cross_entropy(in[0], more, o); },
                    {random_values({3, 2, 4}, 2, -2, 2)}, {.halves = false});
    check_gradients("cross_entropy, probabilities",
                    [&](const Inputs& in) { return cross_entropy(in[0], softmax(in[1]), o); },
                    {random_values({3, 4}, 3, -2, 2), random_values({3, 4}, 4, -2, 2)}, {.halves = false});
  }
  check_gradients("mse", [](const Inputs& in) { return mse(in[0], in[1]); },
                  {random_values({3, 4}, 5), random_values({3, 4}, 6)}, {.order = 3, .halves = false});
}

TEST(LossGradient, HalvesGiveAnF32LossAndAHalfGradient) {
  const Tensor labels = from_vector<std::int64_t>({2, 0, 3}, {3});
  for (const DType dtype : {DType::f16, DType::bf16}) {
    Tensor x = random_values({3, 4}, 1, -2, 2).to(dtype).detach().set_requires_grad();
    Tensor wide = x.detach().to(DType::f32).set_requires_grad();
    const Tensor loss = cross_entropy(x, labels), reference = cross_entropy(wide, labels);
    EXPECT_TRUE(equal_bits(loss.detach(), reference.detach()));
    EXPECT_TRUE(equal_bits(grad(loss, {x})[0], grad(reference, {wide})[0].to(dtype)));
  }
}

/// Norms with and without their parameters, three orders deep.
void check_norm(const std::string& name, const Shape& shape, std::int64_t channels,
                const std::function<Tensor(const Tensor&, const Tensor&, const Tensor&)>& f, int order = 2) {
  const Tensor x = random_values(shape, 1, -2, 2), gamma = random_values({channels}, 2, 0.5, 1.5);
  const Tensor beta = random_values({channels}, 3);
  const GradcheckOptions o{.order = order, .halves = false};
  check_gradients(
      name, [&](const Inputs& in) { return f(in[0], in[1], in[2]); }, {x, gamma, beta}, o);
  check_gradients(
      name + " plain", [&](const Inputs& in) { return f(in[0], {}, {}); }, {x}, o);
  check_gradients(
      name + " gamma", [&](const Inputs& in) { return f(in[0], in[1], {}); }, {x, gamma}, o);
  check_gradients(
      name + " beta", [&](const Inputs& in) { return f(in[0], {}, in[1]); }, {x, beta}, o);
}

constexpr NormOptions kEps{0.1};

Tensor batch(const Tensor& x, const Tensor& gamma, const Tensor& beta) {
  return batch_norm(x, gamma, beta, kEps).y;
}
Tensor layer(const Tensor& x, const Tensor& gamma, const Tensor& beta) {
  return layer_norm(x, gamma, beta, kEps);
}

TEST(NormGradient, Batch) {
  check_norm("batch_norm [4,3]", {4, 3}, 3, batch);
  check_norm("batch_norm [2,2,2,2]", {2, 2, 2, 2}, 2, batch);
}
TEST(NormGradient, Layer) {
  check_norm("layer_norm [2,4]", {2, 4}, 4, layer);
  check_norm("layer_norm [3]", {3}, 3, layer);
  check_norm("layer_norm [2,2,3]", {2, 2, 3}, 3, layer);
}
TEST(NormGradient, Group) {
  for (const std::int64_t groups : {1, 2, 4})
    check_norm(fmt::format("group_norm {}", groups), {2, 3, 4}, 4,
               [groups](const Tensor& x, const Tensor& gamma, const Tensor& beta) {
                 return group_norm(x, groups, gamma, beta, kEps);
               });
}
TEST(NormGradient, ThirdOrder) {
  check_norm("batch_norm, order 3", {3, 2}, 2, batch, 3);
  check_norm("layer_norm, order 3", {2, 3}, 3, layer, 3);
}
TEST(NormGradient, Inference) {
  const Tensor mean = random_values({3}, 5), variance = random_values({3}, 6, 0.5, 2);
  check_norm("batch_norm_inference", {2, 2, 3}, 3,
             [&](const Tensor& x, const Tensor& gamma, const Tensor& beta) {
               return batch_norm_inference(x, gamma, beta, mean.to(x.dtype()), variance.to(x.dtype()), kEps);
             });
}

TEST(NormGradient, HalvesKeepStatisticsInF32) {
  for (const DType dtype : {DType::f16, DType::bf16}) {
    const double unit = dtype == DType::f16 ? 0x1p-11 : 0x1p-8;
    Tensor x = random_values({4, 2, 4}, 1, -2, 2).to(dtype).detach().set_requires_grad();
    Tensor gamma = random_values({4}, 2, 0.5, 1.5).to(DType::f32).detach().set_requires_grad();
    Tensor wide = x.detach().to(DType::f32).set_requires_grad();
    Tensor wide_gamma = gamma.detach().clone().set_requires_grad();
    const BatchNormResult half = batch_norm(x, gamma, {}), full = batch_norm(wide, wide_gamma, {});
    EXPECT_EQ(half.mean.dtype(), DType::f32);
    EXPECT_TRUE(equal_bits(half.mean, full.mean));
    EXPECT_TRUE(equal_bits(half.variance, full.variance));
    EXPECT_TRUE(equal_bits(half.y.detach(), full.y.detach().to(dtype)));  // one rounding, at the store
    const Tensor seed = random_values({4, 2, 4}, 3).to(dtype);
    const auto g = grad(half.y, {x, gamma}, seed),
               expected = grad(full.y, {wide, wide_gamma}, seed.to(DType::f32));
    EXPECT_EQ(g[0].dtype(), dtype);
    EXPECT_TRUE(equal_bits(g[0], expected[0].to(dtype)));
    EXPECT_TRUE(equal_bits(g[1], expected[1]));
    const Tensor layer_half = layer_norm(x, {}, {}), layer_full = layer_norm(wide, {}, {});
    const auto a = layer_half.detach().to(DType::f64).to_vector<double>();
    const auto b = layer_full.detach().to(DType::f64).to_vector<double>();
    for (std::size_t i = 0; i < a.size(); ++i)
      EXPECT_LE(std::abs(a[i] - b[i]), unit * std::max(1e-4, std::abs(b[i])));
  }
}

TEST(LocalResponseGradient, Differences) {
  const LocalResponseOptions o{.alpha = 0.8, .beta = 0.75, .bias = 1.2};
  for (const std::int64_t size : {1, 2, 3, 4, 5, 50})
    check_gradients(fmt::format("local_response_norm {}", size),
                    [&](const Inputs& in) { return local_response_norm(in[0], size, o); },
                    {random_values({2, 2, 6}, 1, -2, 2)});
  check_gradients("local_response_norm, order 3",
                  [&](const Inputs& in) { return local_response_norm(in[0], 4, o); },
                  {random_values({2, 4}, 2, -2, 2)}, {.order = 3});
  check_gradients("local_response_norm of one axis",
                  [&](const Inputs& in) { return local_response_norm(in[0], 3, o); },
                  {random_values({5}, 3, -2, 2)});
}

TEST(DropoutGradient, IsItsOwnAdjoint) {
  const RandomKey key = random_key(Seed{3}, "drop");
  check_gradients("dropout", [&](const Inputs& in) { return square(dropout(in[0], 0.4, key)); },
                  {random_values({4, 5}, 1)}, {.order = 3});
}

}  // namespace
}  // namespace isobit::test
