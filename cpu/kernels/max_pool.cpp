// max_pool, max_pool_backward, max_pool_gather: channels last, so a vector lane owns a channel; where
// channels are few, an element (q, c) of a row of outputs (pool_lines-inl.h). Backward is in gather form:
// each element of dx asks the windows that hold it, in row-major order, whether their maximum is here; what
// does not match adds -0, which changes nothing. Of few channels it is in scatter form: one output after the
// other, in row-major order. Positions are kept in 32 bits beside f32 lanes. Gradients
// larger than the caches go past them.
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

/// Elements of dx that gradients are scattered over at a time.
constexpr std::int64_t kScattered = 32768;

template <class T>
HWY_INLINE void store_positions(Bits<T> v, std::int64_t* to, std::int64_t n) {
  using Lane = typename Bits<T>::Lane;
  HWY_ALIGN Lane lanes[Vec<T>::size];
  hn::Store(v.raw, BitsTag<T>(), lanes);
  if (n == static_cast<std::int64_t>(Vec<T>::size)) {
    for (std::size_t i = 0; i < Vec<T>::size; ++i) to[i] = static_cast<std::int64_t>(lanes[i]);
  } else {
    for (std::int64_t i = 0; i < n; ++i) to[i] = static_cast<std::int64_t>(lanes[i]);
  }
}

template <class T, bool kTail>
HWY_INLINE Bits<T> load_positions(const std::int64_t* from, std::int64_t n) {
  if constexpr (kTail) {
    std::int64_t all[Vec<T>::size];
    for (std::int64_t i = 0; i < static_cast<std::int64_t>(Vec<T>::size); ++i) all[i] = i < n ? from[i] : -1;
    return load_positions<T, false>(all, n);
  } else if constexpr (Vec<T>::size == 1) {
    return Bits<T>(static_cast<typename Bits<T>::Lane>(*from));
  } else {
    constexpr BitsTag<T> d;
    const auto* p = reinterpret_cast<const typename Bits<T>::Lane*>(from);
    if constexpr (sizeof(T) == 8) {
      return Bits<T>(hn::LoadU(d, p));
    } else {
#if HWY_TARGET == HWY_SCALAR
      return Bits<T>(*p);
#else
      return Bits<T>(hn::ConcatEven(d, hn::LoadU(d, p + Vec<T>::size), hn::LoadU(d, p)));  // the low halves
#endif
    }
  }
}

/// The better of what was found and `v` at `here`: NaN wins, then the first of equals.
template <class T>
HWY_INLINE void choose(Vec<T> v, Bits<T> here, Vec<T>& best, Bits<T>& at) {
  const Mask<T> better = (v > best) | ((v != v) & (best == best));
  best = select(better, v, best);
  at = select(better, here, at);
}

template <class S>
void forward(const PoolGeometry& g, const S* x, S* y, std::int64_t* index) {
  using T = Compute<S>;
  const std::int64_t rows = g.n * g.axis[0].out * g.axis[1].out, row_size = g.axis[2].out * g.c;
  const std::int64_t sample = input_positions(g) * g.c, pixels = g.positions(), c = g.c;
  for_rows(rows, row_size * static_cast<std::int64_t>(8 + sizeof(S) * (1 + taps_of(g))),
           [&](std::int64_t begin, std::int64_t end) {
             Scratch<std::int64_t> room(taps_of(g));
             for_windows(g, begin, end, room.data(),
                         [&](std::int64_t pixel, const std::int64_t* taps, std::int64_t count, std::int64_t) {
                           const S* in = x + pixel / pixels * sample;
                           S* out = y + pixel * c;
                           std::int64_t* where = index + pixel * c;
                           for_vectors<T>(c, [&](auto tail, std::int64_t i, std::int64_t lanes) HWY_ATTR {
                             using Lane = typename Bits<T>::Lane;
                             Vec<T> best = load_some<T, tail.value>(in + taps[0] * c + i, lanes);
                             Bits<T> at(static_cast<Lane>(taps[0]));
                             for (std::int64_t t = 1; t < count; ++t)
                               choose(load_some<T, tail.value>(in + taps[t] * c + i, lanes),
                                      Bits<T>(static_cast<Lane>(taps[t])), best, at);
                             store_some<tail.value>(best, out + i, lanes);
                             store_positions<T>(at, where + i, lanes);
                           });
                         });
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
            store_positions<T>(at + moved, index + to + i, lanes);
          });
        }
      });
}

