// Fast mode: within its bound on every device that has it; asked for, never chosen; and the gradients run in
// the arithmetic of the forward pass.
#include <gtest/gtest.h>
#include <isobit/algorithms.h>
#include <isobit/arithmetic.h>
#include <isobit/autograd.h>
#include <isobit/nn.h>
#include <isobit/ops.h>
#include <isobit/optim.h>
#include <isobit/verify_fast.h>

#include <thread>

#include "core/fast_algorithms.h"
#include "core/variants.h"
#include "tests/parity/report.h"
#include "tests/support/forwarding.h"

namespace isobit::parity {
namespace {

constexpr const char* kKernels[] = {"matmul", "conv_forward", "conv_backward_input", "conv_backward_filter"};
/// Fast algorithms that are there by name alone.
constexpr const char* kByName[] = {"max_pool", "max_pool_backward", "avg_pool", "avg_pool_backward",
                                   "norm",     "norm_backward"};

bool is_fast(const std::string& algorithm) {
  return algorithm.starts_with("tensor_cores") || algorithm == "cublaslt" || algorithm == "cudnn" ||
         algorithm.starts_with("amx");
}

/// Calls of each kernel that a fast algorithm served, and others.
struct Served {
  std::int64_t fast = 0, exact = 0;
};
Served served(const ServedCalls& calls, const std::string& kernel) {
  Served s;
  for (const auto& [what, count] : calls.counts())
    if (what.first == kernel) (is_fast(what.second) ? s.fast : s.exact) += count;
  return s;
}

Tensor numbers(const Shape& shape, const char* stream, Device device, DType dtype = DType::f32) {
  return random_normal(shape, random_key(Seed{3}, stream), 0, 1).to(dtype).to(device);
}

class Fast : public testing::Test {
 protected:
  const Device device = Device::simt();
  const Tensor x = numbers({2, 9, 9, 8}, "x", device), w = numbers({3, 3, 8, 16}, "w", device),
               b = numbers({16}, "b", device);
};

TEST_F(Fast, EveryAlgorithmKeepsTheBoundAndTheBoundTells) {
  verify::Options options;
  options.devices = {Device::cpu(), device};
  options.full = is_long();
  options.choose = chosen_problems();
  if (options.choose)  // of pooling there are few, with fewer of whole numbers
    options.choose = [part = options.choose](const std::string& problem) {
      return part(problem) || problem.find("_pool") != std::string::npos;
    };
  const verify::FastReport report = verify::run_fast(options);
  for (const verify::Difference& d : report.failures) ADD_FAILURE() << d.to_string();
  EXPECT_TRUE(report.ok());
  EXPECT_EQ(report.blind, 0);
  EXPECT_TRUE(report.without.empty());
  std::vector<std::string> kernels(std::begin(kKernels), std::end(kKernels));
  kernels.insert(kernels.end(), std::begin(kByName), std::end(kByName));
  for (const std::string& kernel : kernels)
    for (const std::string& algorithm : fast_algorithms(device, kernel)) {
      std::int64_t elements = 0;
      for (const verify::FastTally& t : report.tallies)
        if (t.kernel == kernel && t.algorithm == algorithm) elements += t.elements;
      EXPECT_GT(elements, 0) << kernel << " by " << algorithm;
    }
  ASSERT_FALSE(report.tallies.empty());
  for (const verify::FastTally& t : report.tallies) {
    EXPECT_LE(t.largest, 1);
    // Thirds of whole numbers are rounded, and roots of nearly all.
    EXPECT_GE(t.integer_problems, t.kernel.starts_with("norm")       ? 0
                                  : t.kernel.starts_with("avg_pool") ? 1
                                                                     : t.problems);
    if (t.elements < 1000) continue;  // of few, chance may choose such as tell nothing
    if (t.kernel != "max_pool") {
      EXPECT_GT(t.largest, 0) << "rounding must show: " << t.kernel << " " << t.algorithm;
    }
    EXPECT_GT(t.zeros_refused, 0.8) << t.kernel << " " << name_of(t.math) << " " << name_of(t.dtype);
    EXPECT_GT(t.missing_refused, 0.3) << t.kernel << " " << name_of(t.math) << " " << name_of(t.dtype);
  }
}

// Forgets the last row of dw, or leaves y unwritten where it is asked to be fast.
class Lazy final : public test::Forwarding, public HasFastAlgorithms {
 public:
  Lazy() : Forwarding("lazy-fast", backend(Device::cpu())) {}
  std::vector<std::string> fast_algorithms(std::string_view kernel) const override {
    if (kernel == "conv_forward" || kernel == "conv_backward_filter") return {"lazy"};
    return {};
  }
  void force_algorithm(std::string_view, std::string_view) override {}
  void conv_forward(const ConvGeometry&, ConstView, ConstView, const Epilogue&, View y) override {
    fill(y, Scalar(0.0));
  }
  void conv_backward_filter(const ConvGeometry& g, ConstView x, ConstView dy, View dw) override {
    Forwarding::conv_backward_filter(g, x, dy, dw);
    fill({static_cast<char*>(dw.data) + (dw.numel - 1) * size_of(dw.dtype), dw.dtype, 1}, Scalar(0.0));
  }
};

TEST_F(Fast, ZerosAndMissingSumsAreBeyondTheBound) {
  static const Device lazy = register_backend(std::make_unique<Lazy>());
  for (const char* kernel : {"conv_forward", "conv_backward_filter"}) {
    verify::Options options;
    options.devices = {lazy};
    options.kernels = {kernel};
    options.only = "small.txt";
    const verify::FastReport report = verify::run_fast(options);
    EXPECT_FALSE(report.ok()) << kernel;
    EXPECT_GT(report.beyond, 0) << kernel;
    EXPECT_GT(report.integer_different, 0) << kernel;
    EXPECT_FALSE(report.failures.empty()) << kernel;
  }
}

TEST_F(Fast, IsNeverChosenUnasked) {
  const ServedCalls calls;
  conv(x, w, b);
  matmul(w.reshape({72, 16}), w.reshape({16, 72}));
  EXPECT_EQ(served(calls, "conv_forward").fast, 0);
  EXPECT_EQ(served(calls, "matmul").fast, 0);
  for (const char* kernel : kKernels)
    for (const std::string& algorithm : algorithms(device, kernel)) EXPECT_FALSE(is_fast(algorithm));
}

TEST_F(Fast, IsChosenInItsScopeAndThreadAlone) {
  EXPECT_EQ(current_math(), Math::exact);
  const ServedCalls calls;
  {
    const MathScope fast(Math::fast);
    conv(x, w, b);
    {
      const MathScope exact(Math::exact);
      conv(x, w, b);
    }
    EXPECT_EQ(current_math(), Math::fast);
    std::thread([&] {
      EXPECT_EQ(current_math(), Math::exact);
      conv(x, w, b);
    }).join();
  }
  EXPECT_EQ(current_math(), Math::exact);
  EXPECT_EQ(served(calls, "conv_forward").fast, 1);
  EXPECT_EQ(served(calls, "conv_forward").exact, 2);
}

TEST_F(Fast, AForcedFastAlgorithmRefusesExactCalls) {
  const ForcedAlgorithm forced(device, "conv_forward", "tensor_cores");
  try {
    conv(x, w, b);
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("exact arithmetic was asked for"), std::string::npos)
        << error.what();
  }
  const MathScope fast(Math::fast);
  conv(x, w, b);
}

TEST_F(Fast, GradientsRunInTheArithmeticOfTheForwardPass) {
  for (const bool fast_forward : {true, false}) {
    Tensor x0 = x.clone(), w0 = w.clone(), m0 = numbers({16, 5}, "m", device);
    for (Tensor* t : {&x0, &w0, &m0}) t->set_requires_grad();
    Tensor loss;
    {
      const MathScope scope(fast_forward ? Math::fast_bf16 : Math::exact);
      loss = sum(matmul(conv(x0, w0, b).reshape({2 * 49, 16}), m0));
    }
    const ServedCalls calls;
    const MathScope other(fast_forward ? Math::exact : Math::fast);
    loss.backward();
    for (const char* kernel : {"conv_backward_input", "conv_backward_filter", "matmul"}) {
      const Served s = served(calls, kernel);
      EXPECT_EQ(fast_forward ? s.exact : s.fast, 0) << kernel << " " << fast_forward;
      EXPECT_GT(fast_forward ? s.fast : s.exact, 0) << kernel << " " << fast_forward;
    }
  }
}

TEST_F(Fast, SecondDerivativesToo) {
  Tensor x0 = x.clone(), w0 = w.clone();
  x0.set_requires_grad();
  w0.set_requires_grad();
  Tensor y;
  {
    const MathScope fast(Math::fast);
    y = sum(square(conv(x0, w0)));
  }
  const Tensor dx = grad(y, {x0}, {}, {.create_graph = true})[0];
  const ServedCalls calls;
  grad(sum(square(dx)), {w0});
  std::int64_t fast = 0;
  for (const char* kernel : kKernels) {
    EXPECT_EQ(served(calls, kernel).exact, 0) << kernel;
    fast += served(calls, kernel).fast;
  }
  EXPECT_GE(fast, 3);
}

TEST_F(Fast, BiasAndActivationFollowTheSameSum) {
  const MathScope fast(Math::fast);
  const Tensor plain = conv(x, w);
  for (const Activate activation : {Activate::none, Activate::relu, Activate::gelu}) {
    const Tensor expected = plain + b;
    const Tensor y = conv(x, w, b, {.activation = activation});
    const Tensor after = activation == Activate::relu   ? relu(expected)
                         : activation == Activate::gelu ? gelu(expected)
                                                        : expected;
    EXPECT_TRUE(equal_bits(y, after)) << static_cast<int>(activation);
  }
}

TEST_F(Fast, DiffersFromExactWhereItRounds) {
  const Tensor exact = conv(x, w, b);
  for (const Math math : {Math::fast, Math::fast_f16, Math::fast_bf16}) {
    const MathScope scope(math);
    EXPECT_FALSE(equal_bits(conv(x, w, b), exact)) << name_of(math);
  }
  const Tensor xd = x.to(DType::f64), wd = w.to(DType::f64);
  const Tensor wide = conv(xd, wd);
  const MathScope fast(Math::fast);
  EXPECT_TRUE(equal_bits(conv(xd, wd), wide)) << "f64 stays exact";
  if (why_no_fast_mode(Device::cpu()).empty()) return;
  const Tensor on_cpu = conv(x.to(Device::cpu()), w.to(Device::cpu()), b.to(Device::cpu()));
  EXPECT_TRUE(equal_bits(on_cpu, exact.to(Device::cpu()))) << "this CPU has no fast mode";
}

TEST_F(Fast, GivesTheSameBitsInEveryOrderOfExecution) {
  const MathScope fast(Math::fast);
  const Tensor first = conv(x, w, b);
  auto* ways = dynamic_cast<HasVariants*>(&backend(device));
  ASSERT_NE(ways, nullptr);
  for (const std::string& variant : ways->variants()) {
    ways->set_variant(variant);
    EXPECT_TRUE(equal_bits(conv(x, w, b), first)) << variant;
  }
  ways->set_variant("");
}

TEST_F(Fast, NanAndInfinityShowAtTheBorderToo) {
  Tensor poisoned = w.to(Device::cpu()).clone();
  poisoned.mutable_data<float>()[0] =
      std::numeric_limits<float>::quiet_NaN();  // tap (0, 0): outside at the corner
  const MathScope fast(Math::fast);
  const auto y = conv(x, poisoned.to(device), {}, {.padding = Same}).to(Device::cpu()).to_vector<float>();
  EXPECT_TRUE(std::isnan(y[0]));
  EXPECT_FALSE(std::isnan(y[1]));
}

TEST_F(Fast, ANetworkLearns) {
  nn::Sequential net{nn::Conv2D(8, 3, {.padding = Same}), nn::ReLU(), nn::Flatten(), nn::Linear(4)};
  net.build({6, 6, 4}, device, Seed{1});
  const Tensor images = numbers({16, 6, 6, 4}, "images", device);
  std::vector<std::int64_t> classes;
  for (std::int64_t i = 0; i < 16; ++i) classes.push_back(i % 4);
  const Tensor labels = from_vector(classes, {16}).to(device);
  optim::SGD sgd(net.parameters(), {.lr = 0.1});
  const MathScope fast(Math::fast_bf16);
  const ServedCalls calls;
  double first = 0, last = 0;
  for (int step = 0; step < 12; ++step) {
    Tensor loss = cross_entropy(net(images), labels);
    net.zero_grad();
    loss.backward();
    sgd.step();
    last = loss.item();
    if (step == 0) first = last;
  }
  EXPECT_LT(last, first / 2);
  EXPECT_GT(served(calls, "conv_backward_filter").fast, 0);
}

}  // namespace
}  // namespace isobit::parity
