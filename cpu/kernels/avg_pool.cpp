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
#include "cpu/kernels/pool_runs-inl.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {
namespace {

/// Whether pixels of `c` channels go past the caches.
template <class S>
bool goes_past_caches(View out, std::int64_t c) {
  constexpr std::int64_t size = sizeof(S);
  return std::is_same_v<S, Compute<S>> && past_caches(out.data, out.numel * size, c * size);
}

/// The sums of kVectors registers of channels over the taps at x[first + offset[...]].
template <int kCount, int kVectors, bool kTail, class T, class S>
HWY_INLINE void sum_taps(const S* x, const std::int64_t* offset, std::int64_t any_count, std::int64_t lanes,
                         Vec<T> (&sum)[kVectors]) {
  constexpr std::int64_t size = Vec<T>::size;
  const std::int64_t count = kCount > 0 ? kCount : any_count;
  for (Vec<T>& v : sum) v = Vec<T>(T{0});
  for (std::int64_t t = 0; t < count; ++t)
    for (int v = 0; v < kVectors; ++v) sum[v] += load_some<T, kTail>(x + offset[t] + v * size, lanes);
}

template <bool kStream, class S>
void forward(const PoolGeometry& g, const S* x, S* y) {
  using T = Compute<S>;
  const AxisGeometry &depth = g.axis[0], &height = g.axis[1], &width = g.axis[2];
  const std::int64_t c = g.c, row_size = width.out * c, in_row = width.in * c;
  const std::int64_t size = g.n * input_positions(g) * c, news = new_elements(g);
  const std::vector<Window> columns = windows_of(g, 2);
  const PixelRun run = run_of_windows(g, columns);
  for_rows(
      g.n * depth.out * height.out, row_size * static_cast<std::int64_t>(sizeof(S) * (1 + taps_of(g))),
      [&](std::int64_t begin, std::int64_t end) {
        RowTaps taps(taps_of(g), columns[0].step * c);
        for (std::int64_t row = begin; row < end; ++row) {
          const Window h = window(g, 1, row % height.out);
          const Window d = window(g, 0, row / height.out % depth.out);
          const std::int64_t sample = row / height.out / depth.out * depth.in;
          std::int64_t line = 0;
          taps.start_row();
          for (std::int64_t t = 0; t < d.count; ++t)
            for (std::int64_t r = 0; r < h.count; ++r) {
              line = (sample + d.first + t * d.step) * height.in + h.first + r * h.step;
              taps.add_line(line * in_row);
            }
          S* const to = y + row * row_size;
          const auto pixels = [&](std::int64_t first, std::int64_t last) {
            std::int64_t ahead = line * in_row + first * news;
            for (std::int64_t q = first; q < last; ++q, ahead += news) {
              const Window& w = columns[static_cast<std::size_t>(q)];
              const std::int64_t* const offset = taps.of(w.count);
              const std::int64_t count = taps.count(w.count);
              const S* const from = x + w.first * c;
              S* const pixel = to + q * c;
              const Vec<T> divisor(static_cast<T>(divisor_of(g, d, h, w)));
              ask_ahead(x, size, ahead, news);
              for_groups<T>(
                  count, c,
                  [=](auto known, auto vectors, auto tail, std::int64_t i, std::int64_t lanes) HWY_ATTR {
                    Vec<T> sum[vectors.value];
                    sum_taps<known.value, vectors.value, tail.value>(from + i, offset, count, lanes, sum);
                    for (int v = 0; v < vectors.value; ++v)
                      put<kStream, tail.value>(sum[v] / divisor, pixel + i + v * lanes, lanes);
                  });
            }
          };
          pixels(0, run.begin);
          if (run.begin < run.end) {
            const Window& w = columns[static_cast<std::size_t>(run.begin)];
            const std::int64_t n = (run.end - run.begin) * c, at = line * in_row + w.first * c;
            const S* const ahead = ahead_of(x, size, at, n);
            const Vec<T> divisor(static_cast<T>(divisor_of(g, d, h, w)));
            with_count(taps.count(w.count), [&](auto known) HWY_ATTR {
              sum_run<known.value, kStream, T>(x + w.first * c, taps.of(w.count), taps.count(w.count), n,
                                               to + run.begin * c, [=](Vec<T> sum, std::int64_t i) HWY_ATTR {
                                                 __builtin_prefetch(ahead + i, 0, 2);
                                                 return sum / divisor;
                                               });
            });
          }
          pixels(run.end, width.out);
        }
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

/// dy of a row of outputs, divided, in the compute type.
template <class S>
class Shares {
 public:
  using T = Compute<S>;

  Shares(const PoolGeometry& g, const std::array<std::vector<Window>, 3>& windows, const S* dy)
      : g_(g),
        windows_(windows),
        dy_(dy),
        size_(g.n * g.positions() * g.c),
        row_(g.axis[2].out * g.c),
        ring(g),
        shares_(ring.slots() * row_) {}

  const T* data() const { return shares_.data(); }
  std::int64_t row_size() const { return row_; }
  /// Sees to it that the outputs below `end` of a slot are there: at data() + slot * row_size().
  HWY_INLINE void need(std::int64_t slot, std::int64_t end) const {
    ring.need(slot, end, [&](const OutputRing::Held& held) {
      const auto& [d, h, w] = windows_;
      const Vec<T> divisor(static_cast<T>(divisor_of(g_, d[held.o], h[held.p], w[held.done])));
      const std::int64_t at = held.line * row_ + held.done * g_.c;
      ask_ahead(dy_, size_, at, g_.c);
      const S* const from = dy_ + at;
      T* const to = shares_.data() + slot * row_ + held.done * g_.c;
      for_vectors<T>(g_.c, [=](auto tail, std::int64_t i, std::int64_t lanes) HWY_ATTR {
        store_some<tail.value>(load_some<T, tail.value>(from + i, lanes) / divisor, to + i, lanes);
      });
    });
  }

 private:
  const PoolGeometry& g_;
  const std::array<std::vector<Window>, 3>& windows_;
  const S* dy_;
  const std::int64_t size_, row_;

 public:
  OutputRing ring;

 private:
  const Scratch<T> shares_;
};

template <bool kStream, class S>
void backward(const PoolGeometry& g, const S* dy, S* dx) {
  using T = Compute<S>;
  const AxisGeometry &depth = g.axis[0], &height = g.axis[1], &width = g.axis[2];
  const std::int64_t rows = g.n * depth.in * height.in, c = g.c, row_size = width.in * c;
  if (rows == 0 || row_size == 0) return;
  const Holders in_depth(g, 0), in_height(g, 1), in_width(g, 2);
  const std::array<std::vector<Window>, 3> windows{windows_of(g, 0), windows_of(g, 1), windows_of(g, 2)};
  const std::int64_t step = holder_step(g, 2);
  const PixelRun run = run_of_holders(g, in_width);
  for_rows(
      rows, row_size * static_cast<std::int64_t>(4 * sizeof(S)), [&](std::int64_t begin, std::int64_t end) {
        const std::int64_t most = most_holders(g);
        Shares<S> shares(g, windows, dy);
        RowTaps taps(most, step * c);
        const Scratch<std::int64_t> unmade(most);  // slots of the row
        for (std::int64_t row = begin; row < end; ++row) {
          const std::int64_t h = row % height.in, d = row / height.in % depth.in,
                             n = row / height.in / depth.in;
          std::int64_t unmade_count = 0;
          taps.start_row();
          for (std::int64_t i = in_depth.begin[d]; i < in_depth.begin[d + 1]; ++i)
            for (std::int64_t j = in_height.begin[h]; j < in_height.begin[h + 1]; ++j) {
              const std::int64_t slot = shares.ring.slot(n, in_depth.holder[i], in_height.holder[j]);
              if (!shares.ring.done(slot)) unmade[unmade_count++] = slot;
              taps.add_line(slot * shares.row_size());
            }
          S* const to = dx + row * row_size;
          const auto make = [&](std::int64_t outputs) {
            for (std::int64_t i = 0; i < unmade_count; ++i) shares.need(unmade[i], outputs);
          };
          const auto pixels = [&](std::int64_t from_w, std::int64_t to_w) {
            for (std::int64_t w = from_w; w < to_w; ++w) {
              const std::int64_t held = in_width.count(w), first = held == 0 ? 0 : in_width.first(w);
              make(held == 0 ? 0 : first + (held - 1) * step + 1);
              const std::int64_t* const offset = taps.of(held);
              const std::int64_t count = taps.count(held);
              const T* const from = shares.data() + first * c;
              S* const pixel = to + w * c;
              for_groups<T>(
                  count, c,
                  [=](auto known, auto vectors, auto tail, std::int64_t i, std::int64_t lanes) HWY_ATTR {
                    Vec<T> sum[vectors.value];
                    sum_taps<known.value, vectors.value, tail.value>(from + i, offset, count, lanes, sum);
                    for (int v = 0; v < vectors.value; ++v)
                      put<kStream, tail.value>(sum[v], pixel + i + v * lanes, lanes);
                  });
            }
          };
          pixels(0, run.begin);
          if (run.begin < run.end) {
            const std::int64_t held = in_width.count(run.begin), first = in_width.first(run.begin);
            make(first + run.end - 1 - run.begin + (held - 1) * step + 1);
            const T* const from = shares.data() + first * c;
            with_count(taps.count(held), [&](auto known) HWY_ATTR {
              sum_run<known.value, kStream, T>(from, taps.of(held), taps.count(held),
                                               (run.end - run.begin) * c, to + run.begin * c,
                                               [](Vec<T> sum, std::int64_t) HWY_ATTR { return sum; });
            });
          }
          pixels(run.end, width.in);
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
