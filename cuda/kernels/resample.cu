// resample: rows of few entries times lines. A thread owns kPack neighbouring inner elements of one output (4
// elements, 2 of f64, where the inner extent and the pointers allow, else 1) and takes the entries of its row
// in their order. Neighbours write neighbours; where rows have one inner element they read what others of
// their warp read too (grid-stride loops).
#include "cuda/kernels/kernels.h"
#include "cuda/kernels/walk.cuh"

namespace isobit::gpu::kernels {
namespace {

/// ResampleGeometry in packs.
struct Lines {
  Divisor packs, out;  // packs of an output; outputs of a line
  std::int64_t in, inner, items;
};

template <class S, int kPack>
__global__ void __launch_bounds__(kMapThreads)
    resample_grid(Lines g, const S* x, const std::int64_t* start, const std::int64_t* column,
                  const Compute<S>* weight, S* y) {
  for (std::int64_t i = grid_thread(); i < g.items; i += grid_threads()) {
    std::int64_t row = 0, pack = 0, a = 0, j = 0;
    g.packs.split(i, row, pack);
    g.out.split(row, a, j);
    const S* const line = x + a * g.in * g.inner + pack * kPack;
    const std::int64_t begin = start[j], end = start[j + 1];
    Compute<S> sum[kPack] = {};
    for (std::int64_t e = begin; e < end; ++e) {
      const Pack<S, kPack> read = load_pack<S, kPack>(line + column[e] * g.inner);
      const Compute<S> factor = weight[e];
      for (int k = 0; k < kPack; ++k) {
        const Compute<S> v = widen(read.at[k]);
        sum[k] = e == begin ? factor * v : numerics::fma(factor, v, sum[k]);
      }
    }
    Pack<S, kPack> result;
    for (int k = 0; k < kPack; ++k) result.at[k] = numerics::cast<S>(sum[k]);
    store_pack<S, kPack>(y + i * kPack, result);
  }
}

template <class S, int kPack>
void run(const ResampleGeometry& g, ConstView x, ConstView start, ConstView column, ConstView weight,
         View y) {
  Lines lines{};
  lines.items = g.outer * g.out * (g.inner / kPack);
  lines.packs = Divisor(g.inner / kPack, lines.items);
  lines.out = Divisor(g.out, lines.items);
  lines.in = g.in;
  lines.inner = g.inner;
  // An axis without elements has perhaps no address, and places are stepped from it though none is read.
  const S* const from = x.data != nullptr ? x.as<S>() : y.as<S>();
  launch(resample_grid<S, kPack>, grid_stride_blocks(lines.items, kMapThreads), kMapThreads, 0, lines, from,
         start.as<std::int64_t>(), column.as<std::int64_t>(), weight.as<Compute<S>>(), y.as<S>());
}

}  // namespace

void resample(const ResampleGeometry& g, ConstView x, ConstView start, ConstView column, ConstView weight,
              View y) {
  if (y.numel == 0) return;
  with_floating("resample", x.dtype, [&](auto type) {
    using S = decltype(type);
    constexpr int kWide = sizeof(S) == 8 ? 2 : 4;
    const bool packs = g.inner % kWide == 0 && fits_packs<S, kWide>(x.data) && fits_packs<S, kWide>(y.data);
    (packs ? run<S, kWide> : run<S, 1>)(g, x, start, column, weight, y);
  });
}

}  // namespace isobit::gpu::kernels
