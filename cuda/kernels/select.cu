// select: out = condition ? a : b, elements as they are (1, 2, 4 or 8 bytes). Ownership as in binary.cu: a
// thread owns a pack of the output where all operands allow packs, else one element.
#include "cuda/kernels/kernels.h"
#include "cuda/kernels/walk.cuh"

namespace isobit::gpu::kernels {
namespace {

template <class U, int N>
__global__ void __launch_bounds__(kMapThreads)
    choose(Walk walk, const Truth* condition, const U* a, const U* b, U* out) {
  for (std::int64_t i = N * grid_thread(); i < walk.numel; i += N * grid_threads()) {
    std::int64_t element[3];
    locate(walk, i, element);
    std::uint8_t first[N];
    U x[N], y[N];
    read_operand<N>(condition, element[0], walk.inner[0], i, walk.numel, first);
    read_operand<N>(a, element[1], walk.inner[1], i, walk.numel, x);
    read_operand<N>(b, element[2], walk.inner[2], i, walk.numel, y);
    for (int k = 0; k < N; ++k) x[k] = first[k] != 0 ? x[k] : y[k];
    write<N>(out, i, walk.numel, true, x);
  }
}

}  // namespace

void select(const StridedGeometry& g, ConstView condition, ConstView a, ConstView b, View out) {
  const Walk walk = make_walk(g);
  with_unit(size_of(out.dtype), [&](auto unit) {
    using U = decltype(unit);
    if constexpr (std::is_integral_v<U>) {
      constexpr int N = kPack<U>;
      if (packs_operand<Truth, N>(g, 0, condition.data) && packs_operand<U, N>(g, 1, a.data) &&
          packs_operand<U, N>(g, 2, b.data) && fits_packs<U, N>(out.data)) {
        launch(choose<U, N>, grid_stride_blocks(blocks_for(walk.numel, N), kMapThreads), kMapThreads, 0, walk,
               condition.as<Truth>(), a.as<U>(), b.as<U>(), out.as<U>());
      } else {
        launch(choose<U, 1>, grid_stride_blocks(walk.numel, kMapThreads), kMapThreads, 0, walk,
               condition.as<Truth>(), a.as<U>(), b.as<U>(), out.as<U>());
      }
    }
  });
}

}  // namespace isobit::gpu::kernels
