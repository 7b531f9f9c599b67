// avg_pool and its gradient: channels last, a vector lane owns a channel and sums the real taps of its window
// in window order; the gradient of an element sums dy / count over the windows that hold it in row-major
// order. A sum is an average whose count is 1: dividing by it changes no bit. Where channels are few, a lane
// owns an element (q, c) of a row of outputs, or of dx (pool_lines-inl.h). Results larger than the caches go
// past them.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/kernels/avg_pool.cpp"
#include "hwy/foreach_target.h"
#include "cpu/kernels/kernels.h"
#include "cpu/kernels/pool_lines-inl.h"
#include "cpu/kernels/stream-inl.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {
namespace {

/// Whether pixels of `c` channels go past the caches.
template <class S>
bool goes_past_caches(View out, std::int64_t c) {
  constexpr std::int64_t size = sizeof(S);
  return std::is_same_v<S, Compute<S>> && past_caches(out.data, out.numel * size, c * size);
}

template <bool kStream, class S>
void forward(const PoolGeometry& g, const S* x, S* y) {
  using T = Compute<S>;
  const std::int64_t rows = g.n * g.axis[0].out * g.axis[1].out, row_size = g.axis[2].out * g.c;
  const std::int64_t sample = input_positions(g) * g.c, pixels = g.positions(), c = g.c;
  for_rows(rows, row_size * static_cast<std::int64_t>(sizeof(S) * (1 + taps_of(g))),
           [&](std::int64_t begin, std::int64_t end) {
             Scratch<std::int64_t> room(taps_of(g));
             Scratch<const S*> pointers(taps_of(g));
             const S** const from = pointers.data();
             for_windows(
                 g, begin, end, room.data(),
                 [&](std::int64_t pixel, const std::int64_t* taps, std::int64_t count, std::int64_t by) {
                   const S* const in = x + pixel / pixels * sample;
                   for (std::int64_t t = 0; t < count; ++t) from[t] = in + taps[t] * c;
                   S* const out = y + pixel * c;
                   const Vec<T> divisor(static_cast<T>(by));
                   for_vectors<T>(c, [=](auto tail, std::int64_t i, std::int64_t lanes) HWY_ATTR {
                     Vec<T> sum(T{0});
                     for (std::int64_t t = 0; t < count; ++t)
                       sum += load_some<T, tail.value>(from[t] + i, lanes);
                     put<kStream, tail.value>(sum / divisor, out + i, lanes);
                   });
                 });
             if (kStream) hwy::FlushStream();
           });
}

/// What the elements (q, c) of a row of outputs are divided by.
template <class T>
class Divisors {
 public:
  explicit Divisors(const PoolGeometry& g) : g_(g), divisor_(g.axis[2].out * g.c) {}

  /// Those of the row of windows d, h; they depend on the windows' extents alone.
  const T* of(const Window& d, const Window& h) {
    const std::int64_t by = g_.count_include_pad ? d.padded * h.padded : d.count * h.count;
    if (by != by_)
      for (std::int64_t q = 0; q < g_.axis[2].out; ++q)
        std::fill_n(divisor_.data() + q * g_.c, g_.c, static_cast<T>(divisor_of(g_, d, h, window(g_, 2, q))));
    by_ = by;
    return divisor_.data();
  }

