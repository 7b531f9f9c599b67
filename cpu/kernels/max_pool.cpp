// max_pool: channels last, so a vector lane owns a channel; where channels are few, an element (q, c) of a
// row of outputs (pool_lines-inl.h). Positions are in 32 bits beside f32 lanes. Results larger than the
// caches go past them. Its gradient: max_pool_backward.cpp.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/kernels/max_pool.cpp"
#include "hwy/foreach_target.h"
#include <limits>

#include "cpu/kernels/kernels.h"
#include "cpu/kernels/pool_lines-inl.h"
#include "cpu/kernels/stream-inl.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {
namespace {

/// Positions as they are kept; past the caches when kStream is true (stream-inl.h).
template <bool kStream, bool kTail, class T>
HWY_INLINE void store_positions(Bits<T> v, std::int64_t* to, std::int64_t n) {
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
  if constexpr (!kTail) {
    constexpr hn::ScalableTag<std::uint64_t> d;
    auto* const wide = reinterpret_cast<std::uint64_t*>(to);
    const auto put_wide = [=](auto positions, std::uint64_t* p) HWY_ATTR {
      if constexpr (kStream) {
        hn::Stream(positions, d, p);
      } else {
        hn::StoreU(positions, d, p);
      }
    };
    if constexpr (sizeof(T) == 8) {
      put_wide(v.raw, wide);
    } else {
      put_wide(hn::PromoteTo(d, hn::LowerHalf(v.raw)), wide);
      put_wide(hn::PromoteTo(d, hn::UpperHalf(hn::Half<BitsTag<T>>(), v.raw)), wide + Vec<T>::size / 2);
    }
    return;
  }
#endif
  HWY_ALIGN typename Bits<T>::Lane lanes[Vec<T>::size];
  hn::Store(v.raw, BitsTag<T>(), lanes);
  for (std::int64_t i = 0; i < n; ++i) to[i] = static_cast<std::int64_t>(lanes[i]);
}

/// The better of what was found and `v` at `here`: NaN wins, then the first of equals.
template <class T>
HWY_INLINE void choose(Vec<T> v, Bits<T> here, Vec<T>& best, Bits<T>& at) {
  const Mask<T> better = (best == best) & !(v <= best);
  best = select(better, v, best);
  at = select(better, here, at);
}

/// The taps of a row of windows: where they are read, and their positions in the sample.
struct WindowTaps {
  RowTaps read, position;
  std::int64_t last_line = 0;  // of x

