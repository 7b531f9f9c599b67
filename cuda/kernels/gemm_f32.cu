// The tiled kernel for f32.
#include "cuda/kernels/gemm_tile.cuh"

namespace isobit::gpu::kernels {

template <>
void launch_gemm_tile<float>(TileShape shape, const Grid& grid, const Gemm& g) {
  with_tile<float>(shape, [&](auto tile) {
    using T = decltype(tile);
    launch(gemm_tile<float, T>, grid, T::kThreads, 0, g);
  });
}

}  // namespace isobit::gpu::kernels
