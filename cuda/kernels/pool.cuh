// What the pooling kernels share: the windows of PoolGeometry in device code, and the walk over elements.
// Every thread owns kPack neighbouring channels of one output (or, backward, of one input) position: 4 (2
// of f64) where the channels are a multiple of that and every view is aligned for it, else 1.
#pragma once
#include "core/geometry.h"
#include "cuda/kernels/element.cuh"

namespace isobit::gpu::kernels {

/// AxisGeometry for kernels, and with it the arithmetic of windows.
struct PoolAxis {
  std::int64_t in, filter, out, stride, dilation, before, after;

  /// Input coordinate of the first tap of window o.
  __device__ std::int64_t start(std::int64_t o) const { return o * stride - before; }
  /// The first tap that does not lie before the input.
  __device__ std::int64_t first_tap(std::int64_t start) const {
    return start >= 0 ? 0 : (-start + dilation - 1) / dilation;
  }
  /// One past the last tap that lies below coordinate `limit`.
  __device__ std::int64_t end_tap(std::int64_t start, std::int64_t limit) const {
    if (start >= limit) return 0;
    const std::int64_t end = (limit - 1 - start) / dilation + 1;
    return end < filter ? end : filter;
  }
  /// Taps of window o that an average divides by: those inside the input, or inside the padded input.
  __device__ std::int64_t count(std::int64_t o, bool include_pad) const {
    const std::int64_t s = start(o);
    if (include_pad) return end_tap(s, in + after);
    const std::int64_t first = first_tap(s), end = end_tap(s, in);
    return end > first ? end - first : 0;
  }
  /// The first window that may hold coordinate i, and one past the last.
  __device__ std::int64_t first_window(std::int64_t i) const {
    const std::int64_t reach = i + before - (filter - 1) * dilation;
    return reach <= 0 ? 0 : (reach + stride - 1) / stride;
  }
  __device__ std::int64_t end_window(std::int64_t i) const {
    const std::int64_t end = i + before < 0 ? 0 : (i + before) / stride + 1;
    return end < out ? end : out;
  }
  /// Whether window o, between the two, holds coordinate i: a dilated one may step over it.
  __device__ bool holds(std::int64_t o, std::int64_t i) const {
    return dilation == 1 || (i - start(o)) % dilation == 0;
  }
};

/// PoolGeometry for kernels.
struct Pool {
  std::int64_t n, c, inputs, outputs;  // inputs, outputs: positions of one sample
  bool include_pad;
  PoolAxis axis[3];

  explicit Pool(const PoolGeometry& g)
      : n(g.n), c(g.c), inputs(1), outputs(g.positions()), include_pad(g.count_include_pad), axis{} {
    for (std::size_t i = 0; i < 3; ++i) {
      const AxisGeometry& a = g.axis[i];
      axis[i] = {a.in, a.filter, a.out, a.stride, a.dilation, a.pad_before, a.pad_after};
      inputs *= a.in;
    }
  }
};

/// Where a thread stands: first channel, position {d, h, w} or {o, p, q} in sample n.
struct PoolPlace {
  std::int64_t c, at[3], n;
};

/// Item `item` of sample positions of extents e0 x e1 x e2 with `channels` items each.
__device__ inline PoolPlace pool_place(std::int64_t item, std::int64_t channels, std::int64_t e0,
                                       std::int64_t e1, std::int64_t e2) {
  PoolPlace place;
  place.c = item % channels;
  item /= channels;
  place.at[2] = item % e2;
  item /= e2;
  place.at[1] = item % e1;
  item /= e1;
  place.at[0] = item % e0;
  place.n = item / e0;
  return place;
}

inline constexpr int kPoolThreads = 256;
/// Channels of a thread: more f64 would not fit the registers.
template <class S>
inline constexpr int kPoolPack = sizeof(S) == 8 ? 2 : 4;

/// Whether every view and the channels allow packs; index views are of i64.
template <class S>
bool pool_packs(const PoolGeometry& g, const void* a, const void* b, const void* index) {
  return g.c % kPoolPack<S> == 0 && fits_packs<S, kPoolPack<S>>(a) && fits_packs<S, kPoolPack<S>>(b) &&
         fits_packs<std::int64_t, kPoolPack<S>>(index);
}

}  // namespace isobit::gpu::kernels
