// Fast mode's norms by cuDNN: by name alone, near exact arithmetic (core/verify/fast_norms.cpp has the
// bound), every failure an error.
#include <isobit/autograd.h>

#include <cmath>

#include "tests/simt/cudnn_support.h"

namespace isobit {
namespace {

class FastCudnnNorm : public testing::Test {
 protected:
  ~FastCudnnNorm() override { cudnn_plant(0, emulator::CUDNN_STATUS_SUCCESS); }

  const Device device = Device::simt();
  const MathScope fast{Math::fast};
  const ForcedAlgorithm forward{device, "norm", "cudnn"}, backward{device, "norm_backward", "cudnn"};
};

double furthest(const Tensor& a, const Tensor& b) {
  const std::vector<double> x = a.to(Device::cpu()).to(DType::f64).to_vector<double>(),
                            y = b.to(Device::cpu()).to(DType::f64).to_vector<double>();
  double most = x.size() == y.size() ? 0 : 1;
  for (std::size_t i = 0; i < x.size() && i < y.size(); ++i) most = std::fmax(most, std::abs(x[i] - y[i]));
  return most;
}

TEST(FastNorm, IsServedByNameAlone) {
  const MathScope fast(Math::fast);
  Tensor x = numbers({4, 6, 6, 8}, "x");
  x.set_requires_grad();
  const ServedCalls calls;
  sum(batch_norm(x, {}, {}).y).backward();
  for (const auto& [what, count] : calls.counts()) EXPECT_NE(what.second, "cudnn") << what.first;
  EXPECT_EQ(fast_algorithms(Device::simt(), "norm"), std::vector<std::string>{"cudnn"});
  EXPECT_TRUE(algorithms(Device::simt(), "norm").empty()) << "exact arithmetic has a kernel for each half";
}

TEST_F(FastCudnnNorm, NormsBatchesRowsAndInstancesWithTheirGradients) {
  struct Kind {
    const char* what;
    std::function<Tensor(const Tensor&, const Tensor&, const Tensor&)> norm;
  };
  const Kind kinds[] = {
      {"batch", [](const Tensor& x, const Tensor& g, const Tensor& b) { return batch_norm(x, g, b).y; }},
      {"layer", [](const Tensor& x, const Tensor& g, const Tensor& b) { return layer_norm(x, g, b); }},
      {"instance", [](const Tensor& x, const Tensor& g, const Tensor& b) { return instance_norm(x, g, b); }}};
  for (const Kind& kind : kinds) {
    const auto both = [&](Device on) {
      Tensor x = numbers({4, 5, 3, 8}, "x").to(on), gamma = numbers({8}, "gamma").to(on);
      x.set_requires_grad();
      gamma.set_requires_grad();
      const Tensor y = kind.norm(x, gamma, numbers({8}, "beta").to(on)),
                   w = numbers({4, 5, 3, 8}, "w").to(on);
      const std::vector<Tensor> d = grad(sum(y * w), {x, gamma});
      return std::vector<Tensor>{y.detach(), d[0], d[1]};
    };
    const ServedCalls calls;
    const std::vector<Tensor> got = both(device);
    EXPECT_GE((calls.counts().at({"norm", "cudnn"})), 1) << kind.what;  // gradients of gamma norm again
    EXPECT_EQ((calls.counts().at({"norm_backward", "cudnn"})), 1) << kind.what;
    const std::vector<Tensor> expected = both(Device::cpu());
    for (std::size_t i = 0; i < got.size(); ++i) EXPECT_LT(furthest(got[i], expected[i]), 1e-4) << kind.what;
    EXPECT_FALSE(equal_bits(got[0].to(Device::cpu()), expected[0])) << "another order of sums";
  }
}

TEST_F(FastCudnnNorm, TheVarianceIsBiasedAndOfAConstantZero) {
  const BatchNormResult flat = batch_norm(full({4, 2, 2, 4}, 3.0, {.device = device}), {}, {});
  EXPECT_EQ(flat.variance.to(Device::cpu()).to_vector<float>(), std::vector<float>(4, 0));
  const Tensor x = numbers({3, 2, 2, 4}, "x");
  const BatchNormResult got = batch_norm(x, {}, {}), expected = batch_norm(x.to(Device::cpu()), {}, {});
  EXPECT_LT(furthest(got.variance, expected.variance), 1e-5) << "divided by 12, not by 11";
  EXPECT_LT(furthest(got.mean, expected.mean), 1e-6);
}

TEST_F(FastCudnnNorm, SearchesOnceForEachProblem) {
  const Tensor x = numbers({5, 6, 6, 8}, "x");
  batch_norm(x, {}, {});
  const int searches = cudnn_counts().searches, descriptors = cudnn_counts().descriptors;
  batch_norm(x, {}, {}, {.eps = 1e-3});
  EXPECT_EQ(cudnn_counts().searches, searches) << "eps is a number of the call";
  EXPECT_EQ(cudnn_counts().descriptors, descriptors) << "a call leaves nothing behind";
  batch_norm(x, numbers({8}, "g"), numbers({8}, "b"));
  EXPECT_GT(cudnn_counts().searches, searches);
}

TEST_F(FastCudnnNorm, EveryFailingCallIsAnErrorThatNamesItAndNothingIsLeft) {
  const auto each = [&](const char* op, const std::function<std::function<void()>(int)>& make) {
    int failed = 0, passed_over = 0;
    for (int call = 0; call < 1000; ++call) {
      const std::function<void()> run = make(call);  // a problem that has no plan yet
      const int before = cudnn_counts().descriptors;
      cudnn_plant(call, emulator::CUDNN_STATUS_INTERNAL_ERROR);
      const std::string text = message_of(run);
      if (!cudnn_plant(0, emulator::CUDNN_STATUS_SUCCESS)) break;
      if (text.empty()) {
        ++passed_over;
        continue;
      }
      ++failed;
      EXPECT_TRUE(says(text, (std::string(op) + ": cudnn").c_str()) &&
                  says(text, "CUDNN_STATUS_INTERNAL_ERROR (planted), for a") && says(text, "f32, fast"))
          << text;
      const bool planned = says(text, "variant pack") || says(text, "SetStream") || says(text, "Execute");
      EXPECT_TRUE(planned || cudnn_counts().descriptors == before) << text;
    }
    EXPECT_GT(failed, 60) << op;
    EXPECT_EQ(passed_over, 1) << op << ": the plan of tiles, and lanes serves";
  };
  const Tensor gamma = numbers({8}, "g"), beta = numbers({8}, "b");
  each("norm", [&](int call) {
    return [=, x = numbers({2 + call, 3, 1, 8}, "x")] { batch_norm(x, gamma, beta); };
  });
  each("norm_backward", [&](int call) {
    Tensor x = numbers({2 + call, 5, 1, 8}, "x");
    x.set_requires_grad();
    return [loss = sum(batch_norm(x, gamma, beta).y), x] { grad(loss, {x}); };
  });
}

TEST_F(FastCudnnNorm, RefusesWithAReason) {
  const Tensor x = numbers({2, 3, 3, 8}, "x"), g = numbers({8}, "g");
  const auto reason = [&](const char* what, const std::function<void()>& run) {
    const std::string text = message_of(run);
    EXPECT_TRUE(says(text, what)) << what << ": " << text;
  };
  reason("groups of several channels", [&] { group_norm(x, 2, {}, {}); });
  reason("scales and shifts, or does neither", [&] { batch_norm(x, g, {}); });
  reason("channels in runs of 16 bytes", [&] { batch_norm(numbers({2, 3, 3, 5}, "x"), {}, {}); });
  reason("f64 stays exact", [&] { batch_norm(x.to(DType::f64), {}, {}); });
  reason("no empty tensors", [&] { layer_norm(zeros({0, 8}, {.device = device}), {}, {}); });
  reason("exact arithmetic was asked for", [&] {
    const MathScope exact(Math::exact);
    layer_norm(x, {}, {});
  });
}

}  // namespace
}  // namespace isobit
