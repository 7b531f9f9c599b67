// The stand-in for cuDNN: pooling whose graph is described well is computed; one that the library would
// refuse, compute as rubbish, or fail in, is refused.
#include <cmath>
#include <limits>

#include "tests/emulator/cudnn_graph.h"

namespace isobit::emulator {
namespace {

/// x[1, 2, 4, 4], y[1, 2, 2, 2]: windows of 2 x 2 side by side.
class CudnnResample : public CudnnGraph {
 protected:
  CudnnResample() {
    ids = {1, 2, 3};
    data = {x_data, y_data, tap_data};
  }
  Descriptor resample() {
    Descriptor d = made(CUDNN_BACKEND_RESAMPLE_DESCRIPTOR);
    EXPECT_EQ(set(d, CUDNN_ATTR_RESAMPLE_MODE, CUDNN_TYPE_RESAMPLE_MODE, std::vector{mode}), kFine);
    EXPECT_EQ(set(d, CUDNN_ATTR_RESAMPLE_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, std::vector{computed}), kFine);
    EXPECT_EQ(
        set(d, CUDNN_ATTR_RESAMPLE_NAN_PROPAGATION, CUDNN_TYPE_NAN_PROPOGATION, std::vector{propagated}),
        kFine);
    EXPECT_EQ(set(d, CUDNN_ATTR_RESAMPLE_PADDING_MODE, CUDNN_TYPE_PADDING_MODE, std::vector{padded}), kFine);
    EXPECT_EQ(set(d, CUDNN_ATTR_RESAMPLE_SPATIAL_DIMS, CUDNN_TYPE_INT64, Extents{2}), kFine);
    EXPECT_EQ(set(d, CUDNN_ATTR_RESAMPLE_WINDOW_DIMS, CUDNN_TYPE_INT64, window), kFine);
    EXPECT_EQ(set(d, CUDNN_ATTR_RESAMPLE_STRIDES, CUDNN_TYPE_INT64, strides), kFine);
    EXPECT_EQ(set(d, CUDNN_ATTR_RESAMPLE_PRE_PADDINGS, CUDNN_TYPE_INT64, before), kFine);
    EXPECT_EQ(set(d, CUDNN_ATTR_RESAMPLE_POST_PADDINGS, CUDNN_TYPE_INT64, after), kFine);
    return d;
  }
  cudnnStatus_t build(CudnnEngine engine = CudnnEngine::lanes) {
    clear();
    plan = nullptr;
    std::vector<Descriptor> parts{tensor(x), tensor(y), resample()};
    if (with_tap) parts.push_back(tensor(tap));
    for (Descriptor d : parts)
      if (const cudnnStatus_t s = cudnnBackendFinalize(d); s != kFine) return s;
    const auto name = [&](cudnnBackendAttributeName_t forward, cudnnBackendAttributeName_t gradient) {
      return backward ? gradient : forward;
    };
    Descriptor operation = made(backward ? CUDNN_BACKEND_OPERATION_RESAMPLE_BWD_DESCRIPTOR
                                         : CUDNN_BACKEND_OPERATION_RESAMPLE_FWD_DESCRIPTOR);
    EXPECT_EQ(
        set_part(operation,
                 name(CUDNN_ATTR_OPERATION_RESAMPLE_FWD_XDESC, CUDNN_ATTR_OPERATION_RESAMPLE_BWD_DXDESC),
                 parts[0]),
        kFine);
    EXPECT_EQ(
        set_part(operation,
                 name(CUDNN_ATTR_OPERATION_RESAMPLE_FWD_YDESC, CUDNN_ATTR_OPERATION_RESAMPLE_BWD_DYDESC),
                 parts[1]),
        kFine);
    EXPECT_EQ(set_part(operation,
                       name(CUDNN_ATTR_OPERATION_RESAMPLE_FWD_DESC, CUDNN_ATTR_OPERATION_RESAMPLE_BWD_DESC),
                       parts[2]),
              kFine);
    if (with_tap) {
      EXPECT_EQ(
          set_part(operation,
                   name(CUDNN_ATTR_OPERATION_RESAMPLE_FWD_IDXDESC, CUDNN_ATTR_OPERATION_RESAMPLE_BWD_IDXDESC),
                   parts[3]),
          kFine);
    }
    const bool last = engine == CudnnEngine::lanes;
    return plan_of(operation, engine == CudnnEngine::tiles && backward ? 1 : 0, last || !backward ? 1 : 2,
                   last);
  }
  bool refused(CudnnEngine engine = CudnnEngine::lanes) { return build(engine) != kFine || run() != kFine; }
  /// Averages of what lies inside, padded all around: windows of 2 x 2 on the corners.
  void average() {
    mode = CUDNN_RESAMPLE_AVGPOOL_EXCLUDE_PADDING;
    padded = CUDNN_ZERO_PAD;
    with_tap = false;
    ids = {1, 2};
    data = {x_data, y_data};
  }
  std::vector<std::int32_t> taps() {
    std::vector<std::int32_t> on_host(8);
    EXPECT_EQ(cudaMemcpy(on_host.data(), tap_data, 32, cudaMemcpyDeviceToHost), cudaSuccess);
    return on_host;
  }
  void put(const std::vector<float>& values) {
    EXPECT_EQ(cudaMemcpy(x_data, values.data(), values.size() * 4, cudaMemcpyHostToDevice), cudaSuccess);
  }

