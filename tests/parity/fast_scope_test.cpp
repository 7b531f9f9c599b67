// Whose arithmetic runs: a call's own, else that of the innermost layer that has one, else the scope's;
// forward, backward and in second derivatives.
#include <gtest/gtest.h>
#include <isobit/algorithms.h>
#include <isobit/autograd.h>
#include <isobit/nn.h>
#include <isobit/ops.h>

#include <functional>

namespace isobit::parity {
namespace {

constexpr const char* kKernels[] = {"matmul", "conv_forward", "conv_backward_input", "conv_backward_filter"};

/// Calls of the four kernels that tensor cores served, and others.
struct Served {
  std::int64_t fast = 0, exact = 0;
};
Served served(const ServedCalls& calls) {
  Served s;
  for (const auto& [what, count] : calls.counts())
    for (const char* kernel : kKernels)
      if (what.first == kernel) (what.second.starts_with("tensor_cores") ? s.fast : s.exact) += count;
  return s;
}

class FastScope : public testing::Test {
 protected:
  Tensor numbers(const Shape& shape, const char* stream) const {
    return random_normal(shape, random_key(Seed{4}, stream), 0, 1).to(device);
  }
  const Device device = Device::simt();
  const Tensor x = numbers({2, 7, 7, 8}, "x"), w = numbers({3, 3, 8, 8}, "w"),
               dy = numbers({2, 5, 5, 8}, "dy"), m = numbers({8, 8}, "m");
  /// Each op that has an arithmetic of its own.
  const std::vector<std::pair<const char*, std::function<Tensor(std::optional<Math>)>>> ops{
      {"conv", [this](auto math) { return conv(x, w, {}, {.math = math}); }},
      {"conv_transpose", [this](auto math) { return conv_transpose(x, w, {}, {.math = math}); }},
      {"conv_backward_input",
       [this](auto math) { return conv_backward_input(dy, w, x.shape(), {.math = math}); }},
      {"conv_backward_filter",
       [this](auto math) { return conv_backward_filter(x, dy, w.shape(), {.math = math}); }},
      {"conv_batch_norm_inference",
       [this](auto math) {
         const Tensor zero = zeros({8}, {DType::f32, device}), one = ones({8}, {DType::f32, device});
         return conv_batch_norm_inference(x, w, {}, {{}, {}, zero, one, 1e-5}, {.math = math});
       }},
      {"linear", [this](auto math) { return linear(x, m, {}, math); }},
      {"matmul", [this](auto math) { return matmul(m, m, false, true, math); }}};
};

TEST_F(FastScope, ACallsOwnStandsBeforeTheScopes) {
  for (const auto& [name, op] : ops) {
    const Tensor exact = op({});
    {
      const ServedCalls calls;
      EXPECT_FALSE(equal_bits(op(Math::fast_bf16), exact)) << name << ": rounding must show";
      EXPECT_EQ(served(calls).exact, 0) << name;
      EXPECT_EQ(served(calls).fast, 1) << name;
      EXPECT_EQ(current_math(), Math::exact) << name << " left its arithmetic behind";
    }
    const MathScope fast(Math::fast);
    const ServedCalls calls;
    EXPECT_TRUE(equal_bits(op(Math::exact), exact)) << name;
    EXPECT_EQ(served(calls).fast, 0) << name;
    op({});
    EXPECT_EQ(served(calls).fast, 1) << name;
  }
}

TEST_F(FastScope, GradientsKeepTheCallsOwn) {
  for (const bool fast : {true, false}) {
    const MathScope around(fast ? Math::exact : Math::fast);
    const Math own = fast ? Math::fast_bf16 : Math::exact;
    Tensor x0 = x.clone(), w0 = w.clone(), m0 = m.clone();
    for (Tensor* t : {&x0, &w0, &m0}) t->set_requires_grad();
    const Tensor y = conv(x0, w0, {}, {.activation = Activate::gelu, .math = own});
    const Tensor z = linear(matmul(y, m0, false, false, own), m0, {}, own);
    const ServedCalls calls;
    const Tensor dx = grad(sum(square(z)), {x0}, {}, {.create_graph = true})[0];
    sum(square(dx)).backward();
    const Served s = served(calls);
    EXPECT_GT(fast ? s.fast : s.exact, 8) << fast;
    EXPECT_EQ(fast ? s.exact : s.fast, 0) << fast;
  }
}

struct Pass {
  Served forward, backward;
  Tensor y;
  std::vector<Tensor> gradients;
};
Pass pass(const nn::Layer& net, const Tensor& x, Math around) {
  Pass r;
  const MathScope scope(around);
  Tensor loss;
  {
    const ServedCalls calls;
    r.y = net(x);
    loss = sum(square(r.y));
    r.forward = served(calls);
  }
  const ServedCalls calls;
  r.gradients = grad(loss, net.parameters());
  r.backward = served(calls);
  return r;
}

TEST_F(FastScope, ANetworkRunsInItsOwnWhateverTheScope) {
  const nn::Sequential inner{nn::Conv2D(8, 3), nn::BatchNorm(), nn::ReLU()};
  const nn::Sequential net{nn::Conv2D(8, 3), inner, nn::ConvTranspose2D(4, 2), nn::Flatten(), nn::Linear(5)};
  net.build({7, 7, 8}, device, Seed{1});
  EXPECT_EQ(net.math(), std::nullopt);
  const Pass plain = pass(net, x, Math::exact);
  EXPECT_EQ(plain.forward.fast + plain.backward.fast, 0);

  net.set_math(Math::exact);
  const Pass kept = pass(net, x, Math::fast_bf16);
  EXPECT_EQ(kept.forward.fast + kept.backward.fast, 0);
  EXPECT_TRUE(equal_bits(kept.y, plain.y));
  for (std::size_t i = 0; i < plain.gradients.size(); ++i)
    EXPECT_TRUE(equal_bits(kept.gradients[i], plain.gradients[i])) << i;

  net.set_math(Math::fast);
  const Pass fast = pass(net, x, Math::exact);
  EXPECT_EQ(fast.forward.exact + fast.backward.exact, 0);
  EXPECT_EQ(fast.forward.fast, 4);
  EXPECT_EQ(fast.backward.fast, plain.backward.exact);
  EXPECT_EQ(current_math(), Math::exact);

  inner.set_math(Math::exact);
  const Pass mixed = pass(net, x, Math::fast);
  EXPECT_EQ(mixed.forward.exact, 1);
  EXPECT_EQ(mixed.forward.fast, 3);
  EXPECT_EQ(mixed.backward.exact, 2);

  // In evaluation the convolution computes the norm and the ReLU behind it: in its own arithmetic too.
  net.eval();
  const ServedCalls calls;
  net(x);
  EXPECT_EQ(served(calls).exact, 1);
  EXPECT_EQ(served(calls).fast, 3);

  net.set_math({});
  inner.set_math({});
  net.train();
  const Pass again = pass(net, x, Math::fast);
  EXPECT_EQ(again.forward.exact + again.backward.exact, 0) << "the scope's again";
}

}  // namespace
}  // namespace isobit::parity
