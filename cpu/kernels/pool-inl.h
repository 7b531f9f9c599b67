// Index arithmetic of pooling, one axis at a time: which taps of a window are real, and which windows hold an
// input coordinate. The walks over pixels that the pooling kernels share. A vector lane owns a channel; a
// task owns rows of pixels.
#if defined(ISOBIT_CPU_KERNELS_POOL_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ISOBIT_CPU_KERNELS_POOL_INL_H_
#undef ISOBIT_CPU_KERNELS_POOL_INL_H_
#else
#define ISOBIT_CPU_KERNELS_POOL_INL_H_
#endif

#include <numeric>
#include <vector>

#include "core/geometry.h"
#include "cpu/kernels/ahead-inl.h"
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
inline std::vector<Window> windows_of(const PoolGeometry& g, std::size_t axis) {
  std::vector<Window> all;
  all.reserve(static_cast<std::size_t>(g.axis[axis].out));
  for (std::int64_t o = 0; o < g.axis[axis].out; ++o) all.push_back(window(g, axis, o));
  return all;
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
  std::int64_t first(std::int64_t i) const { return holder[static_cast<std::size_t>(begin[i])]; }
  std::int64_t count(std::int64_t i) const { return begin[i + 1] - begin[i]; }
};
/// How far apart the outputs lie that hold one coordinate.
inline std::int64_t holder_step(const PoolGeometry& g, std::size_t axis) {
  const AxisGeometry& a = g.axis[axis];
  return g.adaptive ? 1 : a.dilation / std::gcd(a.dilation, a.stride);
}

/// What the positions of one row read: of some lines, `n` pixels `step` apart, line by line. Offsets are
/// reckoned from a position's first pixel; of two n, an even and an odd one, they are kept over the row.
class RowTaps {
 public:
  RowTaps(std::int64_t most, std::int64_t step)
      : step_(step), most_(most), lines_(most), offsets_(2 * most) {}
  void start_row() {
    line_count_ = 0;
    n_[0] = n_[1] = -1;
  }
  void add_line(std::int64_t offset) { lines_[line_count_++] = offset; }
  std::int64_t lines() const { return line_count_; }
  std::int64_t count(std::int64_t n) const { return line_count_ * n; }
  const std::int64_t* of(std::int64_t n) {
    const std::int64_t kept = n & 1;
    if (n != n_[kept]) fill(n);
    return offsets_.data() + kept * most_;
  }

 private:
  void fill(std::int64_t n) {
    std::int64_t* to = offsets_.data() + (n & 1) * most_;
    for (std::int64_t line = 0; line < line_count_; ++line)
      for (std::int64_t s = 0; s < n; ++s) *to++ = lines_[line] + s * step_;
    n_[n & 1] = n;
  }
  std::int64_t step_, most_, line_count_ = 0, n_[2] = {-1, -1};
  Scratch<std::int64_t> lines_, offsets_;
};

/// Calls body(constant) with the number of taps as a constant, which spares a branch that is guessed wrong at
/// every pixel, or with 0 when it is an unusual one.
template <class Body>
HWY_INLINE void with_count(std::int64_t count, const Body& body) {
  if (!(HWY_IS_ASAN || HWY_IS_TSAN)) {  // built with a sanitizer it would take minutes
    if (count == 1) return body(std::integral_constant<int, 1>());
    if (count == 2) return body(std::integral_constant<int, 2>());
    if (count == 4) return body(std::integral_constant<int, 4>());
    if (count == 9) return body(std::integral_constant<int, 9>());
  }
  body(std::integral_constant<int, 0>());
}

/// Which rows of outputs a gradient keeps at hand, made over as it wants them, while it goes down over the
/// input. A row stays in its slot until one comes that no window shares an element with, and is made only as
/// far as it is read: between the sums, which leave the units idle that make it.
class OutputRing {
 public:
  explicit OutputRing(const PoolGeometry& g) : g_(g), slots_{slots(g, 0), slots(g, 1)}, held_(slots()) {
    std::fill(held_.begin(), held_.end(), Held{-1, 0, 0, 0});
  }
  std::int64_t slots() const { return slots_[0] * slots_[1]; }

  /// A row's index in the batch, o and p, and how many of its outputs are made.
  struct Held {
    std::int64_t line, o, p, done;
  };
  /// The slot of row (o, p) of sample n.
  std::int64_t slot(std::int64_t n, std::int64_t o, std::int64_t p) {
    const std::int64_t slot = o % slots_[0] * slots_[1] + p % slots_[1];
    const std::int64_t line = (n * g_.axis[0].out + o) * g_.axis[1].out + p;
    if (held_[slot].line != line) held_[slot] = {line, o, p, 0};
    return slot;
  }
  const Held& at(std::int64_t slot) const { return held_[slot]; }
  bool done(std::int64_t slot) const { return held_[slot].done == g_.axis[2].out; }
  /// Calls make(held) for the outputs below `end` of a slot that are not made yet.
  template <class Make>
  HWY_INLINE void need(std::int64_t slot, std::int64_t end, const Make& make) const {
    for (Held& held = held_[slot]; held.done < end; ++held.done) make(held);
  }

 private:
  // Outputs from the first to the last whose windows may hold one coordinate.
  static std::int64_t slots(const PoolGeometry& g, std::size_t axis) {
    const AxisGeometry& a = g.axis[axis];
    const std::int64_t most =
        g.adaptive ? (a.out - 1) / a.in + 2 : (a.filter - 1) * a.dilation / a.stride + 1;
    return std::clamp<std::int64_t>(most, 1, std::max<std::int64_t>(a.out, 1));
  }

  const PoolGeometry& g_;
  const std::int64_t slots_[2];
  const Scratch<Held> held_;
};

/// Elements of x that a row of windows reads for the first time, for each of its outputs: what to ask for
/// ahead of the windows. 0 where they leave out some.
inline std::int64_t new_elements(const PoolGeometry& g) {
  std::int64_t product = g.c;
  for (std::size_t axis = 1; axis < 3; ++axis) {
    const AxisGeometry& a = g.axis[axis];
    if (!g.adaptive && a.stride > a.filter) return 0;
    product *= g.adaptive ? std::max<std::int64_t>(a.in / a.out, 1) : a.stride;
  }
  return product;
}

/// Calls body(count, vectors, tail, i, lanes) for the channels of a pixel that `taps` are taken of: of four
/// registers at a time, then of one; `count` as in with_count, `vectors` and `tail` are constants. body is a
/// lambda with HWY_ATTR.
template <class T, class Body>
HWY_INLINE void for_groups(std::int64_t taps, std::int64_t c, const Body& body) {
  constexpr std::int64_t size = Vec<T>::size;
  std::int64_t i = 0;
  if (c >= 4 * size)
    with_count(taps, [&](auto count) HWY_ATTR {
      for (; i + 4 * size <= c; i += 4 * size)
        body(count, std::integral_constant<int, 4>(), std::false_type(), i, size);
    });
  constexpr std::integral_constant<int, 0> any;
  for (; i + size <= c; i += size) body(any, std::integral_constant<int, 1>(), std::false_type(), i, size);
  if (i < c) body(any, std::integral_constant<int, 1>(), std::true_type(), i, c - i);
}
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
