// Chains of products of the matrix unit, all of their elements 1 (chains.cuh): sums are whole numbers and
// exact, in whichever order the unit adds. What mma.sync reaches is the peak of kernels that use it, as those
// of fast mode do; warp group instructions of later chips reach more.
#include "cuda/measure/chains.cuh"
#include "cuda/mma.cuh"

namespace isobit::gpu {
namespace {

constexpr int kUnrolled = 8;
constexpr int kM = 16, kN = 8;  // of a product; its sums are four in each lane of a warp

template <MatrixUnit kUnit>
inline constexpr int kTerms = kUnit == MatrixUnit::tf32 ? 8 : 16;

// The bits of one tf32 or two 16-bit ones.
template <MatrixUnit kUnit>
__device__ inline std::uint32_t ones() {
  if constexpr (kUnit == MatrixUnit::tf32) return round_tf32(1.0F);
  if constexpr (kUnit == MatrixUnit::f16) return pack_f16(1.0F, 1.0F);
  if constexpr (kUnit == MatrixUnit::bf16) return pack_bf16(1.0F, 1.0F);
}

template <MatrixUnit kUnit>
__global__ void __launch_bounds__(kChainThreads) matrix_products(int passes, float* out) {
  const std::uint32_t one = ones<kUnit>();
  const std::uint32_t a[4] = {one, one, one, one}, b[2] = {one, one};
  float d[kChains][4] = {};
#pragma unroll 1
  for (int pass = 0; pass < passes; ++pass) {
#pragma unroll
    for (int i = 0; i < kUnrolled; ++i)
#pragma unroll
      for (int c = 0; c < kChains; ++c) {
        if constexpr (kUnit == MatrixUnit::tf32) mma_tf32(d[c], a, b);
        if constexpr (kUnit == MatrixUnit::f16) mma_f16(d[c], a, b);
        if constexpr (kUnit == MatrixUnit::bf16) mma_bf16(d[c], a, b);
      }
  }
  float sum = 0;
#pragma unroll
  for (int c = 0; c < kChains; ++c)
#pragma unroll
    for (int i = 0; i < 4; ++i) sum += d[c][i];
  out[static_cast<std::int64_t>(blockIdx.x) * kChainThreads + threadIdx.x] = sum;
}

int terms_of(MatrixUnit unit) {
  return unit == MatrixUnit::tf32 ? kTerms<MatrixUnit::tf32> : kTerms<MatrixUnit::f16>;
}

}  // namespace

void run_matrix_products(MatrixUnit unit, const ChainRun& run, float* out) {
  switch (unit) {
    case MatrixUnit::tf32:
      return launch(matrix_products<MatrixUnit::tf32>, run.blocks, kChainThreads, 0, run.passes, out);
    case MatrixUnit::f16:
      return launch(matrix_products<MatrixUnit::f16>, run.blocks, kChainThreads, 0, run.passes, out);
    default:
      return launch(matrix_products<MatrixUnit::bf16>, run.blocks, kChainThreads, 0, run.passes, out);
  }
}

ChainWork matrix_products_work(MatrixUnit unit, const ChainRun& run) {
  const double chain = static_cast<double>(run.passes) * kUnrolled * terms_of(unit);
  const double products = kChains * static_cast<double>(run.threads() / 32);
  return {2.0 * kM * kN * chain * products, 4.0 * kChains * chain};
}

}  // namespace isobit::gpu