/// Whether the windows tile the input: then each element of dx has exactly one window.
bool tiles_input(const PoolGeometry& g) {
  if (g.adaptive) return false;
  for (const AxisGeometry& a : g.axis) {
    if (a.filter != a.stride || a.dilation != 1 || a.pad_before != 0 || a.in != a.out * a.stride)
      return false;
  }
  return true;
}

/// Backward where the windows tile the input: dy and its position are read once and written over the window.
template <bool kStream, class S>
void backward_tiled(const PoolGeometry& g, const S* dy, const std::int64_t* index, S* dx) {
  using T = Compute<S>;
  const std::int64_t rows = g.n * g.axis[0].out * g.axis[1].out, row_size = g.axis[2].out * g.c;
  const std::int64_t sample = input_positions(g) * g.c, pixels = g.positions(), c = g.c;
  for_rows(rows, row_size * static_cast<std::int64_t>(8 + sizeof(S) * (1 + taps_of(g))),
           [&](std::int64_t begin, std::int64_t end) {
             Scratch<std::int64_t> room(taps_of(g));
             for_windows(
                 g, begin, end, room.data(),
                 [&](std::int64_t pixel, const std::int64_t* taps, std::int64_t count, std::int64_t) {
                   S* to = dx + pixel / pixels * sample;
                   const std::int64_t from = pixel * c;
                   for_vectors<T>(c, [&](auto tail, std::int64_t i, std::int64_t lanes) HWY_ATTR {
                     const Vec<T> zero(T{0}), value = zero + load_some<T, tail.value>(dy + from + i, lanes);
                     const Bits<T> at = load_positions<T, tail.value>(index + from + i, lanes);
                     for (std::int64_t t = 0; t < count; ++t) {
                       const Bits<T> here(static_cast<typename Bits<T>::Lane>(taps[t]));
                       put<kStream, tail.value>(select(at == here, value, zero), to + taps[t] * c + i, lanes);
                     }
                   });
                 });
             if (kStream) hwy::FlushStream();
           });
}

/// The rows of outputs whose windows may reach the rows [first, last) of x: [begin, end).
struct OutputRows {
  std::int64_t begin, end;
};
inline OutputRows rows_over(const PoolGeometry& g, std::int64_t first, std::int64_t last) {
  const AxisGeometry& a = g.axis[1];
  if (g.adaptive) return {first * a.out / a.in, (last * a.out - 1) / a.in + 1};
  const std::int64_t lowest = first + a.pad_before - (a.filter - 1) * a.dilation;
  const std::int64_t highest = last - 1 + a.pad_before;
  return {lowest <= 0 ? 0 : (lowest + a.stride - 1) / a.stride,
          highest < 0 ? 0 : std::min(highest / a.stride + 1, a.out)};
}