 private:
  const PoolGeometry& g_;
  Scratch<T> divisor_;
  std::int64_t by_ = -1;
};

/// The padding holds -0, which adds nothing.
template <class S>
void forward_lines(const PoolGeometry& g, const S* x, S* y) {
  using T = Compute<S>;
  const AxisGeometry &depth = g.axis[0], &height = g.axis[1], &width = g.axis[2];
  const std::int64_t row_size = width.out * g.c;
  for_rows(g.n * depth.out * height.out, row_size * static_cast<std::int64_t>(sizeof(S) * (1 + taps_of(g))),
           [&](std::int64_t begin, std::int64_t end) {
             TapRuns<S> taps(g, -T{0});
             Divisors<T> divisors(g);
             for (std::int64_t row = begin; row < end; ++row) {
               const Window h = window(g, 1, row % height.out);
               const Window d = window(g, 0, row / height.out % depth.out);
               const T* const divisor = divisors.of(d, h);
               S* const to = y + row * row_size;
               taps.set(d, h, row / height.out / depth.out, x);
               for_vectors<T>(row_size, [&](auto tail, std::int64_t i, std::int64_t lanes) HWY_ATTR {
                 Vec<T> sum(T{0});
                 for (std::int64_t k = 0; k < taps.count(); ++k)
                   sum += load_some<T, tail.value>(taps.run(k) + i, lanes);
                 store_some<tail.value>(sum / load_some<T, tail.value>(divisor + i, lanes), to + i, lanes);
               });
             }
           });
}

/// to[0 ... n) += from.
template <class T>
HWY_INLINE void add_run(const T* from, T* to, std::int64_t n) {
  for_vectors<T>(n, [&](auto tail, std::int64_t i, std::int64_t lanes) HWY_ATTR {
    store_some<tail.value>(
        load_some<T, tail.value>(to + i, lanes) + load_some<T, tail.value>(from + i, lanes), to + i, lanes);
  });
}

/// A row of dx: the shares of the rows of outputs that hold it, ascending, and of each row tap by tap, from
/// the last to the first: an element then meets its outputs in ascending order.
template <class S>
void backward_lines(const PoolGeometry& g, const S* dy, S* dx) {
  using T = Compute<S>;
  const AxisGeometry &depth = g.axis[0], &height = g.axis[1], &width = g.axis[2];
  const std::int64_t row_size = width.in * g.c, out_size = width.out * g.c;
  const Holders in_depth(g, 0), in_height(g, 1);
  const PaddedRow padded(width, g.c);
  for_rows(g.n * depth.in * height.in, row_size * static_cast<std::int64_t>(4 * sizeof(S)),
           [&](std::int64_t begin, std::int64_t end) {
             const Scratch<T> sums(padded.size()), share(out_size), joined(row_size);
             Divisors<T> divisors(g);
             for (std::int64_t row = begin; row < end; ++row) {
               const std::int64_t h = row % height.in, d = row / height.in % depth.in,
                                  n = row / height.in / depth.in;
               std::fill_n(sums.data(), sums.size(), T{0});
               for (std::int64_t i = in_depth.begin[d]; i < in_depth.begin[d + 1]; ++i)
                 for (std::int64_t j = in_height.begin[h]; j < in_height.begin[h + 1]; ++j) {
                   const std::int64_t o = in_depth.holder[i], p = in_height.holder[j];
                   const T* const divisor = divisors.of(window(g, 0, o), window(g, 1, p));
                   const S* const from = dy + ((n * depth.out + o) * height.out + p) * out_size;
                   for_vectors<T>(out_size, [&](auto tail, std::int64_t e, std::int64_t lanes) HWY_ATTR {
                     store_some<tail.value>(load_some<T, tail.value>(from + e, lanes) /
                                                load_some<T, tail.value>(divisor + e, lanes),
                                            share.data() + e, lanes);
                   });
                   for (std::int64_t s = width.filter - 1; s >= 0; --s)
                     add_run<T>(share.data(), sums.data() + padded.of_tap(s), out_size);
                 }
               const T* pixels = sums.data() + padded.pad * g.c;
               if (padded.stride > 1) {
                 std::fill_n(joined.data() + padded.pixels * g.c, row_size - padded.pixels * g.c, T{0});
                 for_phases(padded,
                            [&](std::int64_t in_row, std::int64_t place) { joined[in_row] = sums[place]; });
                 pixels = joined.data();
               }
               convert_tile(pixels, dx + row * row_size, row_size);
             }
           });
}

/// Rows of dy, divided, in the compute type; kept while the windows go down over the input.
template <class S>
class Shares {
 public:
  using T = Compute<S>;

  Shares(const PoolGeometry& g, const S* dy)
      : g_(g),
        dy_(dy),
        slots_{slots(g, 0), slots(g, 1)},
        row_(g.axis[2].out * g.c),
        held_(slots_[0] * slots_[1]),
        shares_(slots_[0] * slots_[1] * row_) {
    std::fill(held_.begin(), held_.end(), std::int64_t{-1});
  }

