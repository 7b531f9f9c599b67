// What cuDNN keeps of a norm, 1 / sqrt(variance + eps), from the variance, which the seam keeps
// (core/backend.h), and back. A thread owns one channel or row at a time; no sums. No twin on the CPU:
// nothing there asks for it.
#include "core/numerics/sqrt.h"
#include "cuda/kernels/elements.cuh"
#include "cuda/kernels/kernels.h"

namespace isobit::gpu::kernels {
namespace {

constexpr int kThreads = 256;

__global__ void __launch_bounds__(kThreads)
    inverse_deviations_grid(const float* variance, float eps, float* inverse, std::int64_t items) {
  for (std::int64_t i = grid_thread(); i < items; i += grid_threads())
    inverse[i] = 1.0F / numerics::sqrt(variance[i] + eps);
}

// In f64: of a variance below eps nothing more is lost than what the inverse has lost. Not below 0.
__global__ void __launch_bounds__(kThreads)
    variances_grid(const float* inverse, double eps, float* variance, std::int64_t items) {
  for (std::int64_t i = grid_thread(); i < items; i += grid_threads()) {
    const double deviation = 1.0 / static_cast<double>(inverse[i]), squared = deviation * deviation - eps;
    variance[i] = squared < 0 ? 0.0F : static_cast<float>(squared);
  }
}

}  // namespace

void inverse_deviations(ConstView variance, double eps, float* inverse) {
  launch(inverse_deviations_grid, grid_stride_blocks(variance.numel, kThreads), kThreads, 0,
         variance.as<float>(), static_cast<float>(eps), inverse, variance.numel);
}
void variances(const float* inverse, double eps, View variance) {
  launch(variances_grid, grid_stride_blocks(variance.numel, kThreads), kThreads, 0, inverse,
         static_cast<double>(static_cast<float>(eps)), variance.as<float>(), variance.numel);
}

}  // namespace isobit::gpu::kernels
