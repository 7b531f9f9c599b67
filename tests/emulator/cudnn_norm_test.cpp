// The stand-in for cuDNN: norms whose graph is described well are computed, and what the library would refuse
// is refused.
#include <cmath>

#include "tests/emulator/cudnn_graph.h"

namespace isobit::emulator {
namespace {

/// A batch norm of x[2, 4, 2, 1]: four elements a channel, (c, c + 4, c + 8, c + 12).
class CudnnNorm : public CudnnGraph {
 protected:
  CudnnNorm() {
    ids = {1, 2, 3, 4, 5, 6, 7};
    data = {x_data, mean_data, inverse_data, gamma_data, beta_data, &added, y_data};
  }
  void add(Descriptor operation, cudnnBackendAttributeName_t name, const Described& t, bool on_host = false) {
    Descriptor d = tensor(t);
    if (on_host) {
      const bool yes = true;
      EXPECT_EQ(cudnnBackendSetAttribute(d, CUDNN_ATTR_TENSOR_IS_BY_VALUE, CUDNN_TYPE_BOOLEAN, 1, &yes),
                kFine);
    }
    first_bad = std::max(first_bad, cudnnBackendFinalize(d));
    EXPECT_EQ(set_part(operation, name, d), kFine);
  }
  cudnnStatus_t build() {
    clear();
    plan = nullptr;
    first_bad = kFine;
    Descriptor operation = made(CUDNN_BACKEND_OPERATION_NORM_FORWARD_DESCRIPTOR);
    EXPECT_EQ(set(operation, CUDNN_ATTR_OPERATION_NORM_FWD_MODE, CUDNN_TYPE_NORM_MODE, std::vector{mode}),
              kFine);
    EXPECT_EQ(
        set(operation, CUDNN_ATTR_OPERATION_NORM_FWD_PHASE, CUDNN_TYPE_NORM_FWD_PHASE, std::vector{phase}),
        kFine);
    add(operation, CUDNN_ATTR_OPERATION_NORM_FWD_XDESC, x);
    add(operation, CUDNN_ATTR_OPERATION_NORM_FWD_MEAN_DESC, mean);
    add(operation, CUDNN_ATTR_OPERATION_NORM_FWD_INV_VARIANCE_DESC, inverse);
    add(operation, CUDNN_ATTR_OPERATION_NORM_FWD_SCALE_DESC, gamma);
    if (with_beta) add(operation, CUDNN_ATTR_OPERATION_NORM_FWD_BIAS_DESC, beta);
    add(operation, CUDNN_ATTR_OPERATION_NORM_FWD_EPSILON_DESC, eps, eps_on_host);
    add(operation, CUDNN_ATTR_OPERATION_NORM_FWD_YDESC, y);
    return first_bad != kFine ? first_bad : plan_of(operation, 0, 1, true);
  }

