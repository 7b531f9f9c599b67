// avg_pool and avg_pool_backward. A thread owns kPack neighbouring channels of one position (pool.cuh).
// Forward: chain from +0 over the real taps in window order, one division. Backward, in gather form: chain
// from +0 of dy / count over the windows that hold the element, in row-major order.
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
    const std::int64_t d0 = ad.start(out.at[0]), h0 = ah.start(out.at[1]), w0 = aw.start(out.at[2]);
    const std::int64_t t_end = ad.end_tap(d0, ad.in), r_end = ah.end_tap(h0, ah.in),
                       s_end = aw.end_tap(w0, aw.in);
    const std::int64_t r_first = ah.first_tap(h0), s_first = aw.first_tap(w0);
    Compute<S> sum[kPack] = {};
    for (std::int64_t t = ad.first_tap(d0); t < t_end; ++t)
      for (std::int64_t r = r_first; r < r_end; ++r) {
        const std::int64_t row = ((d0 + t * ad.dilation) * ah.in + h0 + r * ah.dilation) * aw.in + w0;
        for (std::int64_t s = s_first; s < s_end; ++s) {
          const Pack<S, kPack> pack = load_pack<S, kPack>(sample + (row + s * aw.dilation) * g.c);
          for (int k = 0; k < kPack; ++k) sum[k] = sum[k] + widen(pack.at[k]);
        }
      }
    const auto count =
        static_cast<Compute<S>>(ad.count(out.at[0], g.include_pad) * ah.count(out.at[1], g.include_pad) *
                                aw.count(out.at[2], g.include_pad));
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
      const std::int64_t deep = ad.count(o, g.include_pad);
      for (std::int64_t p = p_first; p < p_end; ++p) {
        if (!ah.holds(p, in.at[1])) continue;
        const std::int64_t plane = deep * ah.count(p, g.include_pad);
        for (std::int64_t q = q_first; q < q_end; ++q) {
          if (!aw.holds(q, in.at[2])) continue;
          const auto count = static_cast<Compute<S>>(plane * aw.count(q, g.include_pad));
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