  /// Row (o, p) of sample n. It stays until one comes that no window shares an element with.
  const T* row(std::int64_t n, std::int64_t o, std::int64_t p) {
    const std::int64_t slot = o % slots_[0] * slots_[1] + p % slots_[1];
    const std::int64_t line = (n * g_.axis[0].out + o) * g_.axis[1].out + p;
    T* const share = shares_.data() + slot * row_;
    if (held_[slot] == line) return share;
    held_[slot] = line;
    const Window d = window(g_, 0, o), h = window(g_, 1, p);
    const S* from = dy_ + line * row_;
    for (std::int64_t q = 0; q < g_.axis[2].out; ++q) {
      const Vec<T> divisor(static_cast<T>(divisor_of(g_, d, h, window(g_, 2, q))));
      const std::int64_t at = q * g_.c;
      for_vectors<T>(g_.c, [=](auto tail, std::int64_t i, std::int64_t lanes) HWY_ATTR {
        store_some<tail.value>(load_some<T, tail.value>(from + at + i, lanes) / divisor, share + at + i,
                               lanes);
      });
    }
    return share;
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
  const S* dy_;
  const std::int64_t slots_[2];
  const std::int64_t row_;
  const Scratch<std::int64_t> held_;
  const Scratch<T> shares_;
};

template <bool kStream, class S>
void backward(const PoolGeometry& g, const S* dy, S* dx) {
  using T = Compute<S>;
  const auto& [depth, height, width] = g.axis;
  const std::int64_t rows = g.n * depth.in * height.in, c = g.c, row_size = width.in * c;
  if (rows == 0 || row_size == 0) return;
  const std::array<Holders, 3> holders = all_holders(g);
  const Holders &in_depth = holders[0], &in_height = holders[1], &in_width = holders[2];
  for_rows(rows, row_size * static_cast<std::int64_t>(4 * sizeof(S)),
           [&, depth_in = depth.in, height_in = height.in, width_in = width.in](std::int64_t begin,
                                                                                std::int64_t end) {
             Shares<S> shares(g, dy);
             const std::int64_t most = most_holders(g);
             const Scratch<const T*> lines(most), room(most);
             const T** const from = room.data();
             for (std::int64_t row = begin; row < end; ++row) {
               const std::int64_t h = row % height_in, d = row / height_in % depth_in,
                                  n = row / height_in / depth_in;
               std::int64_t line_count = 0;
               for (std::int64_t i = in_depth.begin[d]; i < in_depth.begin[d + 1]; ++i)
                 for (std::int64_t j = in_height.begin[h]; j < in_height.begin[h + 1]; ++j)
                   lines[line_count++] = shares.row(n, in_depth.holder[i], in_height.holder[j]);
               for (std::int64_t w = 0; w < width_in; ++w) {
                 std::int64_t count = 0;
                 for (std::int64_t line = 0; line < line_count; ++line)
                   for (std::int64_t k = in_width.begin[w]; k < in_width.begin[w + 1]; ++k)
                     from[count++] = lines[line] + in_width.holder[k] * c;
                 S* const to = dx + row * row_size + w * c;
                 for_vectors<T>(c, [=](auto tail, std::int64_t i, std::int64_t lanes) HWY_ATTR {
                   Vec<T> sum(T{0});
                   for (std::int64_t t = 0; t < count; ++t)
                     sum += load_some<T, tail.value>(from[t] + i, lanes);
                   put<kStream, tail.value>(sum, to + i, lanes);
                 });
               }
             }
             if (kStream) hwy::FlushStream();
           });
}

}  // namespace

void run_avg_pool(const PoolGeometry& given, ConstView x, View y) {
  if (y.numel == 0) return;
  const PoolGeometry g = plain_windows(given);
  with_floating(x.dtype, [&](auto type) {
    using S = decltype(type);
    const bool stream = goes_past_caches<S>(y, g.c);
    const auto run = PaddedRow::serves<S>(g, most_phases<S>) ? forward_lines<S>
                     : stream                                ? forward<true, S>
                                                             : forward<false, S>;
    run(g, x.as<S>(), y.as<S>());
  });
}
void run_avg_pool_backward(const PoolGeometry& given, ConstView dy, View dx) {
  if (dx.numel == 0) return;
  const PoolGeometry g = plain_windows(given);
  with_floating(dy.dtype, [&](auto type) {
    using S = decltype(type);
    const bool stream = goes_past_caches<S>(dx, g.c);
    const auto run = PaddedRow::serves<S>(g, kMostPhases) ? backward_lines<S>
                     : stream                             ? backward<true, S>
                                                          : backward<false, S>;
    run(g, dy.as<S>(), dx.as<S>());
  });
}

}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace isobit::cpu {
HWY_EXPORT(run_avg_pool);
HWY_EXPORT(run_avg_pool_backward);

namespace kernels {
void avg_pool(const PoolGeometry& g, ConstView x, View y) {
  HWY_DYNAMIC_DISPATCH(run_avg_pool)(g, x, y);
}
void avg_pool_backward(const PoolGeometry& g, ConstView dy, View dx) {
  HWY_DYNAMIC_DISPATCH(run_avg_pool_backward)(g, dy, dx);
}
}  // namespace kernels
}  // namespace isobit::cpu
#endif
