// A kernel of one's own, and its gradient, among isobit's: the work goes to the stream that isobit's goes to,
// so nothing needs to be synchronised.
#include "scaled_square.h"

#include <cuda_runtime.h>
#include <isobit/autograd.h>
#include <isobit/gpu.h>
#include <isobit/ops.h>

namespace {

using namespace isobit;

// One thread an element.
__global__ void scaled_square_kernel(const float* x, float* y, std::int64_t n, float scale) {
  const std::int64_t i = blockIdx.x * static_cast<std::int64_t>(blockDim.x) + threadIdx.x;
  if (i < n) y[i] = scale * x[i] * x[i];
}

void launch(const Tensor& x, Tensor& y, float scale) {
  const std::int64_t n = x.numel();
  if (n == 0) return;
  const auto blocks = static_cast<unsigned>((n + 255) / 256);
  const auto stream = static_cast<cudaStream_t>(stream_of(x.device()));
  scaled_square_kernel<<<blocks, 256, 0, stream>>>(static_cast<const float*>(x.raw()),
                                                   static_cast<float*>(y.mutable_raw()), n, scale);
  if (const cudaError_t error = cudaGetLastError(); error != cudaSuccess)
    fail("scaled_square", "{}", cudaGetErrorString(error));
}

}  // namespace

Tensor scaled_square(const Tensor& x, float scale) {
  if (x.dtype() != DType::f32) fail("scaled_square", "needs f32, got {}", x.dtype());
  Tensor y = empty(x.shape(), {.device = x.device()});
  launch(x, y, scale);
  // dy/dx = 2 scale x, written with ops that have gradients themselves: so this one has a second derivative.
  return record("scaled_square", {x}, y, {x}, [scale](const BackwardContext& c) {
    return std::vector{mul(c.dy(), mul_scalar(c.saved(0), 2.0 * scale))};
  });
}