  bool backward = false, with_tap = true;
  cudnnResampleMode_t mode = CUDNN_RESAMPLE_MAXPOOL;
  cudnnPaddingMode_t padded = CUDNN_NEG_INF_PAD;
  cudnnDataType_t computed = CUDNN_DATA_FLOAT;
  cudnnNanPropagation_t propagated = CUDNN_PROPAGATE_NAN;
  Extents window{2, 2}, strides{2, 2}, before{0, 0}, after{0, 0};
  Described x = described(1, {1, 2, 4, 4}), y = described(2, {1, 2, 2, 2});
  Described tap{3, y.extent, y.stride, CUDNN_DATA_INT32};
  float* const x_data = device(counting(32));
  float* const y_data = device(std::vector<float>(8, -1));
  float* const tap_data = device(std::vector<float>(8, -1));
};

TEST_F(CudnnResample, ChoosesMaximaAndCountsTaps) {
  ASSERT_FALSE(refused());
  EXPECT_EQ(host(y_data, 8), (std::vector<float>{10, 11, 14, 15, 26, 27, 30, 31}));
  EXPECT_EQ(taps(), std::vector<std::int32_t>(8, 3));
  put(std::vector<float>(32, 2));
  ASSERT_EQ(run(), kFine);
  EXPECT_EQ(taps(), std::vector<std::int32_t>(8, 0)) << "the first of equals";
  std::vector<float> spoiled(32, 2);
  spoiled[2] = std::nanf("");
  put(spoiled);
  ASSERT_EQ(run(), kFine);
  EXPECT_TRUE(std::isnan(host(y_data, 1).front()));
  EXPECT_EQ(taps().front(), 1);
  put(std::vector<float>(32, -std::numeric_limits<float>::infinity()));
  ASSERT_EQ(run(), kFine);
  EXPECT_EQ(host(y_data, 1).front(), -std::numeric_limits<float>::infinity());
}

TEST_F(CudnnResample, AveragesWhatLiesInside) {
  average();
  before = after = {1, 1};
  y = described(2, {1, 2, 3, 3});
  float* const means = device(std::vector<float>(18, -1));
  data[1] = means;
  ASSERT_FALSE(refused());
  EXPECT_EQ(host(means, 4), (std::vector<float>{0, 1, 3, 4})) << "one element in the corner, then two";
  mode = CUDNN_RESAMPLE_AVGPOOL_INCLUDE_PADDING;
  ASSERT_FALSE(refused());
  EXPECT_EQ(host(means, 4), (std::vector<float>{0, 0.25, 1.5, 2})) << "a quarter, and of two a half";
}

TEST_F(CudnnResample, GradientsGoWhereTheyCameFrom) {
  backward = true;
  put(std::vector<float>(32, 7));
  EXPECT_EQ(cudaMemcpy(y_data, counting(8).data(), 32, cudaMemcpyHostToDevice), cudaSuccess);
  const std::vector<std::int32_t> chosen{0, 1, 2, 3, -1, 1, 2, 3};
  EXPECT_EQ(cudaMemcpy(tap_data, chosen.data(), 32, cudaMemcpyHostToDevice), cudaSuccess);
  ASSERT_FALSE(refused());
  std::vector<float> expected(32, 0);
  expected[0] = 0;   // (0, 0), channel 0, of tap 0
  expected[3] = 1;   // (0, 1), channel 1
  expected[12] = 2;  // (1, 2), channel 0
  expected[15] = 3;  // (1, 3), channel 1
  expected[19] = 5;  // (2, 1), channel 1; -1 is no tap
  expected[28] = 6;
  expected[31] = 7;
  EXPECT_EQ(host(x_data, 32), expected);
  ASSERT_EQ(build(CudnnEngine::racing), kFine);
  average();
  EXPECT_EQ(cudaMemcpy(y_data, std::vector<float>(8, 4).data(), 32, cudaMemcpyHostToDevice), cudaSuccess);
  ASSERT_FALSE(refused(CudnnEngine::tiles));
  EXPECT_EQ(host(x_data, 32), std::vector<float>(32, 1));
}

TEST_F(CudnnResample, RefusesWhatMakesNoSense) {
  ASSERT_FALSE(refused());
  const auto spoiled = [&](auto& field, const auto& value, const char* why) {
    const auto good = field;
    field = value;
    EXPECT_NE(build(), kFine) << why;
    field = good;
  };
  spoiled(x.type, CUDNN_DATA_HALF, "x and y of two types");
  spoiled(x.extent, Extents({2, 2, 4, 4}), "two samples and one");
  spoiled(y.extent, Extents({1, 2, 2, 3}), "more windows than the formula gives");
  spoiled(y.extent, Extents({1, 2, 2}), "an axis too few");
  spoiled(x.stride, Extents({32, 16, 4, 1}), "channels first");
  spoiled(window, Extents({5, 2}), "a window beyond the padded input");
  spoiled(window, Extents({2}), "one extent of two axes");
  spoiled(strides, Extents({0, 2}), "a stride of 0");
  spoiled(before, Extents({-1, 0}), "padding that crops");
  spoiled(after, Extents({2, 0}), "padding that y does not know of");
  spoiled(padded, CUDNN_ZERO_PAD, "maxima padded with zeros");
  spoiled(mode, CUDNN_RESAMPLE_AVGPOOL_INCLUDE_PADDING, "averages padded with the lowest number");
  spoiled(mode, static_cast<cudnnResampleMode_t>(1), "interpolation");
  spoiled(computed, CUDNN_DATA_HALF, "computed in f16");
  spoiled(propagated, CUDNN_NOT_PROPAGATE_NAN, "a NaN that loses");
  spoiled(tap.id, 1, "two tensors of one id");
  spoiled(tap.type, CUDNN_DATA_FLOAT, "places as f32");
  spoiled(tap.extent, Extents({1, 2, 2, 1}), "places of half of y");
  spoiled(with_tap, false, "maxima without their places");
  EXPECT_FALSE(refused());
  EXPECT_FALSE(refused(CudnnEngine::tiles));
  x.alignment = 4;
  EXPECT_EQ(build(CudnnEngine::tiles), CUDNN_STATUS_NOT_SUPPORTED) << "an engine for 16 bytes";
  EXPECT_FALSE(refused());
}

TEST_F(CudnnResample, RefusesMemoryThatIsNotThere) {
  ASSERT_FALSE(refused());
  const auto spoiled = [&](std::size_t i, void* value, const char* why) {
    void* const good = data[i];
    data[i] = value;
    EXPECT_NE(run(), kFine) << why;
    data[i] = good;
  };
  std::vector<float> on_host(32);
  spoiled(0, on_host.data(), "host memory");
  spoiled(0, y_data, "x where y is written, and too short");
  spoiled(2, y_data, "the places over the maxima");
  spoiled(2, nullptr, "no places");
  ids = {1, 2, 4};
  EXPECT_NE(run(), kFine) << "no index tensor";
  ids = {1, 2, 3};
  EXPECT_EQ(run(), kFine);
}

}  // namespace
}  // namespace isobit::emulator
