// max_pool, max_pool_backward, max_pool_gather. A thread owns kPack neighbouring channels of one position
// (pool.cuh); threads that follow each other own channels that follow each other, so accesses are coalesced
// for any window. Backward is in gather form: each element of dx asks the windows that hold it, in row-major
// order, whether their maximum is here; nothing is scattered and no atomics are needed.
#include "cuda/kernels/kernels.h"
#include "cuda/kernels/pool.cuh"

namespace isobit::gpu::kernels {
namespace {

// One output position a thread; its window in row-major order, padded taps left out. NaN wins, then the first
// of equals.
template <class S, int kPack>
__global__ void __launch_bounds__(kPoolThreads, 2)
    max_pool_grid(Pool g, const S* x, S* y, std::int64_t* index, std::int64_t items) {
  const PoolAxis &ad = g.axis[0], &ah = g.axis[1], &aw = g.axis[2];
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * kPoolThreads;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kPoolThreads + threadIdx.x; i < items;
       i += step) {
    const PoolPlace out = pool_place(i, g.c / kPack, ad.out, ah.out, aw.out);
    const S* const sample = x + out.n * g.inputs * g.c + out.c * kPack;
    const PoolTaps dd = ad.taps(out.at[0]), hh = ah.taps(out.at[1]), ww = aw.taps(out.at[2]);
    Compute<S> best[kPack] = {};
    Pack<S, kPack> value{};
    Pack<std::int64_t, kPack> where;
    for (int k = 0; k < kPack; ++k) where.at[k] = -1;
    for (std::int64_t d = dd.first; d < dd.end; d += ad.step)
      for (std::int64_t h = hh.first; h < hh.end; h += ah.step) {
        const std::int64_t row = (d * ah.in + h) * aw.in;
        for (std::int64_t w = ww.first; w < ww.end; w += aw.step) {
          const std::int64_t position = row + w;
          const Pack<S, kPack> pack = load_pack<S, kPack>(sample + position * g.c);
          for (int k = 0; k < kPack; ++k) {
            const Compute<S> v = widen(pack.at[k]);
            const bool better = v > best[k] || (v != v && best[k] == best[k]);
            if (where.at[k] < 0 || better) {
              best[k] = v;
              value.at[k] = pack.at[k];
              where.at[k] = position;
            }
          }
        }
      }
    store_pack<S, kPack>(y + i * kPack, value);
    store_pack<std::int64_t, kPack>(index + i * kPack, where);
  }
}

// One input position a thread: chain from +0 over the windows that hold it.
template <class S, int kPack>
__global__ void __launch_bounds__(kPoolThreads, 2)
    max_pool_backward_grid(Pool g, const S* dy, const std::int64_t* index, S* dx, std::int64_t items) {
  const PoolAxis &ad = g.axis[0], &ah = g.axis[1], &aw = g.axis[2];
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * kPoolThreads;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kPoolThreads + threadIdx.x; i < items;
       i += step) {
    const PoolPlace in = pool_place(i, g.c / kPack, ad.in, ah.in, aw.in);
    const std::int64_t position = (in.at[0] * ah.in + in.at[1]) * aw.in + in.at[2];
    const std::int64_t sample = in.n * g.outputs * g.c + in.c * kPack;
    const std::int64_t o_end = ad.end_window(in.at[0]), p_end = ah.end_window(in.at[1]),
                       q_end = aw.end_window(in.at[2]);
    const std::int64_t p_first = ah.first_window(in.at[1]), q_first = aw.first_window(in.at[2]);
    Compute<S> sum[kPack] = {};
    for (std::int64_t o = ad.first_window(in.at[0]); o < o_end; ++o)
      for (std::int64_t p = p_first; p < p_end; ++p)
        for (std::int64_t q = q_first; q < q_end; ++q) {
          const std::int64_t from = sample + ((o * ah.out + p) * aw.out + q) * g.c;
          const Pack<std::int64_t, kPack> where = load_pack<std::int64_t, kPack>(index + from);
          bool here = false;
          for (int k = 0; k < kPack; ++k) here = here || where.at[k] == position;
          if (!here) continue;
          const Pack<S, kPack> pack = load_pack<S, kPack>(dy + from);
          for (int k = 0; k < kPack; ++k)
            if (where.at[k] == position) sum[k] = sum[k] + widen(pack.at[k]);
        }
    Pack<S, kPack> result;
    for (int k = 0; k < kPack; ++k) result.at[k] = numerics::cast<S>(sum[k]);
    store_pack<S, kPack>(dx + i * kPack, result);
  }
}

// One output element a thread: y[o] = x[index[o]].
template <class S>
__global__ void __launch_bounds__(kPoolThreads, 2)
    max_pool_gather_grid(Pool g, const S* x, const std::int64_t* index, S* y, std::int64_t items) {
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * kPoolThreads;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kPoolThreads + threadIdx.x; i < items;
       i += step) {
    const std::int64_t n = i / (g.outputs * g.c);
    y[i] = x[(n * g.inputs + index[i]) * g.c + i % g.c];
  }
}

template <class S, int kPack>
void run_forward(const PoolGeometry& g, const S* x, S* y, std::int64_t* index) {
  const std::int64_t items = g.n * g.positions() * (g.c / kPack);
  launch(max_pool_grid<S, kPack>, grid_stride_blocks(items, kPoolThreads), kPoolThreads, 0, Pool(g), x, y,
         index, items);
}

template <class S, int kPack>
void run_backward(const PoolGeometry& g, const S* dy, const std::int64_t* index, S* dx) {
  const Pool pool(g);
  const std::int64_t items = g.n * pool.inputs * (g.c / kPack);
  launch(max_pool_backward_grid<S, kPack>, grid_stride_blocks(items, kPoolThreads), kPoolThreads, 0, pool, dy,
         index, dx, items);
}

}  // namespace

void max_pool(const PoolGeometry& g, ConstView x, View y, View index) {
  with_floating("max_pool", x.dtype, [&](auto type) {
    using S = decltype(type);
    const auto run =
        pool_packs<S>(g, x.data, y.data, index.data) ? run_forward<S, kPoolPack<S>> : run_forward<S, 1>;
    run(g, x.as<S>(), y.as<S>(), index.as<std::int64_t>());
  });
}

void max_pool_backward(const PoolGeometry& g, ConstView dy, ConstView index, View dx) {
  with_floating("max_pool_backward", dy.dtype, [&](auto type) {
    using S = decltype(type);
    const auto run =
        pool_packs<S>(g, dy.data, dx.data, index.data) ? run_backward<S, kPoolPack<S>> : run_backward<S, 1>;
    run(g, dy.as<S>(), index.as<std::int64_t>(), dx.as<S>());
  });
}

void max_pool_gather(const PoolGeometry& g, ConstView x, ConstView index, View y) {
  with_floating("max_pool_gather", x.dtype, [&](auto type) {
    using S = decltype(type);
    const std::int64_t items = g.n * g.positions() * g.c;
    launch(max_pool_gather_grid<S>, grid_stride_blocks(items, kPoolThreads), kPoolThreads, 0, Pool(g),
           x.as<S>(), index.as<std::int64_t>(), y.as<S>(), items);
  });
}

}  // namespace isobit::gpu::kernels