  explicit WindowTaps(const PoolGeometry& g)
      : read(taps_of(g), step(g) * g.c), position(taps_of(g), step(g)) {}
  /// Row (o, p) of sample n.
  void start(const PoolGeometry& g, std::int64_t n, std::int64_t o, std::int64_t p) {
    const Window d = window(g, 0, o), h = window(g, 1, p);
    read.start_row();
    position.start_row();
    for (std::int64_t t = 0; t < d.count; ++t)
      for (std::int64_t r = 0; r < h.count; ++r) {
        const std::int64_t line = (d.first + t * d.step) * g.axis[1].in + h.first + r * h.step;
        last_line = n * g.axis[0].in * g.axis[1].in + line;
        read.add_line(last_line * g.axis[2].in * g.c);
        position.add_line(line * g.axis[2].in);
      }
  }
  static std::int64_t step(const PoolGeometry& g) { return window(g, 2, 0).step; }
};

template <bool kStream, class S>
void forward(const PoolGeometry& g, const S* x, S* y, std::int64_t* index) {
  using T = Compute<S>;
  using Lane = typename Bits<T>::Lane;
  const AxisGeometry &depth = g.axis[0], &height = g.axis[1], &width = g.axis[2];
  const std::int64_t c = g.c, row_size = width.out * c, x_size = g.n * input_positions(g) * c;
  const std::int64_t news = new_elements(g);
  const std::vector<Window> columns = windows_of(g, 2);
  for_rows(g.n * depth.out * height.out,
           row_size * static_cast<std::int64_t>(8 + sizeof(S) * (1 + taps_of(g))),
           [&](std::int64_t begin, std::int64_t end) {
             constexpr std::int64_t size = Vec<T>::size;
             WindowTaps taps(g);
             for (std::int64_t row = begin; row < end; ++row) {
               taps.start(g, row / height.out / depth.out, row / height.out % depth.out, row % height.out);
               S* to = y + row * row_size;
               std::int64_t* where = index + row * row_size;
               std::int64_t ahead = taps.last_line * width.in * c;
               for (const Window& w : columns) {
                 const std::int64_t *const offset = taps.read.of(w.count), *const position =
                                                                               taps.position.of(w.count);
                 const std::int64_t any_count = taps.read.count(w.count), first = w.first;
                 const S* const from = x + first * c;
                 ask_ahead(x, x_size, ahead, news);
                 ahead += news;
                 for_groups<T>(
                     any_count, c,
                     [=](auto known, auto vectors, auto tail, std::int64_t i, std::int64_t lanes) HWY_ATTR {
                       constexpr int kVectors = vectors.value;
                       const std::int64_t count = known.value > 0 ? known.value : any_count;
                       Vec<T> best[kVectors];
                       Bits<T> at[kVectors];
                       for (int v = 0; v < kVectors; ++v) {
                         best[v] = load_some<T, tail.value>(from + offset[0] + i + v * size, lanes);
                         at[v] = Bits<T>(static_cast<Lane>(position[0] + first));
                       }
                       for (std::int64_t t = 1; t < count; ++t) {
                         const Bits<T> here(static_cast<Lane>(position[t] + first));
                         for (int v = 0; v < kVectors; ++v)
                           choose(load_some<T, tail.value>(from + offset[t] + i + v * size, lanes), here,
                                  best[v], at[v]);
                       }
                       for (int v = 0; v < kVectors; ++v) {
                         put<kStream, tail.value>(best[v], to + i + v * size, lanes);
                         store_positions<kStream, tail.value, T>(at[v], where + i + v * size, lanes);
                       }
                     });
                 to += c;
                 where += c;
               }
             }
             if (kStream) hwy::FlushStream();
           });
}

/// The padding holds -infinity, which never is better; where all is -infinity, the first real tap stands.
/// Positions are reckoned from that of the output's first tap, if need be below 0, in wrapping integers.
template <class S>
void forward_lines(const PoolGeometry& g, const S* x, S* y, std::int64_t* index) {
  using T = Compute<S>;
  using Lane = typename Bits<T>::Lane;
  constexpr BitsTag<T> d_bits;
  const AxisGeometry &depth = g.axis[0], &height = g.axis[1], &width = g.axis[2];
  const std::int64_t row_size = width.out * g.c, room = row_size + static_cast<std::int64_t>(Vec<T>::size);
  const Scratch<Lane> shifts(room), firsts(room);  // of q: q * stride, and the column of its first real tap
  for (std::int64_t q = 0; q < width.out; ++q) {
    std::fill_n(shifts.data() + q * g.c, g.c, static_cast<Lane>(q * width.stride));
    std::fill_n(firsts.data() + q * g.c, g.c, static_cast<Lane>(window(g, 2, q).first));
  }
  std::fill(shifts.data() + row_size, shifts.end(), Lane{0});
  std::fill(firsts.data() + row_size, firsts.end(), Lane{0});
  const Lane *const shift = shifts.data(), *const first = firsts.data();
  for_rows(
      g.n * depth.out * height.out, row_size * static_cast<std::int64_t>(8 + sizeof(S) * (1 + taps_of(g))),
      [&](std::int64_t begin, std::int64_t end) {
        constexpr T kLowest = -std::numeric_limits<T>::infinity();
        TapRuns<S> taps(g, kLowest);
        for (std::int64_t row = begin; row < end; ++row) {
          const Window h = window(g, 1, row % height.out);
          const Window d = window(g, 0, row / height.out % depth.out);
          const std::int64_t to = row * row_size, line = (d.first * height.in + h.first) * width.in;
          taps.set(d, h, row / height.out / depth.out, x);
          for_vectors<T>(row_size, [&](auto tail, std::int64_t i, std::int64_t lanes) HWY_ATTR {
            const Bits<T> moved(hn::LoadU(d_bits, shift + i));
            Vec<T> best(kLowest);
            Bits<T> at = Bits<T>(static_cast<Lane>(line)) + Bits<T>(hn::LoadU(d_bits, first + i)) - moved;
            for (std::int64_t k = 0; k < taps.count(); ++k)
              choose(load_some<T, tail.value>(taps.run(k) + i, lanes),
                     Bits<T>(static_cast<Lane>(taps.position(k))), best, at);
            store_some<tail.value>(best, y + to + i, lanes);
            store_positions<false, tail.value, T>(at + moved, index + to + i, lanes);
          });
        }
      });
}

}  // namespace

void run_max_pool(const PoolGeometry& given, ConstView x, View y, View index) {
  if (y.numel == 0) return;
  const PoolGeometry g = plain_windows(given);
  with_floating(x.dtype, [&](auto type) {
    using S = decltype(type);
    constexpr std::int64_t size = sizeof(S);
    const bool stream = past_caches(y.data, y.numel * (size + 8), g.c * size) &&
                        on_line(index.as<std::int64_t>()) && std::is_same_v<S, Compute<S>>;
    const auto run = PaddedRow::serves<S>(g, most_phases<S>) ? forward_lines<S>
                     : stream                                ? forward<true, S>
                                                             : forward<false, S>;
    run(g, x.as<S>(), y.as<S>(), index.as<std::int64_t>());
  });
}
}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace isobit::cpu {
HWY_EXPORT(run_max_pool);

namespace kernels {
const char* refuse_max_pool(const PoolGeometry& g, ConstView, View, View) {
  std::int64_t positions = 1;
  for (const AxisGeometry& a : g.axis) positions *= a.in;
  return positions < std::int64_t{1} << 32 ? nullptr : "a sample has 2^32 positions or more";
}
void max_pool(const PoolGeometry& g, ConstView x, View y, View index) {
  HWY_DYNAMIC_DISPATCH(run_max_pool)(g, x, y, index);
}
}  // namespace kernels
}  // namespace isobit::cpu
#endif
