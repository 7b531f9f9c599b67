// The kernel of products with few columns, for all storage types.
#include "cuda/kernels/gemm_few.cuh"

namespace isobit::gpu::kernels {

template <class S>
void launch_gemm_few(const Grid& grid, const Gemm& g) {
  if (g.a_reach == Reach::term_vector)
    launch(gemm_few<S, Reach::term_vector>, grid, FewTile::kThreads, 0, g);
  else if (g.a_reach == Reach::row_vector)
    launch(gemm_few<S, Reach::row_vector>, grid, FewTile::kThreads, 0, g);
  else
    launch(gemm_few<S, Reach::term>, grid, FewTile::kThreads, 0, g);
}
template void launch_gemm_few<float>(const Grid& grid, const Gemm& g);
template void launch_gemm_few<double>(const Grid& grid, const Gemm& g);
template void launch_gemm_few<f16>(const Grid& grid, const Gemm& g);
template void launch_gemm_few<bf16>(const Grid& grid, const Gemm& g);

}  // namespace isobit::gpu::kernels