  cudnnBackendNormMode_t mode = CUDNN_BATCH_NORM;
  cudnnBackendNormFwdPhase_t phase = CUDNN_NORM_FWD_TRAINING;
  bool with_beta = true, eps_on_host = true;
  cudnnStatus_t first_bad = kFine;
  Described x = described(1, {2, 4, 2, 1}), mean = described(2, {1, 4, 1, 1}),
            inverse = described(3, {1, 4, 1, 1}), gamma = described(4, {1, 4, 1, 1}),
            beta = described(5, {1, 4, 1, 1}), eps = described(6, {1, 1, 1, 1}),
            y = described(7, {2, 4, 2, 1});
  float* const x_data = device(counting(16));
  float* const y_data = device(std::vector<float>(16, -1));
  float* const mean_data = device(std::vector<float>(4, -1));
  float* const inverse_data = device(std::vector<float>(4, -1));
  float* const gamma_data = device(std::vector<float>(4, 2));
  float* const beta_data = device(std::vector<float>(4, 1));
  float added = 5;
};

TEST_F(CudnnNorm, NormsByTheBiasedVarianceAndReadsEpsWhenItIsCalled) {
  lazy();
  cudaStream_t own = nullptr;
  ASSERT_EQ(cudaStreamCreateWithFlags(&own, cudaStreamNonBlocking), cudaSuccess);
  ASSERT_EQ(cudnnSetStream(handle, own), kFine);
  ASSERT_EQ(build(), kFine);
  ASSERT_EQ(run(), kFine);
  added = 1e6;  // too late
  ASSERT_EQ(cudaStreamSynchronize(own), cudaSuccess);
  EXPECT_EQ(host(mean_data, 4), (std::vector<float>{6, 7, 8, 9}));
  EXPECT_EQ(host(inverse_data, 4), std::vector<float>(4, 0.2F)) << "1 / sqrt(80 / 4 + 5)";
  const std::vector<float> ys = host(y_data, 16);
  for (std::size_t i = 0; i < 16; ++i) {
    const float h = (static_cast<float>(i - i % 4) - 6) * 0.2F;
    EXPECT_FLOAT_EQ(ys[i], h * 2 + 1) << i;
  }
  ASSERT_EQ(cudaStreamDestroy(own), cudaSuccess);
}

TEST_F(CudnnNorm, RefusesWhatMakesNoSense) {
  ASSERT_EQ(build(), kFine);
  ASSERT_EQ(run(), kFine);
  const auto spoiled = [&](auto& field, const auto& value, const char* why) {
    const auto good = field;
    field = value;
    EXPECT_NE(build(), kFine) << why;
    field = good;
  };
  spoiled(mode, CUDNN_LAYER_NORM, "statistics of another mode");
  spoiled(mode, static_cast<cudnnBackendNormMode_t>(3), "group norms, which no engine serves");
  spoiled(phase, CUDNN_NORM_FWD_INFERENCE, "given statistics, which no engine of batch norm takes");
  spoiled(eps_on_host, false, "eps in device memory");
  spoiled(with_beta, false, "gamma alone");
  spoiled(mean.type, CUDNN_DATA_HALF, "means in f16");
  spoiled(mean.extent, Extents({2, 4, 1, 1}), "means of instances");
  spoiled(gamma.extent, Extents({1, 2, 1, 1}), "gamma of two channels");
  spoiled(y.type, CUDNN_DATA_HALF, "a result of another type");
  spoiled(y.extent, Extents({2, 4, 1, 1}), "a result of half the positions");
  spoiled(beta.id, 4, "two tensors of one id");
  spoiled(x.stride, Extents({8, 2, 1, 1}), "channels first");
  spoiled(x.alignment, 8, "x aligned to 8 bytes");
  x = described(1, {2, 5, 2, 1}), y = described(7, {2, 5, 2, 1});
  mean = inverse = gamma = beta = described(2, {1, 5, 1, 1});
  inverse.id = 3, gamma.id = 4, beta.id = 5;
  EXPECT_EQ(build(), CUDNN_STATUS_NOT_SUPPORTED_SHAPE) << "five channels are no runs of 16 bytes";
  std::vector<char> said(100);
  cudnnGetLastErrorString(said.data(), said.size());
  EXPECT_NE(std::string(said.data()).find("runs of 16 bytes"), std::string::npos) << said.data();
}

TEST_F(CudnnNorm, RefusesMemoryThatIsNotThere) {
  ASSERT_EQ(build(), kFine);
  const auto spoiled = [&](std::size_t i, void* value, const char* why) {
    void* const good = data[i];
    data[i] = value;
    EXPECT_NE(run(), kFine) << why;
    data[i] = good;
  };
  spoiled(1, &added, "means in host memory");
  spoiled(2, mean_data, "deviations over the means");
  spoiled(6, x_data, "the result over x");
  spoiled(5, nullptr, "no eps");
  EXPECT_EQ(run(), kFine);
}

}  // namespace
}  // namespace isobit::emulator
