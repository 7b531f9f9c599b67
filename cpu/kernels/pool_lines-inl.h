// Pooling of few channels, a row of outputs at a time. A row of x is copied with its padding, and by phases
// (coordinate mod stride) where the stride is not 1: what a tap reads for neighbouring outputs then are
// neighbours, and a vector lane owns an element (q, c) of the row. Its taps come in window order as ever; the
// padding holds what changes nothing. Gradients are summed in such a row.
#if defined(ISOBIT_CPU_KERNELS_POOL_LINES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ISOBIT_CPU_KERNELS_POOL_LINES_INL_H_
#undef ISOBIT_CPU_KERNELS_POOL_LINES_INL_H_
#else
#define ISOBIT_CPU_KERNELS_POOL_LINES_INL_H_
#endif

#include "cpu/kernels/pool-inl.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {

/// Taps, elements of a row and of all rows under a window up to which rows are taken this way, and the fewest
/// outputs.
inline constexpr std::int64_t kMostTaps = 256, kLongestRow = std::int64_t{1} << 20,
                              kMostHeld = std::int64_t{1} << 22, kFewestOutputs = 4;
/// Strides up to which gradients are taken this way, and values: windows of a larger stride read so much more
/// than they write that the copy does not pay, unless the elements are to be widened.
inline constexpr std::int64_t kMostPhases = 16;
template <class S>
inline constexpr std::int64_t most_phases = std::is_same_v<S, Compute<S>> ? 4 : kMostPhases;

/// Adaptive windows that tile the input, as those of a stride; others as they are.
inline PoolGeometry plain_windows(PoolGeometry g) {
  if (!g.adaptive) return g;
  for (const AxisGeometry& a : g.axis)
    if (a.out == 0 || a.in % a.out != 0) return g;
  g.adaptive = false;
  for (AxisGeometry& a : g.axis) {
    a.filter = a.stride = a.in / a.out;
    a.dilation = 1;
    a.pad_before = a.pad_after = 0;
  }
  return g;
}

/// A padded row of pixels by phases: what tap s of output q reads, pixel s * step + q * stride - pad_before,
/// lies at of_tap(s) + q * c.
struct PaddedRow {
  std::int64_t c, stride, step, pad, pixels, room;

  PaddedRow(const AxisGeometry& width, std::int64_t channels)
      : c(channels),
        stride(width.stride),
        step(width.filter == 1 ? 1 : width.dilation),
        pad(width.pad_before) {
    const std::int64_t extent = (width.out - 1) * stride + (width.filter - 1) * step + 1;
    pixels = std::clamp<std::int64_t>(extent - pad, 0, width.in);  // that a tap reads
    room = ((extent - 1) / stride + 1) * c;
  }
  std::int64_t size() const { return stride * room; }
  std::int64_t of_tap(std::int64_t s) const { return s * step % stride * room + s * step / stride * c; }

  /// Whether rows are taken this way: where channels are few, because copying by phases costs a load and a
  /// store an element, and the stride is at most `strides`.
  template <class S>
  static bool serves(const PoolGeometry& g, std::int64_t strides) {
    const AxisGeometry& width = g.axis[2];
    const auto lanes = static_cast<std::int64_t>(Vec<Compute<S>>::size);
    return !g.adaptive && (width.stride == 1 ? g.c <= 2 * lanes : g.c < lanes) && width.stride <= strides &&
           taps_of(g) <= kMostTaps && width.out >= kFewestOutputs && width.pad_before >= 0 &&
           width.dilation <= kLongestRow && std::max(width.in, width.out) <= kLongestRow / g.c &&
           PaddedRow(width, g.c).size() * g.axis[0].filter * g.axis[1].filter <= kMostHeld;
  }
};

