// Chains of fma in registers (chains.cuh).
#include "cuda/device.cuh"
#include "cuda/measure/chains.cuh"

namespace isobit::gpu {
namespace {

constexpr int kUnrolled = 16;
// The chains go to 1, from starts of their own.
template <class T>
inline constexpr T kFactor = T(0.999);
template <class T>
inline constexpr T kAddend = T(0.001);

// The numbers are arguments so that they are in registers, and no chain is known before it runs.
template <class T>
__global__ void __launch_bounds__(kChainThreads) multiply_adds(int passes, T factor, T addend, T* out) {
  T v[kChains];
#pragma unroll
  for (int c = 0; c < kChains; ++c) v[c] = static_cast<T>(c);
#pragma unroll 1
  for (int pass = 0; pass < passes; ++pass) {
#pragma unroll
    for (int i = 0; i < kUnrolled; ++i)
#pragma unroll
      for (int c = 0; c < kChains; ++c) v[c] = numerics::fma(v[c], factor, addend);
  }
  T sum = 0;
#pragma unroll
  for (int c = 0; c < kChains; ++c) sum += v[c];
  out[static_cast<std::int64_t>(blockIdx.x) * kChainThreads + threadIdx.x] = sum;
}

}  // namespace

template <class T>
void run_multiply_adds(const ChainRun& run, T* out) {
  launch(multiply_adds<T>, run.blocks, kChainThreads, 0, run.passes, kFactor<T>, kAddend<T>, out);
}

template <class T>
ChainWork multiply_adds_work(const ChainRun& run) {
  const std::int64_t length = std::int64_t{kUnrolled} * run.passes;
  T sum = 0;
  for (int c = 0; c < kChains; ++c) {
    T v = static_cast<T>(c);
    for (std::int64_t i = 0; i < length; ++i) v = numerics::fma(v, kFactor<T>, kAddend<T>);
    sum += v;
  }
  return {2.0 * kChains * static_cast<double>(length * run.threads()), static_cast<double>(sum)};
}

template void run_multiply_adds(const ChainRun&, float*);
template void run_multiply_adds(const ChainRun&, double*);
template ChainWork multiply_adds_work<float>(const ChainRun&);
template ChainWork multiply_adds_work<double>(const ChainRun&);

}  // namespace isobit::gpu
