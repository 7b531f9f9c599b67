// The tiled kernel for bf16.
#include "cuda/kernels/gemm_tile.cuh"

namespace isobit::gpu::kernels {

template <>
void launch_gemm_tile<bf16>(TileShape shape, const Grid& grid, const Gemm& g) {
  with_tile<bf16>(shape, [&](auto tile) {
    using T = decltype(tile);
    launch(gemm_tile<bf16, T>, grid, T::kThreads, 0, g);
  });
}

}  // namespace isobit::gpu::kernels
