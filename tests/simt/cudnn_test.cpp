// Fast mode's convolutions by cuDNN: what the wrapper makes of the stand-in's engines, limits and failures.
#include "tests/simt/cudnn_support.h"

namespace isobit {
namespace {

class FastCudnn : public testing::Test {
 protected:
  ~FastCudnn() override { cudnn_plant(0, emulator::CUDNN_STATUS_SUCCESS); }

  const Device device = Device::simt();
  const MathScope fast{Math::fast};
  const ForcedAlgorithm forward{device, "conv_forward", "cudnn"},
      input{device, "conv_backward_input", "cudnn"}, filter{device, "conv_backward_filter", "cudnn"};
};

TEST_F(FastCudnn, TakesTheFirstEngineThatKeepsTheBoundAndTheWorkspace) {
  // Of 3 x 3 windows the stand-in advises Winograd first, then one that wants a gibibyte.
  conv(numbers({1, 8, 8, 16}, "x"), numbers({3, 3, 16, 8}, "w"), {}, {.padding = Same});
  EXPECT_EQ(cudnn_counts().engine, CudnnEngine::tiles);
  EXPECT_EQ(cudnn_counts().workspace, 8 * 8 * 8 * 4);
  conv(numbers({1, 8, 8, 5}, "x"), numbers({3, 3, 5, 7}, "w"), {}, {.padding = Same});
  EXPECT_EQ(cudnn_counts().engine, CudnnEngine::lanes) << "channels of no whole run";
  EXPECT_EQ(cudnn_counts().workspace, 0);
}

TEST_F(FastCudnn, SearchesOnceForEachProblem) {
  const Tensor x = numbers({2, 6, 6, 8}, "x"), w = numbers({3, 3, 8, 8}, "w"),
               wide = numbers({2, 6, 7, 8}, "x");
  const Tensor first = conv(x, w);
  const int searches = cudnn_counts().searches, executions = cudnn_counts().executions,
            descriptors = cudnn_counts().descriptors;
  EXPECT_TRUE(equal_bits(conv(x, w), first));
  EXPECT_EQ(cudnn_counts().searches, searches);
  EXPECT_EQ(cudnn_counts().executions, executions + 1);
  EXPECT_EQ(cudnn_counts().descriptors, descriptors) << "a call leaves nothing behind";
  const auto searched = [&](const std::function<void()>& run) {
    const int before = cudnn_counts().searches;
    run();
    return cudnn_counts().searches > before;
  };
  EXPECT_TRUE(searched([&] { conv(wide, w); })) << "another shape";
  EXPECT_TRUE(searched([&] { conv(x.to(DType::bf16), w.to(DType::bf16)); })) << "another type";
  EXPECT_TRUE(searched([&] {
    const MathScope other(Math::fast_f16);
    conv(x, w);
  })) << "another arithmetic";
  EXPECT_FALSE(searched([&] { conv(wide, w); }));
}

TEST_F(FastCudnn, EveryFailingCallIsAnErrorThatNamesItAndNothingIsLeft) {
  const Tensor w = numbers({3, 3, 8, 8}, "w");
  int failed = 0, passed_over = 0;
  for (int call = 0; call < 1000; ++call) {
    const Tensor x = numbers({1, 5 + call, 9, 8}, "x");  // a problem that has no plan yet
    const int before = cudnn_counts().descriptors;
    cudnn_plant(call, emulator::CUDNN_STATUS_INTERNAL_ERROR);
    const std::string text = message_of([&] { conv(x, w); });
    if (!cudnn_plant(0, emulator::CUDNN_STATUS_SUCCESS)) break;
    if (text.empty()) {  // an engine built no plan: the next one did
      ++passed_over;
      continue;
    }
    ++failed;
    EXPECT_TRUE(says(text, "conv_forward: cudnn") &&
                says(text, "CUDNN_STATUS_INTERNAL_ERROR (planted), for mb1g1ic8oc8ih") &&
                says(text, "f32, fast"))
        << text;
    // A plan may have been found before the call that failed.
    const bool planned = says(text, "variant pack") || says(text, "SetStream") || says(text, "Execute");
    EXPECT_TRUE(planned || cudnn_counts().descriptors == before) << text;
  }
  EXPECT_GT(failed, 60);
  EXPECT_EQ(passed_over, 2);  // the plans of greedy and tiles
  conv(numbers({1, 5, 9, 8}, "x"), w);
}

TEST_F(FastCudnn, AFailingExecutionIsAnErrorAndTheNextCallServes) {
  const Tensor x = numbers({1, 6, 9, 8}, "x"), w = numbers({3, 3, 8, 8}, "w");
  const Tensor y = conv(x, w);
  const int before = cudnn_counts().descriptors;
  int failed = 0;
  for (;; ++failed) {
    cudnn_plant(failed, emulator::CUDNN_STATUS_EXECUTION_FAILED);
    const std::string text = message_of([&] { conv(x, w); });
    if (!cudnn_plant(0, emulator::CUDNN_STATUS_SUCCESS)) break;
    EXPECT_TRUE(says(text, "CUDNN_STATUS_EXECUTION_FAILED")) << text;
    EXPECT_EQ(cudnn_counts().descriptors, before);
  }
  EXPECT_EQ(failed, 7);  // the pack, its three attributes and end, the stream, the execution
  EXPECT_TRUE(equal_bits(conv(x, w), y));
}

TEST_F(FastCudnn, RefusesWithAReason) {
  const Tensor x = numbers({1, 6, 6, 8}, "x"), w = numbers({3, 3, 8, 8}, "w");
  const auto reason = [&](const char* what, const std::function<void()>& run) {
    const std::string text = message_of(run);
    EXPECT_TRUE(says(text, what)) << what << ": " << text;
  };
  reason("cuDNN pads with zeros", [&] { conv(x, w, {}, {.padding = Same, .mode = PadMode::reflect}); });
  reason("groups of one channel", [&] { conv(x, numbers({3, 3, 1, 8}, "w"), {}, {.groups = 8}); });
  reason("f64 is not multiplied", [&] { conv(x.to(DType::f64), w.to(DType::f64)); });
  reason("rounded before and after the bias",
         [&] { conv(x.to(DType::f16), w.to(DType::f16), numbers({8}, "b", DType::f16)); });
  reason("exact arithmetic was asked for", [&] {
    const MathScope exact(Math::exact);
    conv(x, w);
  });
}

TEST_F(FastCudnn, WhatTheLibraryDoesNotSupportIsRefusedAndNotAskedAgain) {
  const Tensor w = numbers({3, 3, 8, 8}, "w");
  // Three tensors of 7 calls, the convolution of 9, its operation of 8; the graph's end is its fourth.
  constexpr int kGraph = 3 * 7 + 9 + 8 + 3, kHeuristic = kGraph + 4;
  const Tensor x = numbers({1, 4, 11, 8}, "x");
  cudnn_plant(kGraph, emulator::CUDNN_STATUS_NOT_SUPPORTED);
  const std::string text = message_of([&] { conv(x, w); });
  EXPECT_TRUE(says(text, "does not support it: CUDNN_STATUS_NOT_SUPPORTED (planted)")) << text;
  const int searches = cudnn_counts().searches;
  EXPECT_EQ(message_of([&] { conv(x, w); }), text);
  EXPECT_EQ(cudnn_counts().searches, searches);
  // A heuristic that knows no engine leaves the question to the other.
  cudnn_plant(kHeuristic, emulator::CUDNN_STATUS_NOT_SUPPORTED);
  conv(numbers({1, 4, 12, 8}, "x"), w);
  EXPECT_EQ(cudnn_counts().engine, CudnnEngine::lanes);
}

TEST_F(FastCudnn, BiasAndActivationFollowTheSum) {
  const Tensor x = numbers({2, 6, 6, 8}, "x"), w = numbers({3, 3, 8, 16}, "w"), b = numbers({16}, "b");
  const Tensor sum = conv(x, w) + b;
  EXPECT_TRUE(equal_bits(conv(x, w, b), sum));
  EXPECT_TRUE(equal_bits(conv(x, w, b, {.activation = Activate::relu}), relu(sum)));
  EXPECT_TRUE(equal_bits(conv(x, w, b, {.activation = Activate::gelu}), gelu(sum)));
}

}  // namespace
}  // namespace isobit
