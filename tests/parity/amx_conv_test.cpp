// The three convolutions on the emulated tile unit, hostile shapes among them: within their bound, the same
// bits with any number of threads, and with what follows the sum as the separate ops do it.
#include <gtest/gtest.h>
#include <isobit/algorithms.h>
#include <isobit/autograd.h>
#include <isobit/ops.h>
#include <isobit/verify_fast.h>

#include <cmath>
#include <functional>
#include <limits>

namespace isobit::parity {
namespace {

Tensor numbers(const Shape& shape, const char* stream, DType dtype = DType::f32) {
  return random_normal(shape, random_key(Seed{6}, stream), 0, 1).to(dtype);
}

struct Case {
  const char* name;
  Shape x, w;
  ConvOptions options;
};
std::vector<Case> cases() {
  return {{"wide", {2, 9, 8, 64}, {3, 3, 64, 70}, {.padding = Same}},
          {"no samples", {0, 9, 8, 4}, {3, 3, 4, 5}, {}},
          {"one channel, one filter", {3, 11, 7, 1}, {5, 2, 1, 1}, {}},
          {"odd everything, stride, dilation", {2, 13, 9, 7}, {3, 2, 7, 33}, {.stride = 2, .dilation = 2}},
          {"more stride than filter", {1, 9, 9, 5}, {1, 1, 5, 6}, {.stride = 3}},
          {"groups", {2, 6, 6, 12}, {3, 3, 4, 9}, {.padding = Same, .groups = 3}},
          {"groups of 32", {2, 7, 7, 64}, {3, 3, 32, 40}, {.stride = 2, .padding = Same, .groups = 2}},
          {"96 channels", {1, 5, 6, 96}, {3, 3, 96, 20}, {.padding = Same, .mode = PadMode::replicate}},
          {"reflected", {2, 6, 5, 3}, {3, 3, 3, 4}, {.padding = Same, .mode = PadMode::reflect}},
          {"wound around", {1, 7, 17}, {3, 17, 16}, {.padding = Same, .mode = PadMode::circular}},
          {"volume", {1, 4, 5, 6, 3}, {2, 3, 2, 3, 8}, {.padding = Same}}};
}

struct Direction {
  const char* kernel;
  std::function<Tensor(const Case&, const Tensor& x, const Tensor& w, const Tensor& dy)> call;
};
const std::vector<Direction>& directions() {
  static const std::vector<Direction> all{
      {"conv_forward", [](const Case& c, const Tensor& x, const Tensor& w,
                          const Tensor&) { return conv(x, w, {}, c.options); }},
      {"conv_backward_input", [](const Case& c, const Tensor&, const Tensor& w,
                                 const Tensor& dy) { return conv_backward_input(dy, w, c.x, c.options); }},
      {"conv_backward_filter", [](const Case& c, const Tensor& x, const Tensor&, const Tensor& dy) {
         return conv_backward_filter(x, dy, c.w, c.options);
       }}};
  return all;
}

class AmxConv : public testing::Test {
 protected:
  void TearDown() override { set_threads(threads_); }

 private:
  int threads_ = threads();
};

TEST_F(AmxConv, KeepsTheBoundOfEveryShapeWithAnyNumberOfThreads) {
  for (const Case& c : cases())
    for (const DType dtype : {DType::f32, DType::bf16, DType::f16})
      for (const Direction& d : directions()) {
        const Tensor x = numbers(c.x, "x", dtype), w = numbers(c.w, "w", dtype),
                     dy = numbers(conv(x, w, {}, c.options).shape(), "dy", dtype);
        const verify::FastSums sums =
            verify::fast_sums([&](const auto& map) { return d.call(c, map(x), map(w), map(dy)); });
        const ForcedAlgorithm forced(Device::cpu(), d.kernel, "amx_emulated");
        for (const Math math : {Math::fast, Math::fast_bf16}) {
          if (dtype != DType::f32 && math != Math::fast) continue;  // the same
          const MathScope fast(math);
          set_threads(1);
          const Tensor one = d.call(c, x, w, dy);
          // A gradient whose padding folds is stored in parts: isobit verify takes that into its bound.
          const bool folds = c.options.mode.value[0] != PadMode::constant && dtype != DType::f32;
          if (!folds || std::string(d.kernel) != "conv_backward_input") {
            EXPECT_LE(verify::share_of_bound(one, sums, math, Device::cpu()), 1)
                << c.name << " " << d.kernel << " " << name_of(dtype) << " " << name_of(math);
          }
          for (const int threads : {2, 5}) {
            set_threads(threads);
            EXPECT_TRUE(equal_bits(d.call(c, x, w, dy), one)) << c.name << " " << d.kernel << " " << threads;
          }
        }
      }
}

TEST_F(AmxConv, BiasAndActivationFollowTheSameSum) {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    const Tensor x = numbers({2, 7, 7, 40}, "x", dtype), w = numbers({3, 3, 40, 50}, "w", dtype),
                 b = numbers({50}, "b", dtype);
    const ForcedAlgorithm forced(Device::cpu(), "conv_forward", "amx_emulated");
    const MathScope fast(Math::fast);
    const Tensor plain = conv(x, w, b);
    if (dtype == DType::f32) {
      EXPECT_TRUE(equal_bits(plain, conv(x, w) + b));
    }
    EXPECT_TRUE(equal_bits(conv(x, w, b, {.activation = Activate::relu}), relu(plain)));
    EXPECT_TRUE(equal_bits(conv(x, w, b, {.activation = Activate::gelu}), gelu(plain)));
  }
}

TEST_F(AmxConv, NaNAndInfinityShowAtTheBorderToo) {
  const Tensor x = numbers({1, 6, 6, 34}, "x");
  Tensor w = numbers({3, 3, 34, 20}, "w");
  w.mutable_data<float>()[0] = std::numeric_limits<float>::quiet_NaN();  // tap (0, 0): outside at the corner
  w.mutable_data<float>()[1] = std::numeric_limits<float>::infinity();
  const ForcedAlgorithm forced(Device::cpu(), "conv_forward", "amx_emulated");
  for (const Math math : {Math::fast, Math::fast_bf16}) {
    const std::vector<float> y = conv(x, w, {}, {.padding = Same, .math = math}).to_vector<float>();
    for (std::size_t p = 0; p < 36; ++p) {
      EXPECT_TRUE(std::isnan(y[20 * p])) << p;
      const bool border = p < 6 || p % 6 == 0;
      EXPECT_TRUE(border ? std::isnan(y[20 * p + 1]) : std::isinf(y[20 * p + 1])) << p << " 0 * inf";
      EXPECT_TRUE(std::isfinite(y[20 * p + 2])) << p;
    }
  }
}

TEST_F(AmxConv, GradientsRunInTheArithmeticOfTheForwardPass) {
  Tensor x = numbers({2, 6, 6, 40}, "x"), w = numbers({3, 3, 40, 40}, "w");
  x.set_requires_grad();
  w.set_requires_grad();
  const ForcedAlgorithm forward(Device::cpu(), "conv_forward", "amx_emulated"),
      input(Device::cpu(), "conv_backward_input", "amx_emulated"),
      filter(Device::cpu(), "conv_backward_filter", "amx_emulated");
  Tensor y;
  {
    const MathScope fast(Math::fast);
    y = sum(square(conv(x, w)));
  }
  const ServedCalls calls;
  y.backward();  // would be refused in exact arithmetic
  std::int64_t served = 0;
  for (const auto& [what, count] : calls.counts()) served += what.second == "amx_emulated" ? count : 0;
  EXPECT_EQ(served, 2);
}

}  // namespace
}  // namespace isobit::parity
