// What the pooling kernels share: the windows of PoolGeometry in device code, and the walk over elements.
// Every thread owns kPack neighbouring channels of one output (or, backward, of one input) position: 4 (2
// of f64) where the channels are a multiple of that and every view is aligned for it, else 1.
#pragma once
#include "core/geometry.h"
#include "cuda/kernels/element.cuh"

namespace isobit::gpu::kernels {

/// What an average divides by: nothing, the taps inside the input, or those inside the padded input.
enum class PoolCount : std::uint8_t { one, real, padded };

/// The coordinates of a window that lie inside the input: first, first + step, ... below end.
struct PoolTaps {
  std::int64_t first, end;
};

/// AxisGeometry for kernels, and with it the arithmetic of windows. Of an adaptive axis step is 1, and
/// filter, stride and padding are not looked at.
struct PoolAxis {
  std::int64_t in, filter, out, stride, step, before, after;
  bool adaptive;
  PoolCount counted;

  __device__ std::int64_t steps(std::int64_t distance) const {
    return step == 1 ? distance : distance / step;
  }

  __device__ PoolTaps taps(std::int64_t o) const {
    if (adaptive) return {o * in / out, ((o + 1) * in - 1) / out + 1};
    const std::int64_t start = o * stride - before, end = start + (filter - 1) * step + 1;
    const std::int64_t skipped = start < 0 ? steps(step - 1 - start) : 0;
    return {start + skipped * step, end < in ? end : in};
  }
  /// Taps of window o that an average divides by.
  __device__ std::int64_t count(std::int64_t o) const {
    if (counted == PoolCount::one) return 1;
    if (counted == PoolCount::padded) {  // the window begins in the padded input
      const std::int64_t fitting = steps(in + after - 1 - (o * stride - before)) + 1;
      return fitting < filter ? fitting : filter;
    }
    const PoolTaps t = taps(o);
    return steps(t.end - 1 - t.first) + 1;
  }
  /// The first window that may hold coordinate i, and one past the last.
  __device__ std::int64_t first_window(std::int64_t i) const {
    if (adaptive) return i * out / in;
    const std::int64_t reach = i + before - (filter - 1) * step;
    return reach <= 0 ? 0 : (reach + stride - 1) / stride;
  }
  __device__ std::int64_t end_window(std::int64_t i) const {
    if (adaptive) return ((i + 1) * out - 1) / in + 1;
    const std::int64_t end = (i + before) / stride + 1;
    return end < out ? end : out;
  }
  /// Whether window o, between the two, holds coordinate i: a dilated one may step over it.
  __device__ bool holds(std::int64_t o, std::int64_t i) const {
    return step == 1 || (i - (o * stride - before)) % step == 0;
  }
};

/// PoolGeometry for kernels.
struct Pool {
  std::int64_t n, c, inputs, outputs;  // inputs, outputs: positions of one sample
  PoolAxis axis[3];

  explicit Pool(const PoolGeometry& g) : n(g.n), c(g.c), inputs(1), outputs(g.positions()), axis{} {
    const bool padded = g.count_include_pad && !g.adaptive;
    const PoolCount counted = g.sum ? PoolCount::one : padded ? PoolCount::padded : PoolCount::real;
    for (std::size_t i = 0; i < 3; ++i) {
      const AxisGeometry& a = g.axis[i];
      const std::int64_t step = g.adaptive || a.filter == 1 ? 1 : a.dilation;
      axis[i] = {a.in, a.filter, a.out, a.stride, step, a.pad_before, a.pad_after, g.adaptive, counted};
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
