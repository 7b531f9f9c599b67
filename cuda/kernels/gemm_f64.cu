// The tiled kernel for f64.
#include "cuda/kernels/gemm_tile.cuh"

namespace isobit::gpu::kernels {

template <>
void launch_gemm_tile<double>(TileShape shape, const Grid& grid, const Gemm& g) {
  with_tile<double>(shape, [&](auto tile) {
    using T = decltype(tile);
    launch(gemm_tile<double, T>, grid, T::kThreads, 0, g);
  });
}

}  // namespace isobit::gpu::kernels
