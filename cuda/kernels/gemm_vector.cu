// The tiled kernel of f32 that reads four elements at a time: its launches.
#include "cuda/kernels/gemm_vector.cuh"

namespace isobit::gpu::kernels {
namespace {

template <Reach kA, Reach kB>
void launch_tile(TileShape shape, const Grid& grid, const Gemm& g) {
  with_tile<float>(shape, [&](auto tile) {
    using T = decltype(tile);
    launch(gemm_vector<T, kA, kB>, grid, T::kThreads, 0, g);
  });
}

}  // namespace

bool reads_fours(const Gemm& g) {
  constexpr std::int64_t kMost = std::int64_t{1} << 34;
  const bool a_rows = g.a_reach == Reach::row_vector, b_rows = g.b_reach == Reach::row_vector;
  return (a_rows || g.a_reach == Reach::term_vector) && (b_rows || g.b_reach == Reach::term_vector) &&
         (b_rows ? g.maps.b_terms.linear : !a_rows) && !g.border.mapped && g.a_elements < kMost &&
         g.b_elements < kMost;
}

void launch_gemm_vector(TileShape shape, const Grid& grid, const Gemm& g) {
  if (g.a_reach == Reach::row_vector)
    launch_tile<Reach::row_vector, Reach::row_vector>(shape, grid, g);
  else if (g.b_reach == Reach::row_vector)
    launch_tile<Reach::term_vector, Reach::row_vector>(shape, grid, g);
  else
    launch_tile<Reach::term_vector, Reach::term_vector>(shape, grid, g);
}

}  // namespace isobit::gpu::kernels
