// The stand-in for cuDNN: a convolution whose graph is described well is computed, in the stream's order; one
// that the library would refuse, or compute as rubbish, is refused.
#include <algorithm>
#include <functional>

#include "tests/emulator/cudnn_graph.h"

namespace isobit::emulator {
namespace {

/// x[1, 4, 3, 3], w[4, 4, 2, 2], y[1, 4, 2, 2].
class Cudnn : public CudnnGraph {
 protected:
  Cudnn() {
    ids = {1, 2, 3};
    data = {x_data, w_data, y_data};
  }
  Descriptor convolution() {
    Descriptor d = made(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
    EXPECT_EQ(set(d, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, Extents{2}), kFine);
    EXPECT_EQ(set(d, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, std::vector{CUDNN_DATA_FLOAT}),
              kFine);
    EXPECT_EQ(set(d, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE,
                  std::vector{CUDNN_CROSS_CORRELATION}),
              kFine);
    EXPECT_EQ(set(d, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, before), kFine);
    EXPECT_EQ(set(d, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, after), kFine);
    EXPECT_EQ(set(d, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, strides), kFine);
    EXPECT_EQ(set(d, CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, dilations), kFine);
    return d;
  }
  /// As it is described now, up to the plan by `engine`: how far it came is left in `plan`.
  cudnnStatus_t build(CudnnEngine engine = CudnnEngine::tiles) {
    clear();
    plan = nullptr;
    std::vector<Descriptor> parts{tensor(x), tensor(w), tensor(y), convolution()};
    for (Descriptor d : parts)
      if (const cudnnStatus_t s = cudnnBackendFinalize(d); s != kFine) return s;
    Descriptor operation = made(CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR);
    EXPECT_EQ(set_part(operation, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, parts[0]), kFine);
    EXPECT_EQ(set_part(operation, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, parts[1]), kFine);
    EXPECT_EQ(set_part(operation, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, parts[2]), kFine);
    EXPECT_EQ(set_part(operation, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, parts[3]), kFine);
    EXPECT_EQ(
        set(operation, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_TYPE_FLOAT, std::vector{alpha}),
        kFine);
    EXPECT_EQ(
        set(operation, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA, CUDNN_TYPE_FLOAT, std::vector{0.0F}),
        kFine);
    const bool last = engine == CudnnEngine::lanes;
    // Greedy, tiles; or lanes.
    return plan_of(operation, engine == CudnnEngine::tiles ? 1 : 0, last ? 1 : 2, last);
  }
  bool refused(CudnnEngine engine = CudnnEngine::tiles) { return build(engine) != kFine || run() != kFine; }

  Described x = described(1, {1, 4, 3, 3}), w = described(2, {4, 4, 2, 2}), y = described(3, {1, 4, 2, 2});
  Extents before{0, 0}, after{0, 0}, strides{1, 1}, dilations{1, 1};
  float alpha = 1;
  float* const x_data = device(counting(36));
  float* const w_data = device(std::vector<float>(64, 1));
  float* const y_data = device(std::vector<float>(16, -1));
};

TEST_F(Cudnn, ConvolvesWhatIsDescribedWell) {
  ASSERT_EQ(build(CudnnEngine::lanes), kFine);
  std::int64_t bytes = -1;
  EXPECT_EQ(cudnnBackendGetAttribute(plan, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1,
                                     nullptr, &bytes),
            kFine);
  EXPECT_EQ(bytes, 0);
  ASSERT_EQ(run(), kFine);
  // Every filter adds up all 16 elements of a window: x counts [h, w, c].
  const std::vector<float> sums = host(y_data, 16);
  for (std::size_t i = 0; i < 16; ++i) {
    const std::size_t p = i / 4 / 2, q = i / 4 % 2;
    float sum = 0;
    for (std::size_t r : {p, p + 1})
      for (std::size_t s : {q, q + 1})
        for (std::size_t c = 0; c < 4; ++c) sum += static_cast<float>((r * 3 + s) * 4 + c);
    EXPECT_EQ(sums[i], sum) << i;
  }
  EXPECT_EQ(cudnn_counts().engine, CudnnEngine::lanes);
}

TEST_F(Cudnn, RunsInTheStreamsOrder) {
  lazy();
  cudaStream_t own = nullptr;
  ASSERT_EQ(cudaStreamCreateWithFlags(&own, cudaStreamNonBlocking), cudaSuccess);
  ASSERT_EQ(cudnnSetStream(handle, own), kFine);
  ASSERT_EQ(build(CudnnEngine::lanes), kFine);
  ASSERT_EQ(run(), kFine);
  EXPECT_EQ(host(y_data, 16).front(), -1) << "nobody waited for the stream";
  ASSERT_EQ(cudaStreamSynchronize(own), cudaSuccess);
  EXPECT_NE(host(y_data, 16).front(), -1);
  ASSERT_EQ(cudaStreamDestroy(own), cudaSuccess);
  EXPECT_NE(run(), kFine) << "a stream that was destroyed";
  EXPECT_NE(cudnnSetStream(handle, own), kFine);
}

TEST_F(Cudnn, RefusesTensorsAndConvolutionsThatMakeNoSense) {
  ASSERT_FALSE(refused(CudnnEngine::lanes));
  const auto spoiled = [&](auto& field, const auto& value, const char* why) {
    const auto good = field;
    field = value;
    EXPECT_NE(build(CudnnEngine::lanes), kFine) << why;
    field = good;
  };
  spoiled(x.alignment, 2, "elements of 4 bytes aligned to 2");
  spoiled(x.alignment, 0, "aligned to nothing");
  spoiled(x.type, CUDNN_DATA_DOUBLE, "f64");
  spoiled(x.type, CUDNN_DATA_HALF, "f16 times f32");
  spoiled(x.extent, Extents({1, 4, 0, 3}), "an empty axis");
  spoiled(x.stride, Extents({36, 1, 12}), "an axis without a stride");
  spoiled(x.stride, Extents({36, 9, 3, 1}), "channels first");
  spoiled(w.stride, Extents({1, 4, 32, 16}), "filters in the order of isobit");
  spoiled(x.extent, Extents({2, 4, 3, 3}), "two samples and one");
  spoiled(y.extent, Extents({1, 4, 3, 2}), "more outputs than the formula gives");
  spoiled(w.extent, Extents({4, 3, 2, 2}), "four channels by filters of three");
  spoiled(w.extent, Extents({3, 4, 2, 2}), "three filters, four channels of y");
  spoiled(before, Extents({-1, 0}), "padding that crops");
  spoiled(strides, Extents({0, 1}), "a stride of 0");
  spoiled(dilations, Extents({0, 1}), "a dilation of 0");
  spoiled(before, Extents({1, 0}), "padding that y does not know of");
  spoiled(before, Extents({0, 0, 0}), "three paddings of two axes");
  spoiled(w.id, 1, "two tensors of one id");
  spoiled(alpha, 2.0F, "a scale");
  EXPECT_FALSE(refused(CudnnEngine::lanes));
}

TEST_F(Cudnn, GroupsAreWhatTheChannelsSay) {
  w = described(2, {4, 2, 2, 2});
  EXPECT_FALSE(refused(CudnnEngine::lanes));
  EXPECT_EQ(host(y_data, 1).front(), 0 + 1 + 4 + 5 + 12 + 13 + 16 + 17) << "channels 0 and 1";
  w = described(2, {3, 2, 2, 2});
  y = described(3, {1, 3, 2, 2});
  EXPECT_TRUE(refused(CudnnEngine::lanes)) << "three filters in two groups";
}

TEST_F(Cudnn, EnginesServeWhatTheySay) {
  EXPECT_FALSE(refused(CudnnEngine::lanes));
  // Tiles: sums of 16 terms need no room.
  EXPECT_FALSE(refused(CudnnEngine::tiles));
  after = {1, 1};
  y = described(3, {1, 4, 3, 3});
  float* const large = device(std::vector<float>(36));
  data[2] = large;
  EXPECT_FALSE(refused(CudnnEngine::lanes));
  EXPECT_EQ(build(CudnnEngine::tiles), CUDNN_STATUS_NOT_SUPPORTED_SHAPE) << "padded on one side";
  std::vector<char> said(100);
  cudnnGetLastErrorString(said.data(), said.size());
  EXPECT_NE(std::string(said.data()).find("both sides"), std::string::npos) << said.data();
  cudnnGetLastErrorString(said.data(), said.size());
  EXPECT_EQ(said[0], '\0') << "told once";
}

TEST_F(Cudnn, WantsTheWorkspaceOfItsPlan) {
  x = described(1, {1, 16, 3, 3});
  w = described(2, {4, 16, 2, 2});
  data[0] = device(std::vector<float>(144, 1));
  data[1] = device(std::vector<float>(256, 1));
  ASSERT_EQ(build(CudnnEngine::tiles), kFine);
  std::int64_t bytes = 0;
  EXPECT_EQ(cudnnBackendGetAttribute(plan, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1,
                                     nullptr, &bytes),
            kFine);
  EXPECT_EQ(bytes, 64);
  EXPECT_NE(run(), kFine) << "no workspace";
  workspace = device(std::vector<float>(8));
  EXPECT_EQ(run(), CUDNN_STATUS_BAD_PARAM_SIZE_INSUFFICIENT) << "half of it";
  workspace = y_data;
  EXPECT_NE(run(), kFine) << "the workspace over the sum";
  float* const room = device(std::vector<float>(16));
  workspace = room;
  EXPECT_EQ(run(), kFine);
  EXPECT_EQ(host(y_data, 16), std::vector<float>(16, 64));
  const std::vector<float> left = host(room, 16);
  EXPECT_TRUE(std::all_of(left.begin(), left.end(), [](float v) { return std::isnan(v); }));
  ASSERT_EQ(build(CudnnEngine::greedy), kFine);
  EXPECT_NE(run(), kFine) << "a gibibyte is wanted";
}

TEST_F(Cudnn, RefusesMemoryThatIsNotThere) {
  ASSERT_FALSE(refused(CudnnEngine::lanes));
  std::vector<float> on_host(36);
  const auto spoiled = [&](std::size_t i, void* value, const char* why) {
    void* const good = data[i];
    data[i] = value;
    EXPECT_NE(run(), kFine) << why;
    data[i] = good;
  };
  spoiled(0, on_host.data(), "host memory");
  spoiled(0, nullptr, "no memory");
  spoiled(0, x_data + 1, "one beyond the end, and not aligned as promised");
  spoiled(2, x_data, "the sum over an operand");
  ids = {1, 2, 4};
  EXPECT_NE(run(), kFine) << "no tensor 3";
  ids = {1, 2, 2};
  EXPECT_NE(run(), kFine) << "tensor 2 twice";
  ids = {1, 2};
  EXPECT_NE(run(), kFine) << "three pointers of two tensors";
  ids = {1, 2, 3};
  EXPECT_EQ(run(), kFine);
  ASSERT_EQ(cudaFree(y_data), cudaSuccess);
  EXPECT_NE(run(), kFine) << "freed memory";
}

TEST_F(Cudnn, HoldsDescriptorsToTheirLife) {
  ASSERT_FALSE(refused(CudnnEngine::lanes));
  Descriptor t = all[0];
  const std::int64_t id = 7;
  EXPECT_EQ(cudnnBackendSetAttribute(t, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &id),
            CUDNN_STATUS_BAD_PARAM)
      << "finalized";
  EXPECT_EQ(cudnnBackendFinalize(t), CUDNN_STATUS_BAD_PARAM) << "finalized already";
  EXPECT_EQ(cudnnBackendDestroyDescriptor(t), kFine);
  all.erase(all.begin());
  EXPECT_NE(run(), kFine) << "the plan's x is gone";
  EXPECT_NE(cudnnBackendDestroyDescriptor(t), kFine);
  EXPECT_NE(cudnnBackendFinalize(t), kFine);

  Descriptor empty = made(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  EXPECT_EQ(cudnnBackendFinalize(empty), CUDNN_STATUS_BAD_PARAM);
  EXPECT_EQ(cudnnBackendSetAttribute(empty, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT32, 1, &id),
            CUDNN_STATUS_BAD_PARAM_ATTRIBUTE_TYPE);
  const Extents two{1, 2};
  EXPECT_EQ(cudnnBackendSetAttribute(empty, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 2, two.data()),
            CUDNN_STATUS_BAD_PARAM);
  EXPECT_EQ(cudnnBackendSetAttribute(empty, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, nullptr),
            CUDNN_STATUS_BAD_PARAM);
  EXPECT_EQ(cudnnBackendSetAttribute(empty, CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, 1, &id),
            CUDNN_STATUS_BAD_PARAM);
  const Extents nine(9, 1);
  EXPECT_EQ(cudnnBackendSetAttribute(empty, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 9, nine.data()),
            CUDNN_STATUS_BAD_PARAM);

  Descriptor graph = made(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  EXPECT_EQ(set(graph, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, std::vector{handle}), kFine);
  EXPECT_EQ(set_part(graph, CUDNN_ATTR_OPERATIONGRAPH_OPS, empty), kFine);
  EXPECT_EQ(cudnnBackendFinalize(graph), CUDNN_STATUS_BAD_PARAM_DESCRIPTOR_TYPE)
      << "a tensor is no operation";
  Descriptor heuristic = made(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
  std::int64_t count = 0;
  EXPECT_EQ(cudnnBackendGetAttribute(heuristic, CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                                     0, &count, nullptr),
            CUDNN_STATUS_NOT_INITIALIZED)
      << "not finalized";
}

TEST_F(Cudnn, GivesThePlantedStatusAtItsCall) {
  ASSERT_EQ(build(CudnnEngine::lanes), kFine);
  cudnn_plant(4, CUDNN_STATUS_EXECUTION_FAILED);  // behind the pack's creation and three attributes
  EXPECT_EQ(run(), CUDNN_STATUS_EXECUTION_FAILED);
  EXPECT_EQ(run(), kFine) << "once";
  EXPECT_TRUE(cudnn_plant(1000, CUDNN_STATUS_EXECUTION_FAILED));
  EXPECT_EQ(run(), kFine);
  EXPECT_FALSE(cudnn_plant(0, kFine));
}

}  // namespace
}  // namespace isobit::emulator
