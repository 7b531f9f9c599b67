// Index arithmetic of pooling, one axis at a time: which taps of a window are real, and which windows hold an
// input coordinate. The walks over pixels that the pooling kernels share. A vector lane owns a channel; a
// task owns rows of pixels.
#if defined(ISOBIT_CPU_KERNELS_POOL_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ISOBIT_CPU_KERNELS_POOL_INL_H_
#undef ISOBIT_CPU_KERNELS_POOL_INL_H_
#else
#define ISOBIT_CPU_KERNELS_POOL_INL_H_
#endif

#include <vector>

#include "core/geometry.h"
#include "cpu/kernels/tiles-inl.h"
#include "cpu/runtime/scratch.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {

/// The real taps of output o: input coordinates first, first + dilation, ... (count of them), and how many
/// taps lie in the padded input.
struct Window {
  std::int64_t first, count, padded;
};
inline Window window(const AxisGeometry& a, std::int64_t o) {
  const std::int64_t start = o * a.stride - a.pad_before;
  const auto taps_below = [&](std::int64_t limit) {  // taps whose coordinate is less than limit
    const std::int64_t room = limit - start;
    return room <= 0 ? 0 : std::min(a.filter, (room + a.dilation - 1) / a.dilation);
  };
  const std::int64_t skipped = taps_below(0);
  return {start + skipped * a.dilation, taps_below(a.in) - skipped,
          taps_below(a.in + a.pad_after) - taps_below(-a.pad_before)};
}

/// For every input coordinate the outputs whose windows hold it, ascending: holder[begin[i]] ..
/// holder[begin[i + 1]].
struct Holders {
  std::vector<std::int64_t> begin, holder;

  explicit Holders(const AxisGeometry& a) {
    begin.reserve(static_cast<std::size_t>(a.in) + 1);
    for (std::int64_t i = 0; i < a.in; ++i) {
      begin.push_back(static_cast<std::int64_t>(holder.size()));
      const std::int64_t padded = i + a.pad_before, span = (a.filter - 1) * a.dilation;
      std::int64_t o = padded > span ? (padded - span + a.stride - 1) / a.stride : 0;
      for (; o < a.out && o * a.stride <= padded; ++o)
        if ((padded - o * a.stride) % a.dilation == 0) holder.push_back(o);
    }
    begin.push_back(static_cast<std::int64_t>(holder.size()));
  }
};

/// Calls body(pixel of y, positions of the real taps in the sample in window order, their number, padded
/// taps) for the output pixels [begin, end) of all samples; `taps` is room for a window.
template <class Body>
HWY_INLINE void for_windows(const PoolGeometry& g, std::int64_t begin, std::int64_t end, std::int64_t* taps,
                            const Body& body) {
  const auto& [depth, height, width] = g.axis;
  for (std::int64_t row = begin; row < end; ++row) {  // row of outputs: n, o, p
    const Window h = window(height, row % height.out);
    const Window d = window(depth, row / height.out % depth.out);
    for (std::int64_t q = 0; q < width.out; ++q) {
      const Window w = window(width, q);
      std::int64_t count = 0;
      for (std::int64_t t = 0; t < d.count; ++t)
        for (std::int64_t r = 0; r < h.count; ++r) {
          const std::int64_t line =
              ((d.first + t * depth.dilation) * height.in + h.first + r * height.dilation) * width.in +
              w.first;
          for (std::int64_t s = 0; s < w.count; ++s) taps[count++] = line + s * width.dilation;
        }
      body(row * width.out + q, taps, count, d.padded * h.padded * w.padded);
    }
  }
}

/// Calls body(pixel of x, its position in the sample, outputs of the batch that hold it in row-major order,
/// their number) for input rows [begin, end); a row is (n, d, h).
template <class Body>
HWY_INLINE void for_holders(const PoolGeometry& g, const std::array<Holders, 3>& holders, std::int64_t begin,
                            std::int64_t end, std::int64_t* outputs, const Body& body) {
  const auto& [depth, height, width] = g.axis;
  for (std::int64_t row = begin; row < end; ++row) {
    const std::int64_t h = row % height.in, d = row / height.in % depth.in, n = row / height.in / depth.in;
    for (std::int64_t w = 0; w < width.in; ++w) {
      std::int64_t count = 0;
      for (std::int64_t i = holders[0].begin[d]; i < holders[0].begin[d + 1]; ++i)
        for (std::int64_t j = holders[1].begin[h]; j < holders[1].begin[h + 1]; ++j) {
          const std::int64_t line =
              ((n * depth.out + holders[0].holder[i]) * height.out + holders[1].holder[j]) * width.out;
          for (std::int64_t k = holders[2].begin[w]; k < holders[2].begin[w + 1]; ++k)
            outputs[count++] = line + holders[2].holder[k];
        }
      body(row * width.in + w, (d * height.in + h) * width.in + w, outputs, count);
    }
  }
}

inline std::array<Holders, 3> all_holders(const PoolGeometry& g) {
  return {Holders(g.axis[0]), Holders(g.axis[1]), Holders(g.axis[2])};
}
/// The most outputs that one pixel can lie in.
inline std::int64_t most_holders(const PoolGeometry& g) {
  std::int64_t product = 1;
  for (const AxisGeometry& a : g.axis) product *= std::min(a.filter, a.out);
  return std::max<std::int64_t>(product, 1);
}
inline std::int64_t taps_of(const PoolGeometry& g) {
  return g.axis[0].filter * g.axis[1].filter * g.axis[2].filter;
}
inline std::int64_t input_positions(const PoolGeometry& g) {
  return g.axis[0].in * g.axis[1].in * g.axis[2].in;
}

}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per target