/// Backward of few channels: a task owns rows of dx and looks at the outputs whose windows may reach them, in
/// row-major order; each adds its dy to the element that it chose, if that is one of these.
template <class S>
void backward_scattered(const PoolGeometry& g, const S* dy, const std::int64_t* index, S* dx) {
  using T = Compute<S>;
  const AxisGeometry &depth = g.axis[0], &height = g.axis[1], &width = g.axis[2];
  const std::int64_t planes = g.n * depth.in, row_size = width.in * g.c, c = g.c;
  const std::int64_t span = g.adaptive ? 0 : (height.filter - 1) * height.dilation;
  const std::int64_t rows = std::min(std::max<std::int64_t>(kScattered / row_size, span + 1), height.in);
  const std::int64_t parts = (height.in + rows - 1) / rows;
  const Holders in_depth(g, 0);
  for_rows(planes * parts, rows * row_size * static_cast<std::int64_t>(16 + 2 * sizeof(S)),
           [&](std::int64_t begin, std::int64_t end) {
             const Scratch<T> room(std::is_same_v<S, T> ? 0 : rows * row_size);
             for (std::int64_t task = begin; task < end; ++task) {
               const std::int64_t plane = task / parts, d = plane % depth.in, n = plane / depth.in;
               const std::int64_t first = task % parts * rows, last = std::min(first + rows, height.in);
               const std::int64_t size = (last - first) * row_size;
               S* const to = dx + (plane * height.in + first) * row_size;
               T* sums;
               if constexpr (std::is_same_v<S, T>) {
                 sums = to;
               } else {
                 sums = room.data();
               }
               std::fill_n(sums, size, T{0});
               const auto [from, until] = rows_over(g, first, last);
               const std::int64_t start = (d * height.in + first) * width.in;
               const auto positions = static_cast<std::uint64_t>((last - first) * width.in);
               for (std::int64_t i = in_depth.begin[d]; from < until && i < in_depth.begin[d + 1]; ++i) {
                 const std::int64_t plane_out = (n * depth.out + in_depth.holder[i]) * height.out;
                 const std::int64_t stop = (plane_out + until) * width.out * c;
                 for (std::int64_t e = (plane_out + from) * width.out * c; e < stop; e += c)
                   for (std::int64_t b = 0; b < c; ++b) {
                     const std::int64_t at = index[e + b] - start;
                     if (static_cast<std::uint64_t>(at) < positions)
                       sums[at * c + b] = sums[at * c + b] + numerics::cast<T>(dy[e + b]);
                   }
               }
               if constexpr (!std::is_same_v<S, T>) convert_tile(static_cast<const T*>(sums), to, size);
             }
           });
}

template <bool kStream, class S>
void backward(const PoolGeometry& g, const S* dy, const std::int64_t* index, S* dx) {
  using T = Compute<S>;
  const std::int64_t rows = g.n * g.axis[0].in * g.axis[1].in, row_size = g.axis[2].in * g.c, c = g.c;
  if (rows == 0 || row_size == 0) return;
  const std::array<Holders, 3> holders = all_holders(g);
  for_rows(
      rows, row_size * static_cast<std::int64_t>(16 + 2 * sizeof(S)),
      [&](std::int64_t begin, std::int64_t end) {
        Scratch<std::int64_t> room(most_holders(g));
        for_holders(
            g, holders, begin, end, room.data(),
            [&](std::int64_t pixel, std::int64_t position, const std::int64_t* outputs, std::int64_t count) {
              S* to = dx + pixel * c;
              for_vectors<T>(c, [&](auto tail, std::int64_t i, std::int64_t lanes) HWY_ATTR {
                const Bits<T> here(static_cast<typename Bits<T>::Lane>(position));
                const Vec<T> nothing(-T{0});
                Vec<T> sum(T{0});
                for (std::int64_t o = 0; o < count; ++o) {
                  const Bits<T> at = load_positions<T, tail.value>(index + outputs[o] * c + i, lanes);
                  sum +=
                      select(at == here, load_some<T, tail.value>(dy + outputs[o] * c + i, lanes), nothing);
                }
                put<kStream, tail.value>(sum, to + i, lanes);
              });
            });
        if (kStream) hwy::FlushStream();
      });
}

