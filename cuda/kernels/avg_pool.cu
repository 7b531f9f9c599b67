// avg_pool and avg_pool_backward. A thread owns kPack neighbouring channels of one position (pool.cuh).
// Forward: chain from +0 over the real taps in window order, one division. Backward, in gather form: chain
// from +0 of dy / count over the windows that hold the element, in row-major order. A sum is an average whose
// count is 1: dividing by it changes no bit.
#include "cuda/kernels/kernels.h"
#include "cuda/kernels/pool.cuh"

namespace isobit::gpu::kernels {
namespace {

template <class S, int kPack>
__global__ void __launch_bounds__(kPoolThreads, 2)
    avg_pool_grid(Pool g, const S* x, S* y, std::int64_t items) {
  const PoolAxis &ad = g.axis[0], &ah = g.axis[1], &aw = g.axis[2];
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * kPoolThreads;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kPoolThreads + threadIdx.x; i < items;
       i += step) {
    const PoolPlace out = pool_place(i, g.c / kPack, ad.out, ah.out, aw.out);
    const S* const sample = x + out.n * g.inputs * g.c + out.c * kPack;
    const auto count =
        static_cast<Compute<S>>(ad.count(out.at[0]) * ah.count(out.at[1]) * aw.count(out.at[2]));
    const PoolTaps dd = ad.taps(out.at[0]), hh = ah.taps(out.at[1]), ww = aw.taps(out.at[2]);
    Compute<S> sum[kPack] = {};
    for (std::int64_t d = dd.first; d < dd.end; d += ad.step)
      for (std::int64_t h = hh.first; h < hh.end; h += ah.step) {
        const std::int64_t row = (d * ah.in + h) * aw.in;
        for (std::int64_t w = ww.first; w < ww.end; w += aw.step) {
          const Pack<S, kPack> pack = load_pack<S, kPack>(sample + (row + w) * g.c);
          for (int k = 0; k < kPack; ++k) sum[k] = sum[k] + widen(pack.at[k]);
        }
      }
    Pack<S, kPack> result;
    for (int k = 0; k < kPack; ++k) result.at[k] = numerics::cast<S>(sum[k] / count);
    store_pack<S, kPack>(y + i * kPack, result);
  }
}

template <class S, int kPack>
__global__ void __launch_bounds__(kPoolThreads, 2)
    avg_pool_backward_grid(Pool g, const S* dy, S* dx, std::int64_t items) {
  const PoolAxis &ad = g.axis[0], &ah = g.axis[1], &aw = g.axis[2];
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * kPoolThreads;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kPoolThreads + threadIdx.x; i < items;
       i += step) {
    const PoolPlace in = pool_place(i, g.c / kPack, ad.in, ah.in, aw.in);
    const S* const sample = dy + in.n * g.outputs * g.c + in.c * kPack;
    const std::int64_t o_end = ad.end_window(in.at[0]), p_end = ah.end_window(in.at[1]),
                       q_end = aw.end_window(in.at[2]);
    const std::int64_t p_first = ah.first_window(in.at[1]), q_first = aw.first_window(in.at[2]);
    Compute<S> sum[kPack] = {};
    for (std::int64_t o = ad.first_window(in.at[0]); o < o_end; ++o) {
      if (!ad.holds(o, in.at[0])) continue;
      const std::int64_t deep = ad.count(o);
      for (std::int64_t p = p_first; p < p_end; ++p) {
        if (!ah.holds(p, in.at[1])) continue;
        const std::int64_t plane = deep * ah.count(p);
        for (std::int64_t q = q_first; q < q_end; ++q) {
          if (!aw.holds(q, in.at[2])) continue;
          const auto count = static_cast<Compute<S>>(plane * aw.count(q));
          const Pack<S, kPack> pack = load_pack<S, kPack>(sample + ((o * ah.out + p) * aw.out + q) * g.c);
          for (int k = 0; k < kPack; ++k) sum[k] = sum[k] + widen(pack.at[k]) / count;
        }
      }
    }
    Pack<S, kPack> result;
    for (int k = 0; k < kPack; ++k) result.at[k] = numerics::cast<S>(sum[k]);
    store_pack<S, kPack>(dx + i * kPack, result);
  }
}

template <class S, int kPack>
void run_forward(const PoolGeometry& g, const S* x, S* y) {
  const std::int64_t items = g.n * g.positions() * (g.c / kPack);
  launch(avg_pool_grid<S, kPack>, grid_stride_blocks(items, kPoolThreads), kPoolThreads, 0, Pool(g), x, y,
         items);
}

template <class S, int kPack>
void run_backward(const PoolGeometry& g, const S* dy, S* dx) {
  const Pool pool(g);
  const std::int64_t items = g.n * pool.inputs * (g.c / kPack);
  launch(avg_pool_backward_grid<S, kPack>, grid_stride_blocks(items, kPoolThreads), kPoolThreads, 0, pool, dy,
         dx, items);
}

}  // namespace

void avg_pool(const PoolGeometry& g, ConstView x, View y) {
  with_floating("avg_pool", x.dtype, [&](auto type) {
    using S = decltype(type);
    const auto run =
        pool_packs<S>(g, x.data, y.data, nullptr) ? run_forward<S, kPoolPack<S>> : run_forward<S, 1>;
    run(g, x.as<S>(), y.as<S>());
  });
}

void avg_pool_backward(const PoolGeometry& g, ConstView dy, View dx) {
  with_floating("avg_pool_backward", dy.dtype, [&](auto type) {
    using S = decltype(type);
    const auto run =
        pool_packs<S>(g, dy.data, dx.data, nullptr) ? run_backward<S, kPoolPack<S>> : run_backward<S, 1>;
    run(g, dy.as<S>(), dx.as<S>());
  });
}

}  // namespace isobit::gpu::kernels
