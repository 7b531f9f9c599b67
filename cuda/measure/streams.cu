// A thread moves four fours of floats, a block's width apart, all of them loaded before one is stored
// (streams.cuh).
#include "cuda/measure/streams.cuh"

#include "cuda/kernels/element.cuh"

namespace isobit::gpu {
namespace {

using kernels::Pack;
constexpr int kThreads = 256, kEach = 4;
using Fours = Pack<float, 4>;
static_assert(kStreamFloats == kThreads * kEach * 4);

__device__ inline std::int64_t first_four() {
  return static_cast<std::int64_t>(blockIdx.x) * (kThreads * kEach) + threadIdx.x;
}

__global__ void __launch_bounds__(kThreads) copy(const Fours* x, Fours* y) {
  const std::int64_t first = first_four();
  Fours v[kEach];
#pragma unroll
  for (int i = 0; i < kEach; ++i) v[i] = x[first + i * kThreads];
#pragma unroll
  for (int i = 0; i < kEach; ++i) y[first + i * kThreads] = v[i];
}

__global__ void __launch_bounds__(kThreads) update(float factor, const Fours* x, Fours* y) {
  const std::int64_t first = first_four();
  Fours v[kEach], w[kEach];
#pragma unroll
  for (int i = 0; i < kEach; ++i) {
    v[i] = x[first + i * kThreads];
    w[i] = y[first + i * kThreads];
  }
#pragma unroll
  for (int i = 0; i < kEach; ++i) {
#pragma unroll
    for (int k = 0; k < 4; ++k) w[i].at[k] = numerics::fma(factor, v[i].at[k], w[i].at[k]);
    y[first + i * kThreads] = w[i];
  }
}

}  // namespace

void run_copy(const float* x, float* y, std::int64_t count) {
  launch(copy, count / kStreamFloats, kThreads, 0, reinterpret_cast<const Fours*>(x),
         reinterpret_cast<Fours*>(y));
}

void run_update(float factor, const float* x, float* y, std::int64_t count) {
  launch(update, count / kStreamFloats, kThreads, 0, factor, reinterpret_cast<const Fours*>(x),
         reinterpret_cast<Fours*>(y));
}

}  // namespace isobit::gpu
