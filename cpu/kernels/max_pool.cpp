// max_pool, max_pool_backward, max_pool_gather: channels last, so a vector lane owns a channel. Backward is
// in gather form: each element of dx asks the windows that hold it, in row-major order, whether their maximum
// is here; what does not match adds -0, which changes nothing. Positions are kept in 32 bits beside f32
// lanes.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/kernels/max_pool.cpp"
#include "hwy/foreach_target.h"
#include "cpu/kernels/kernels.h"
#include "cpu/kernels/pool-inl.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {
namespace {

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

template <class S>
void forward(const PoolGeometry& g, const S* x, S* y, std::int64_t* index) {
  using T = Compute<S>;
  const std::int64_t rows = g.n * g.axis[0].out * g.axis[1].out, row_size = g.axis[2].out * g.c;
  const std::int64_t sample = input_positions(g) * g.c, pixels = g.positions(), c = g.c;
  if (rows == 0 || row_size == 0) return;
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
                             for (std::int64_t t = 1; t < count; ++t) {
                               const Vec<T> v = load_some<T, tail.value>(in + taps[t] * c + i, lanes);
                               const Mask<T> better = (v > best) | ((v != v) & (best == best));
                               best = select(better, v, best);
                               at = select(better, Bits<T>(static_cast<Lane>(taps[t])), at);
                             }
                             store_some<tail.value>(best, out + i, lanes);
                             store_positions<T>(at, where + i, lanes);
                           });
                         });
           });
}

/// Whether the windows tile the input: then each element of dx has exactly one window.
bool tiles_input(const PoolGeometry& g) {
  for (const AxisGeometry& a : g.axis) {
    if (g.adaptive) {
      if (a.in % a.out != 0) return false;
      continue;
    }
    if (a.filter != a.stride || a.dilation != 1 || a.pad_before != 0 || a.in != a.out * a.stride)
      return false;
  }
  return true;
}

/// Backward where the windows tile the input: dy and its position are read once and written over the window.
template <class S>
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
                       store_some<tail.value>(select(at == here, value, zero), to + taps[t] * c + i, lanes);
                     }
                   });
                 });
           });
}

template <class S>
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
                store_some<tail.value>(sum, to + i, lanes);
              });
            });
      });
}

template <class U>
void gather(const PoolGeometry& g, const U* x, const std::int64_t* index, U* y) {
  const std::int64_t pixels = g.positions(), sample = input_positions(g) * g.c, c = g.c;
  if (c == 0) return;
  for_rows(g.n * pixels, c * 24, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t pixel = begin; pixel < end; ++pixel) {
      const U* in = x + pixel / pixels * sample;
      for (std::int64_t i = 0; i < c; ++i) y[pixel * c + i] = in[index[pixel * c + i] * c + i];
    }
  });
}

}  // namespace

void run_max_pool(const PoolGeometry& g, ConstView x, View y, View index) {
  with_floating(x.dtype, [&](auto type) {
    using S = decltype(type);
    forward(g, x.as<S>(), y.as<S>(), index.as<std::int64_t>());
  });
}
void run_max_pool_backward(const PoolGeometry& g, ConstView dy, ConstView index, View dx) {
  with_floating(dy.dtype, [&](auto type) {
    using S = decltype(type);
    const auto run = tiles_input(g) ? backward_tiled<S> : backward<S>;
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
