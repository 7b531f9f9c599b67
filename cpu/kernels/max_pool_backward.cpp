// max_pool_backward, max_pool_gather: channels last, so a vector lane owns a channel. Backward is in gather
// form: each element of dx asks the windows that hold it, in row-major order, whether their maximum is here.
// Of few channels it is in scatter form: one output after the other, in row-major order. Positions are in 32
// bits beside f32 lanes. Results larger than the caches go past them.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/kernels/max_pool_backward.cpp"
#include "hwy/foreach_target.h"
#include "cpu/kernels/kernels.h"
#include "cpu/kernels/pool_lines-inl.h"
#include "cpu/kernels/stream-inl.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {
namespace {

/// Elements of dx that gradients are scattered over at a time.
constexpr std::int64_t kScattered = 32768;

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

/// The positions that a row of outputs chose, a lane each.
template <class S>
class Chosen {
 public:
  using T = Compute<S>;
  using Lane = typename Bits<T>::Lane;

  Chosen(const PoolGeometry& g, const S* dy, const std::int64_t* index)
      : ring(g),
        c_(g.c),
        size_(g.n * g.positions() * g.c),
        row_(g.axis[2].out * g.c),
        dy_(dy),
        index_(index),
        positions_(ring.slots() * row_ + static_cast<std::int64_t>(Vec<T>::size)) {
    std::fill(positions_.end() - Vec<T>::size, positions_.end(), Lane{0});
  }
  OutputRing ring;
  const Lane* data() const { return positions_.data(); }
  /// Sees to it that the outputs below `end` of a slot are there: at data() + slot * row size. A register of
  /// them may be read behind the last.
  HWY_INLINE void need(std::int64_t slot, std::int64_t end) const {
    ring.need(slot, end, [&](const OutputRing::Held& held) {
      const std::int64_t in_batch = held.line * row_ + held.done * c_;
      ask_ahead(index_, size_, in_batch, c_);
      ask_ahead(dy_, size_, in_batch, c_);
      const std::int64_t* const from = index_ + in_batch;
      Lane* const to = positions_.data() + slot * row_ + held.done * c_;
      for_vectors<T>(c_, [=](auto tail, std::int64_t i, std::int64_t lanes) HWY_ATTR {
        if constexpr (tail.value) {
          for (std::int64_t b = i; b < i + lanes; ++b) to[b] = static_cast<Lane>(from[b]);
        } else {
          hn::StoreU(load_positions<T, false>(from + i, lanes).raw, BitsTag<T>(), to + i);
        }
      });
    });
  }

 private:
  const std::int64_t c_, size_, row_;
  const S* dy_;
  const std::int64_t* index_;
  const Scratch<Lane> positions_;
};

template <bool kStream, class S>
void backward(const PoolGeometry& g, const S* dy, const std::int64_t* index, S* dx) {
  using T = Compute<S>;
  using Lane = typename Bits<T>::Lane;
  const AxisGeometry &depth = g.axis[0], &height = g.axis[1], &width = g.axis[2];
  const std::int64_t rows = g.n * depth.in * height.in, c = g.c;
  const std::int64_t row_size = width.in * c, out_size = width.out * c;
  if (rows == 0 || row_size == 0) return;
  const Holders in_depth(g, 0), in_height(g, 1), in_width(g, 2);
  const std::int64_t step = holder_step(g, 2);
  for_rows(rows, row_size * static_cast<std::int64_t>(16 + 2 * sizeof(S)),
           [&](std::int64_t begin, std::int64_t end) {
             constexpr std::int64_t size = Vec<T>::size;
             const std::int64_t most = most_holders(g);
             Chosen<S> chosen(g, dy, index);
             RowTaps of_dy(most, step * c), of_chosen(most, step * c);
             const Scratch<std::int64_t> unmade(most);  // slots of the row
             for (std::int64_t row = begin; row < end; ++row) {
               const std::int64_t h = row % height.in, d = row / height.in % depth.in,
                                  n = row / height.in / depth.in;
               std::int64_t unmade_count = 0;
               of_dy.start_row();
               of_chosen.start_row();
               for (std::int64_t i = in_depth.begin[d]; i < in_depth.begin[d + 1]; ++i)
                 for (std::int64_t j = in_height.begin[h]; j < in_height.begin[h + 1]; ++j) {
                   const std::int64_t slot = chosen.ring.slot(n, in_depth.holder[i], in_height.holder[j]);
                   if (!chosen.ring.done(slot)) unmade[unmade_count++] = slot;
                   of_dy.add_line(chosen.ring.at(slot).line * out_size);
                   of_chosen.add_line(slot * out_size);
                 }
               S* to = dx + row * row_size;
               for (std::int64_t w = 0; w < width.in; ++w, to += c) {
                 const std::int64_t held = in_width.count(w), first = held == 0 ? 0 : in_width.first(w);
                 for (std::int64_t i = 0; i < unmade_count; ++i)
                   chosen.need(unmade[i], held == 0 ? 0 : first + (held - 1) * step + 1);
                 const std::int64_t *const dy_offset = of_dy.of(held), *const offset = of_chosen.of(held);
                 const std::int64_t any_count = of_dy.count(held);
                 const S* const from = dy + first * c;
                 const Lane* const at = chosen.data() + first * c;
                 const Bits<T> here(static_cast<Lane>((d * height.in + h) * width.in + w));
                 for_groups<T>(
                     any_count, c,
                     [=](auto known, auto vectors, auto tail, std::int64_t i, std::int64_t lanes) HWY_ATTR {
                       constexpr int kVectors = vectors.value;
                       const std::int64_t count = known.value > 0 ? known.value : any_count;
                       Vec<T> sum[kVectors];
                       for (Vec<T>& v : sum) v = Vec<T>(T{0});
                       for (std::int64_t t = 0; t < count; ++t)
                         for (int v = 0; v < kVectors; ++v) {
                           const Bits<T> position(hn::LoadU(BitsTag<T>(), at + offset[t] + i + v * size));
                           const Vec<T> term =
                               load_some<T, tail.value>(from + dy_offset[t] + i + v * size, lanes);
                           sum[v] = select(position == here, sum[v] + term, sum[v]);
                         }
                       for (int v = 0; v < kVectors; ++v)
                         put<kStream, tail.value>(sum[v], to + i + v * size, lanes);
                     });
               }
             }
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
HWY_EXPORT(run_max_pool_backward);
HWY_EXPORT(run_max_pool_gather);

namespace kernels {
const char* refuse_max_pool_backward(const PoolGeometry& g, ConstView, ConstView, View) {
  return refuse_max_pool(g, {}, {}, {});
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
