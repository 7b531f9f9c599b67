// Fast mode's pooling by cuDNN: by name alone, maxima and their places as exact arithmetic has them, engines
// that race left out, every failure an error.
#include <isobit/autograd.h>

#include <array>
#include <limits>

#include "tests/simt/cudnn_support.h"

namespace isobit {
namespace {

constexpr const char* kKernels[] = {"max_pool", "max_pool_backward", "avg_pool", "avg_pool_backward"};

/// Small whole numbers: most windows have several maxima.
Tensor ties(const Shape& shape, DType dtype = DType::f32) {
  return random_uniform(shape, random_key(Seed{6}, "ties"), 0, 4).to(DType::i32).to(dtype).to(Device::simt());
}

class FastCudnnPool : public testing::Test {
 protected:
  ~FastCudnnPool() override { cudnn_plant(0, emulator::CUDNN_STATUS_SUCCESS); }

  const Device device = Device::simt();
  const MathScope fast{Math::fast};
  const ForcedAlgorithm forced[4]{{device, kKernels[0], "cudnn"},
                                  {device, kKernels[1], "cudnn"},
                                  {device, kKernels[2], "cudnn"},
                                  {device, kKernels[3], "cudnn"}};
};

TEST(FastPool, IsServedByNameAlone) {
  const MathScope fast(Math::fast);
  const Tensor x = ties({2, 8, 8, 4});
  const ServedCalls calls;
  max_pool(x, 2);
  avg_pool(x, 2);
  for (const auto& [what, count] : calls.counts()) EXPECT_NE(what.second, "cudnn") << what.first;
  for (const char* kernel : kKernels) {
    EXPECT_EQ(fast_algorithms(Device::simt(), kernel), std::vector<std::string>{"cudnn"});
    EXPECT_EQ(algorithms(Device::simt(), kernel), std::vector<std::string>{"grid"});
  }
}

struct Windows {
  const char* what;
  Shape x;
  PerAxis window;
  PoolOptions options;
};
std::vector<Windows> windows() {
  return {{"side by side", {2, 8, 8, 4}, 2, {}},
          {"overlapping, padded", {2, 9, 9, 5}, 3, {.stride = 2, .padding = 1}},
          {"a last one that begins in the padding", {2, 8, 7, 3}, 3, {.stride = 2, .ceil_mode = true}},
          {"along one axis", {3, 20, 6}, 4, {.stride = 3, .padding = Padding({{2, 1}})}},
          {"of three axes", {2, 5, 4, 6, 9}, {2, 2, 3}, {.stride = PerAxis{2, 1, 2}}},
          {"of 400 taps", {1, 24, 24, 2}, 20, {.stride = 2}}};
}

TEST_F(FastCudnnPool, MaximaAndTheirPlacesAreThoseOfExactArithmetic) {
  for (const DType dtype : {DType::f32, DType::f16, DType::bf16})
    for (const Windows& w : windows()) {
      const Tensor x = ties(w.x, dtype);
      const MaxPoolResult got = max_pool_with_indices(x, w.window, w.options),
                          expected = max_pool_with_indices(x.to(Device::cpu()), w.window, w.options);
      EXPECT_TRUE(equal_bits(got.y.to(Device::cpu()), expected.y)) << w.what << " " << name_of(dtype);
      EXPECT_TRUE(equal_bits(got.index.to(Device::cpu()), expected.index)) << w.what << " " << name_of(dtype);
    }
}

TEST_F(FastCudnnPool, GradientsOfWholeNumbersAreThoseOfExactArithmetic) {
  for (const Windows& w : windows()) {
    const auto gradients = [&](Device on) {
      Tensor x = ties(w.x).to(on);
      x.set_requires_grad();
      const Tensor y = max_pool(x, w.window, w.options);
      const Tensor dx = grad(sum(square(y)), {x}, {}, {.create_graph = true})[0];
      return std::array{dx.detach().to(Device::cpu()), grad(sum(square(dx)), {x})[0].to(Device::cpu())};
    };
    const auto got = gradients(device), expected = gradients(Device::cpu());
    EXPECT_TRUE(equal_bits(got[0], expected[0])) << w.what;
    EXPECT_TRUE(equal_bits(got[1], expected[1])) << w.what << ", second";
  }
}

TEST_F(FastCudnnPool, WhereNothingIsGreaterThanThePaddingTheFirstRealPlaceIsNamed) {
  const Tensor lowest = full({1, 4, 4, 1}, -std::numeric_limits<double>::infinity(), {.device = device});
  const MaxPoolResult got = max_pool_with_indices(lowest, 3, {.stride = 2, .padding = 1});
  EXPECT_EQ(got.index.to(Device::cpu()).to_vector<std::int64_t>(), (std::vector<std::int64_t>{0, 1, 4, 5}));
  EXPECT_TRUE(
      equal_bits(got.y, full({1, 2, 2, 1}, -std::numeric_limits<double>::infinity(), {.device = device})));
}

TEST_F(FastCudnnPool, ANanWins) {
  std::vector<float> values(16, 1);
  values[5] = std::numeric_limits<float>::quiet_NaN();
  const Tensor x = from_vector(values, {1, 4, 4, 1}).to(device);
  const MaxPoolResult got = max_pool_with_indices(x, 2);
  EXPECT_TRUE(std::isnan(got.y.to(Device::cpu()).to_vector<float>()[0]));
  EXPECT_EQ(got.index.to(Device::cpu()).to_vector<std::int64_t>(), (std::vector<std::int64_t>{5, 2, 8, 10}));
  EXPECT_TRUE(std::isnan(avg_pool(x, 2).to(Device::cpu()).to_vector<float>()[0]));
}

TEST_F(FastCudnnPool, LeavesOutEnginesThatRace) {
  Tensor x = numbers({2, 9, 9, 8}, "x");
  x.set_requires_grad();
  const Tensor y = avg_pool(x, 3, {.stride = 2});
  EXPECT_EQ(cudnn_counts().engine, CudnnEngine::tiles);
  sum(y).backward();
  EXPECT_EQ(cudnn_counts().engine, CudnnEngine::tiles) << "racing is advised first";
}

TEST_F(FastCudnnPool, GradientsRunInTheArithmeticOfTheForwardPass) {
  Tensor x = ties({2, 8, 8, 4});
  x.set_requires_grad();
  const Tensor loss = sum(max_pool(x, 2)) + sum(avg_pool(x, 2));
  const MathScope exact(Math::exact);
  const ServedCalls calls;
  loss.backward();
  EXPECT_EQ((calls.counts().at({"max_pool_backward", "cudnn"})), 1);
  EXPECT_EQ((calls.counts().at({"avg_pool_backward", "cudnn"})), 1);
}

TEST_F(FastCudnnPool, SearchesOnceForEachProblem) {
  const Tensor x = ties({2, 8, 14, 4});
  avg_pool(x, 2);
  const int searches = cudnn_counts().searches, descriptors = cudnn_counts().descriptors;
  avg_pool(x, 2);
  EXPECT_EQ(cudnn_counts().searches, searches);
  EXPECT_EQ(cudnn_counts().descriptors, descriptors) << "a call leaves nothing behind";
  for (const auto& run : std::vector<std::function<void()>>{
           [&] { avg_pool(x, 2, {.padding = 1}); },
           [&] { avg_pool(x, 2, {.padding = 1, .count_include_pad = true}); }, [&] { max_pool(x, 2); },
           [&] { avg_pool(x.to(DType::f16), 2); }, [&] { avg_pool(x, 2, {.stride = 1}); }}) {
    const int before = cudnn_counts().searches;
    run();
    EXPECT_GT(cudnn_counts().searches, before);
  }
}

TEST_F(FastCudnnPool, EveryFailingCallIsAnErrorThatNamesItAndNothingIsLeft) {
  const auto each = [&](const char* op, int passed, const std::function<std::function<void()>(int)>& make) {
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
                  says(text, "CUDNN_STATUS_INTERNAL_ERROR (planted), for mb1ic2ih") &&
                  says(text, "f32, fast"))
          << text;
      const bool planned = says(text, "variant pack") || says(text, "SetStream") || says(text, "Execute");
      EXPECT_TRUE(planned || cudnn_counts().descriptors == before) << text;
    }
    EXPECT_GT(failed, 50) << op;
    EXPECT_EQ(passed_over, passed) << op;
  };
  // Passed over is the plan of tiles: lanes serves.
  each("max_pool", 1, [](int call) { return [x = ties({1, 4 + call, 4, 2})] { max_pool(x, 2); }; });
  each("avg_pool", 1, [](int call) { return [x = ties({1, 4 + call, 4, 2})] { avg_pool(x, 2); }; });
  const auto gradient = [](Tensor x, const std::function<Tensor(const Tensor&)>& pool) {
    x.set_requires_grad();
    return [loss = sum(pool(x)), x] { grad(loss, {x}); };
  };
  each("max_pool_backward", 1, [&](int call) {
    return gradient(ties({1, 4 + call, 4, 2}), [](const Tensor& x) { return max_pool(x, 2); });
  });
  each("avg_pool_backward", 1, [&](int call) {
    return gradient(ties({1, 4 + call, 4, 2}), [](const Tensor& x) { return avg_pool(x, 2); });
  });
}

