// The stand-in for cuBLASLt: a product that is described well is computed, in the stream's order; one that
// the library would refuse, or compute as rubbish, is refused.
#include "cuda/simt/cublaslt.h"

#include <algorithm>

#include "tests/emulator/faults.h"

namespace isobit::emulator {
namespace {

/// a[2 x 3] b[3 x 4] = d[2 x 4], in columns, each with descriptors as they should be; a test spoils one
/// thing.
class Cublas : public Simt {
 protected:
  Cublas() {
    EXPECT_EQ(cublasLtCreate(&handle), CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(cublasLtMatmulDescCreate(&product, CUBLAS_COMPUTE_32F, CUDA_R_32F), CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(cublasLtMatmulPreferenceCreate(&preference), CUBLAS_STATUS_SUCCESS);
    layouts = {made(2, 3, 2), made(3, 4, 3), made(2, 4, 2), made(2, 4, 2)};
  }
  ~Cublas() override {
    for (cublasLtMatrixLayout_t l : layouts) EXPECT_EQ(cublasLtMatrixLayoutDestroy(l), CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(cublasLtMatmulPreferenceDestroy(preference), CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(cublasLtMatmulDescDestroy(product), CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(cublas_live_descriptors(), 0);
    EXPECT_EQ(cublasLtDestroy(handle), CUBLAS_STATUS_SUCCESS);
  }

  static cublasLtMatrixLayout_t made(std::uint64_t rows, std::uint64_t columns, std::int64_t leading,
                                     cudaDataType type = CUDA_R_32F) {
    cublasLtMatrixLayout_t l = nullptr;
    EXPECT_EQ(cublasLtMatrixLayoutCreate(&l, type, rows, columns, leading), CUBLAS_STATUS_SUCCESS);
    return l;
  }
  void replace(std::size_t i, cublasLtMatrixLayout_t l) {
    EXPECT_EQ(cublasLtMatrixLayoutDestroy(layouts[i]), CUBLAS_STATUS_SUCCESS);
    layouts[i] = l;
  }
  cublasStatus_t find(int wanted = 1) {
    int count = 0;
    return cublasLtMatmulAlgoGetHeuristic(handle, product, layouts[0], layouts[1], layouts[2], layouts[3],
                                          preference, wanted, &plan, &count);
  }
  cublasStatus_t run() {
    return cublasLtMatmul(handle, product, &alpha, a, layouts[0], b, layouts[1], &beta, d, layouts[2], d,
                          layouts[3], &plan.algo, workspace, workspace_bytes, stream);
  }
  /// Found and run as it is now.
  bool refused() { return find() != CUBLAS_STATUS_SUCCESS || run() != CUBLAS_STATUS_SUCCESS; }

  cublasLtHandle_t handle = nullptr;
  cublasLtMatmulDesc_t product = nullptr;
  cublasLtMatmulPreference_t preference = nullptr;
  std::vector<cublasLtMatrixLayout_t> layouts;
  cublasLtMatmulHeuristicResult_t plan{};
  float alpha = 1, beta = 0;
  const float* a = device<float>({1, 2, 3, 4, 5, 6});  // rows 1 3 5, 2 4 6
  const float* b =
      device<float>({1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 1, 1});  // the unit matrix, and a column of ones
  float* d = device<float>(std::vector<float>(8, -1));
  void* workspace = nullptr;
  std::size_t workspace_bytes = 0;
  cudaStream_t stream = nullptr;
};

TEST_F(Cublas, MultipliesWhatIsDescribedWell) {
  ASSERT_EQ(find(), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(plan.workspaceSize, 0u);
  ASSERT_EQ(run(), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(host(d, 8), (std::vector<float>{1, 2, 3, 4, 5, 6, 9, 12}));
  const std::int32_t transposed = CUBLAS_OP_T;  // of a stored [3 x 2]: rows 1 2 3, 4 5 6
  EXPECT_EQ(cublasLtMatmulDescSetAttribute(product, CUBLASLT_MATMUL_DESC_TRANSA, &transposed, 4),
            CUBLAS_STATUS_SUCCESS);
  replace(0, made(3, 2, 3));
  ASSERT_EQ(find(), CUBLAS_STATUS_SUCCESS);
  ASSERT_EQ(run(), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(host(d, 8), (std::vector<float>{1, 4, 2, 5, 3, 6, 6, 15}));
}

TEST_F(Cublas, RunsInTheStreamsOrder) {
  lazy();
  cudaStream_t own = nullptr;
  ASSERT_EQ(cudaStreamCreateWithFlags(&own, cudaStreamNonBlocking), cudaSuccess);
  stream = own;
  ASSERT_EQ(find(), CUBLAS_STATUS_SUCCESS);
  ASSERT_EQ(run(), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(host(d, 8).front(), -1) << "nobody waited for the stream";
  ASSERT_EQ(cudaStreamSynchronize(own), cudaSuccess);
  EXPECT_EQ(host(d, 8).front(), 1);
  ASSERT_EQ(cudaStreamDestroy(own), cudaSuccess);
}

TEST_F(Cublas, RefusesExtentsTypesAndStrides) {
  ASSERT_FALSE(refused());
  replace(1, made(4, 4, 4));
  EXPECT_TRUE(refused()) << "three terms and four";
  replace(1, made(3, 4, 2));
  EXPECT_TRUE(refused()) << "columns overlap";
  replace(1, made(3, 4, 3, CUDA_R_16F));
  EXPECT_TRUE(refused()) << "f32 times f16";
  replace(1, made(3, 4, 3));
  ASSERT_FALSE(refused());
  replace(2, made(2, 3, 2));
  EXPECT_TRUE(refused()) << "c is not as large as d";
  replace(2, made(2, 4, 2));
  const std::int32_t two = 2;
  EXPECT_EQ(cublasLtMatrixLayoutSetAttribute(layouts[0], CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &two, 4),
            CUBLAS_STATUS_SUCCESS);
  EXPECT_TRUE(refused()) << "two batches and one";
  for (std::size_t i = 1; i < 4; ++i)
    EXPECT_EQ(cublasLtMatrixLayoutSetAttribute(layouts[i], CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &two, 4),
              CUBLAS_STATUS_SUCCESS);
  EXPECT_TRUE(refused()) << "the batches of the result lie over each other";
}

TEST_F(Cublas, RefusesMemoryThatIsNotThere) {
  ASSERT_FALSE(refused());
  const float* const good = a;
  const std::vector<float> on_host(6);
  a = on_host.data();
  EXPECT_TRUE(refused()) << "host memory";
  a = good + 1;
  EXPECT_TRUE(refused()) << "one beyond the end, and not aligned as promised";
  a = good;
  float* const result = d;
  d = const_cast<float*>(b);
  EXPECT_TRUE(refused()) << "the result over an operand";
  d = result;
  ASSERT_EQ(cudaFree(d), cudaSuccess);
  EXPECT_TRUE(refused()) << "freed memory";
}

TEST_F(Cublas, HoldsAlignmentToWhatWasPromised) {
  d = device<float>(std::vector<float>(9)) + 1;
  EXPECT_TRUE(refused());
  const std::uint32_t four = 4;
  for (const auto which :
       {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES})
    EXPECT_EQ(cublasLtMatmulPreferenceSetAttribute(preference, which, &four, sizeof(four)),
              CUBLAS_STATUS_SUCCESS);
  EXPECT_FALSE(refused());
}

TEST_F(Cublas, WantsTheAlgorithmAndTheWorkspaceOfThisProduct) {
  ASSERT_EQ(find(), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(cublasLtMatmulDescDestroy(product), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(cublasLtMatmulDescCreate(&product, CUBLAS_COMPUTE_32F_FAST_TF32, CUDA_R_32F),
            CUBLAS_STATUS_SUCCESS);
  EXPECT_NE(run(), CUBLAS_STATUS_SUCCESS) << "found for another arithmetic";
  // Long sums want room for their parts.
  a = device(std::vector<float>(64, 1));
  b = device(std::vector<float>(128, 1));
  replace(0, made(2, 32, 2));
  replace(1, made(32, 4, 32));
  const std::uint64_t room = 4096;
  EXPECT_EQ(
      cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &room, 8),
      CUBLAS_STATUS_SUCCESS);
  ASSERT_EQ(find(), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(plan.workspaceSize, 32u);
  EXPECT_NE(run(), CUBLAS_STATUS_SUCCESS) << "no workspace";
  workspace_bytes = plan.workspaceSize;
  workspace = d;
  EXPECT_NE(run(), CUBLAS_STATUS_SUCCESS) << "the workspace over the result";
  workspace = device(std::vector<float>(8));
  EXPECT_EQ(run(), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(host(d, 8), std::vector<float>(8, 32));
  const std::vector<float> left = host(static_cast<float*>(workspace), 8);
  EXPECT_TRUE(std::all_of(left.begin(), left.end(), [](float v) { return std::isnan(v); }));
}

TEST_F(Cublas, RefusesWrongAttributesAndWhatDoesNotExist) {
  const std::int32_t one = 1;
  const std::int64_t wide = 1;
  EXPECT_NE(cublasLtMatmulDescSetAttribute(product, CUBLASLT_MATMUL_DESC_TRANSA, &wide, 8),
            CUBLAS_STATUS_SUCCESS);
  EXPECT_NE(cublasLtMatmulDescSetAttribute(product, CUBLASLT_MATMUL_DESC_TRANSA, nullptr, 4),
            CUBLAS_STATUS_SUCCESS);
  EXPECT_NE(
      cublasLtMatrixLayoutSetAttribute(layouts[0], static_cast<cublasLtMatrixLayoutAttribute_t>(99), &one, 4),
      CUBLAS_STATUS_SUCCESS);
  const std::int32_t conjugated = 2;
  EXPECT_NE(cublasLtMatmulDescSetAttribute(product, CUBLASLT_MATMUL_DESC_TRANSA, &conjugated, 4),
            CUBLAS_STATUS_SUCCESS);
  EXPECT_NE(find(0), CUBLAS_STATUS_SUCCESS);
  cublasLtMatrixLayout_t gone = made(2, 3, 2);
  EXPECT_EQ(cublasLtMatrixLayoutDestroy(gone), CUBLAS_STATUS_SUCCESS);
  EXPECT_NE(cublasLtMatrixLayoutDestroy(gone), CUBLAS_STATUS_SUCCESS);
  EXPECT_NE(cublasLtMatrixLayoutCreate(&gone, CUDA_R_32F, 0, 3, 1), CUBLAS_STATUS_SUCCESS);
  ASSERT_EQ(find(), CUBLAS_STATUS_SUCCESS);
  beta = 1;
  EXPECT_NE(run(), CUBLAS_STATUS_SUCCESS);
  beta = 0;
  cudaStream_t own = nullptr;
  ASSERT_EQ(cudaStreamCreate(&own), cudaSuccess);
  ASSERT_EQ(cudaStreamDestroy(own), cudaSuccess);
  stream = own;
  EXPECT_NE(run(), CUBLAS_STATUS_SUCCESS) << "a stream that was destroyed";
}

}  // namespace
}  // namespace isobit::emulator