/// Calls body(element of the row, its place by phases) for the pixels that taps read. Constant channels and
/// strides make loops that compilers turn into shuffles.
template <std::int64_t kC, std::int64_t kStride, class Body>
HWY_INLINE void for_phases_of(const PaddedRow& row, const Body& body) {
  const std::int64_t c = kC > 0 ? kC : row.c, stride = kStride > 0 ? kStride : row.stride;
  for (std::int64_t u = 0; u < stride; ++u) {
    const std::int64_t count = (row.pixels - u + stride - 1) / stride;
    const std::int64_t to = (u + row.pad) % stride * row.room + (u + row.pad) / stride * c;
    for (std::int64_t i = 0; i < count; ++i)
      for (std::int64_t b = 0; b < c; ++b) body((u + i * stride) * c + b, to + i * c + b);
  }
}
template <class Body>
HWY_INLINE void for_phases(const PaddedRow& row, const Body& body) {
  if (row.c == 1 && row.stride == 2) return for_phases_of<1, 2>(row, body);
  if (row.c == 1) return for_phases_of<1, 0>(row, body);
  if (row.c == 2) return for_phases_of<2, 0>(row, body);
  if (row.c == 3) return for_phases_of<3, 0>(row, body);
  if (row.c == 4) return for_phases_of<4, 0>(row, body);
  for_phases_of<0, 0>(row, body);
}

/// What the taps of a row of windows read, in the compute type: run(k)[i] is what real or padded tap k reads
/// for element i = (q, c) of the row.
template <class S>
class TapRuns {
 public:
  using T = Compute<S>;

  /// The padding holds `filler`.
  TapRuns(const PoolGeometry& g, T filler)
      : g_(g),
        row_(g.axis[2], g.c),
        lines_(g.axis[0].filter * g.axis[1].filter),
        ring_(g.axis[0].filter == 1 && (g.axis[1].dilation == 1 || g.axis[1].filter == 1)),
        run_(taps_of(g)),
        position_(taps_of(g)),
        held_(lines_),
        widened_(row_.stride > 1 && !std::is_same_v<S, T> ? row_.pixels * g.c : 0),
        rows_(lines_ * row_.size()) {
    std::fill_n(held_.data(), lines_, std::int64_t{-1});
    std::fill_n(rows_.data(), rows_.size(), filler);
  }

  std::int64_t count() const { return count_; }
  const T* run(std::int64_t k) const { return run_[k]; }
  /// The position in the sample that tap k of output q has, less q * stride.
  std::int64_t position(std::int64_t k) const { return position_[k]; }

  /// The row of windows d, h over the sample n of x.
  void set(const Window& d, const Window& h, std::int64_t n, const S* x) {
    const auto& [depth, height, width] = g_.axis;
    std::int64_t slot = 0;
    count_ = 0;
    for (std::int64_t t = 0; t < d.count; ++t)
      for (std::int64_t r = 0; r < h.count; ++r, ++slot) {
        const std::int64_t line = (d.first + t * d.step) * height.in + h.first + r * h.step;
        const T* const from = row_of(n * depth.in * height.in + line, slot, x);
        for (std::int64_t s = 0; s < width.filter; ++s) {
          run_[count_] = from + row_.of_tap(s);
          position_[count_++] = line * width.in + s * row_.step - row_.pad;
        }
      }
  }

 private:
  /// Row `line` of x. Windows that go down row by row keep those that they share.
  const T* row_of(std::int64_t line, std::int64_t slot, const S* x) {
    const std::int64_t size = row_.pixels * g_.c;
    const S* const from = x + line * g_.axis[2].in * g_.c;
    if (ring_) slot = line % lines_;
    T* const to = rows_.data() + slot * row_.size();
    if (held_[slot] == line) return to;
    held_[slot] = line;
    if (row_.stride == 1) {
      convert_tile(from, to + row_.pad * g_.c, size);
    } else if constexpr (std::is_same_v<S, T>) {
      for_phases(row_, [&](std::int64_t in_row, std::int64_t place) { to[place] = from[in_row]; });
    } else {
      T* const wide = widened_.data();
      convert_tile(from, wide, size);
      for_phases(row_, [&](std::int64_t in_row, std::int64_t place) { to[place] = wide[in_row]; });
    }
    return to;
  }

  const PoolGeometry& g_;
  PaddedRow row_;
  std::int64_t lines_, count_ = 0;
  bool ring_;
  Scratch<const T*> run_;
  Scratch<std::int64_t> position_, held_;
  Scratch<T> widened_, rows_;
};

}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per target