TEST_F(FastCudnnPool, RefusesWithAReason) {
  const Tensor x = ties({1, 7, 7, 2});
  const auto reason = [&](const char* what, const std::function<void()>& run) {
    const std::string text = message_of(run);
    EXPECT_TRUE(says(text, what)) << what << ": " << text;
  };
  reason("windows are all of one size", [&] { adaptive_max_pool(x, 3); });
  reason("windows are all of one size", [&] { adaptive_avg_pool(x, 3); });
  reason("windows are not dilated", [&] { max_pool(x, 2, {.dilation = 2}); });
  reason("does not add up alone", [&] { sum_pool(x, 2); });
  reason("exceeds the padding that counts",
         [&] { avg_pool(x, 2, {.ceil_mode = true, .count_include_pad = true}); });
  reason("f64 stays exact", [&] { max_pool(x.to(DType::f64), 2); });
  reason("no empty tensors", [&] { max_pool(zeros({0, 4, 4, 2}, {.device = device}), 2); });
  reason("exact arithmetic was asked for", [&] {
    const MathScope exact(Math::exact);
    avg_pool(x, 2);
  });
  cudnn_plant(0, emulator::CUDNN_STATUS_NOT_SUPPORTED);
  reason("max_pool: cudnnBackendCreateDescriptor(tensor x) failed", [&] { max_pool(ties({1, 6, 6, 3}), 2); });
}

}  // namespace
}  // namespace isobit