template <class U>
void gather(const PoolGeometry& g, const U* x, const std::int64_t* index, U* y) {
  const std::int64_t pixels = g.positions(), sample = input_positions(g) * g.c, c = g.c;
  if (c == 0) return;
  for_rows(g.n * pixels, c * 24, [&](std::int64_t begin, std::int64_t end) {
    while (begin < end) {
      const std::int64_t n = begin / pixels, stop = std::min(end, (n + 1) * pixels);
      const U* in = x + n * sample;
      for (; begin < stop; ++begin)
        for (std::int64_t i = 0; i < c; ++i) y[begin * c + i] = in[index[begin * c + i] * c + i];
    }
  });
}

}  // namespace

void run_max_pool(const PoolGeometry& given, ConstView x, View y, View index) {
  if (y.numel == 0) return;
  const PoolGeometry g = plain_windows(given);
  with_floating(x.dtype, [&](auto type) {
    using S = decltype(type);
    const auto run = PaddedRow::serves<S>(g, most_phases<S>) ? forward_lines<S> : forward<S>;
    run(g, x.as<S>(), y.as<S>(), index.as<std::int64_t>());
  });
}
void run_max_pool_backward(const PoolGeometry& given, ConstView dy, ConstView index, View dx) {
  if (dx.numel == 0) return;
  const PoolGeometry g = plain_windows(given);
  with_floating(dy.dtype, [&](auto type) {
    using S = decltype(type);
    const bool tiled = tiles_input(g);
    const auto lanes = static_cast<std::int64_t>(Vec<Compute<S>>::size);
    constexpr std::int64_t size = sizeof(S);
    const bool stream = std::is_same_v<S, Compute<S>> && past_caches(dx.data, dx.numel * size, g.c * size);
    const auto run = g.c < (tiled ? lanes : 2 * lanes) ? backward_scattered<S>
                     : tiled ? (stream ? backward_tiled<true, S> : backward_tiled<false, S>)
                             : (stream ? backward<true, S> : backward<false, S>);
    run(g, dy.as<S>(), index.as<std::int64_t>(), dx.as<S>());
  });
}
void run_max_pool_gather(const PoolGeometry& g, ConstView x, ConstView index, View y) {
  const auto* at = index.as<std::int64_t>();
  switch (size_of(x.dtype)) {
    case 2:
      return gather(g, x.as<std::uint16_t>(), at, y.as<std::uint16_t>());
    case 4:
      return gather(g, x.as<std::uint32_t>(), at, y.as<std::uint32_t>());
    default:
      return gather(g, x.as<std::uint64_t>(), at, y.as<std::uint64_t>());
  }
}

}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace isobit::cpu {
HWY_EXPORT(run_max_pool);
HWY_EXPORT(run_max_pool_backward);
HWY_EXPORT(run_max_pool_gather);

namespace kernels {
namespace {
const char* refuse_positions(const PoolGeometry& g) {
  std::int64_t positions = 1;
  for (const AxisGeometry& a : g.axis) positions *= a.in;
  return positions < std::int64_t{1} << 32 ? nullptr : "a sample has 2^32 positions or more";
}
}  // namespace

const char* refuse_max_pool(const PoolGeometry& g, ConstView, View, View) {
  return refuse_positions(g);
}
void max_pool(const PoolGeometry& g, ConstView x, View y, View index) {
  HWY_DYNAMIC_DISPATCH(run_max_pool)(g, x, y, index);
}
const char* refuse_max_pool_backward(const PoolGeometry& g, ConstView, ConstView, View) {
  return refuse_positions(g);
}
void max_pool_backward(const PoolGeometry& g, ConstView dy, ConstView index, View dx) {
  HWY_DYNAMIC_DISPATCH(run_max_pool_backward)(g, dy, index, dx);
}
void max_pool_gather(const PoolGeometry& g, ConstView x, ConstView index, View y) {
  HWY_DYNAMIC_DISPATCH(run_max_pool_gather)(g, x, index, y);
}
}  // namespace kernels
}  // namespace isobit::cpu
#endif
