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

/// The real taps of output o on one axis: input coordinates first, first + step, ... (count of them), and how
/// many taps lie in the padded input.
struct Window {
  std::int64_t first, count, step, padded;
};
inline Window window(const PoolGeometry& g, std::size_t axis, std::int64_t o) {
  const AxisGeometry& a = g.axis[axis];
  if (g.adaptive) {
    const std::int64_t first = o * a.in / a.out, count = ((o + 1) * a.in - 1) / a.out + 1 - first;
    return {first, count, 1, count};
  }
  const std::int64_t step = a.filter == 1 ? 1 : a.dilation, start = o * a.stride - a.pad_before;
  if (start >= 0 && start + (a.filter - 1) * step < a.in) return {start, a.filter, step, a.filter};
  const auto taps_below = [&](std::int64_t limit) {  // taps whose coordinate is less than limit
    const std::int64_t room = limit - start;
    return room <= 0 ? 0 : std::min(a.filter, (room + step - 1) / step);
  };
  const std::int64_t skipped = taps_below(0);
  return {start + skipped * step, taps_below(a.in) - skipped, step,
          taps_below(a.in + a.pad_after) - taps_below(-a.pad_before)};
}
/// What an average over the window of output (o, p, q) is divided by.
inline std::int64_t divisor_of(const PoolGeometry& g, const Window& d, const Window& h, const Window& w) {
  if (g.sum) return 1;
  return g.count_include_pad ? d.padded * h.padded * w.padded : d.count * h.count * w.count;
}

/// For every input coordinate the outputs whose windows hold it, ascending: holder[begin[i]] ..
/// holder[begin[i + 1]].
struct Holders {
  std::vector<std::int64_t> begin, holder;

  Holders(const PoolGeometry& g, std::size_t axis) {
    const AxisGeometry& a = g.axis[axis];
    begin.reserve(static_cast<std::size_t>(a.in) + 1);
    for (std::int64_t i = 0; i < a.in; ++i) {
      begin.push_back(static_cast<std::int64_t>(holder.size()));
      if (g.adaptive) {  // floor(o in / out) <= i < ceil((o + 1) in / out), solved for o
        const std::int64_t end = ((i + 1) * a.out - 1) / a.in + 1;
        for (std::int64_t o = i * a.out / a.in; o < end; ++o) holder.push_back(o);
        continue;
      }
      const std::int64_t padded = i + a.pad_before, span = (a.filter - 1) * a.dilation;
      std::int64_t o = padded > span ? (padded - span + a.stride - 1) / a.stride : 0;
      for (; o < a.out && o * a.stride <= padded; ++o)
        if ((padded - o * a.stride) % a.dilation == 0) holder.push_back(o);
    }
    begin.push_back(static_cast<std::int64_t>(holder.size()));
  }
};

/// Calls body(pixel of y, positions of the real taps in the sample in window order, their number, what an
/// average divides by) for the output pixels of rows [begin, end) of all samples; `taps` is room for a
/// window.
template <class Body>
HWY_INLINE void for_windows(const PoolGeometry& g, std::int64_t begin, std::int64_t end, std::int64_t* taps,
                            const Body& body) {
  const auto& [depth, height, width] = g.axis;
  for (std::int64_t row = begin; row < end; ++row) {  // row of outputs: n, o, p
    const Window h = window(g, 1, row % height.out);
    const Window d = window(g, 0, row / height.out % depth.out);
    for (std::int64_t q = 0; q < width.out; ++q) {
      const Window w = window(g, 2, q);
      std::int64_t count = 0;
      for (std::int64_t t = 0; t < d.count; ++t)
        for (std::int64_t r = 0; r < h.count; ++r) {
          const std::int64_t line =
              ((d.first + t * d.step) * height.in + h.first + r * h.step) * width.in + w.first;
          for (std::int64_t s = 0; s < w.count; ++s) taps[count++] = line + s * w.step;
        }
      body(row * width.out + q, taps, count, divisor_of(g, d, h, w));
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
  return {Holders(g, 0), Holders(g, 1), Holders(g, 2)};
}
/// The most outputs that one pixel can lie in.
inline std::int64_t most_holders(const PoolGeometry& g) {
  std::int64_t product = 1;
  for (const AxisGeometry& a : g.axis)
    product *= std::min(g.adaptive ? (a.out - 1) / a.in + 2 : a.filter, a.out);
  return std::max<std::int64_t>(product, 1);
}
/// The most taps that a window has.
inline std::int64_t taps_of(const PoolGeometry& g) {
  std::int64_t product = 1;
  for (const AxisGeometry& a : g.axis)
    product *= g.adaptive ? std::min((a.in - 1) / a.out + 2, a.in) : a.filter;
  return product;
}
inline std::int64_t input_positions(const PoolGeometry& g) {
  return g.axis[0].in * g.axis[1].in * g.axis[2].in;
}

}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per target
