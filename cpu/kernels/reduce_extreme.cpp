// reduce_extreme: max or min with the position of the first. Where the last axis is kept a lane owns a column
// and walks over the reduced rows in order; where it is reduced, a row's extreme is found in tiles: first its
// value, then the first element that equals it (so of -0 and +0 the first is what is stored). A NaN wins, the
// first of several.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/kernels/reduce_extreme.cpp"
#include "hwy/foreach_target.h"
#include "cpu/kernels/columns-inl.h"
#include "cpu/kernels/elementwise-inl.h"
#include "cpu/kernels/kernels.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {
namespace {

/// What elements of S are compared as.
template <class S>
using Compared = std::conditional_t<numerics::is_half<S>, float, S>;

template <bool kMin, class T>
HWY_INLINE bool beats(T v, T best) {
  return (kMin ? v < best : v > best) || (v != v && best == best);
}

/// The extreme of n >= 1 values, any one of equals; NaN when there is one.
template <bool kMin, class T>
T extreme_value(const T* x, std::int64_t n) {
  if constexpr (std::is_floating_point_v<T>) {
    constexpr std::int64_t size = Vec<T>::size;
    if (n >= size) {
      Vec<T> best[4];
      for (auto& b : best) b = load(x);
      const auto take = [](Vec<T> a, Vec<T> b) HWY_ATTR { return kMin ? min(a, b) : max(a, b); };
      std::int64_t i = 0;
      for (; i + 4 * size <= n; i += 4 * size)
        for (std::int64_t k = 0; k < 4; ++k) best[k] = take(best[k], load(x + i + k * size));
      for (; i + size <= n; i += size) best[0] = take(best[0], load(x + i));
      best[1] = take(best[1], load(x + n - size));
      HWY_ALIGN T lane[size];
      store(take(take(best[0], best[1]), take(best[2], best[3])), lane);
      T value = lane[0];
      for (std::int64_t k = 1; k < size; ++k) value = beats<kMin>(lane[k], value) ? lane[k] : value;
      return value;
    }
  }
  T value = x[0];
  for (std::int64_t i = 1; i < n; ++i) {
    if constexpr (std::is_floating_point_v<T>) {
      value = beats<kMin>(x[i], value) ? x[i] : value;
    } else {
      value = kMin ? std::min(value, x[i]) : std::max(value, x[i]);
    }
  }
  return value;
}

/// Position of the first element that equals `value` (a NaN equals a NaN); there is one among the n.
template <class T>
std::int64_t first_equal(const T* x, std::int64_t n, T value) {
  std::int64_t i = 0;
  if constexpr (std::is_floating_point_v<T>) {
    constexpr std::int64_t size = Vec<T>::size;
    const Vec<T> v(value);
    for (; i + size <= n; i += size) {
      const Vec<T> element = load(x + i);
      if (any((element == v) | ((element != element) & (v != v)))) break;
    }
  }
  while (!(x[i] == value || (x[i] != x[i] && value != value))) ++i;
  return i;
}

/// Rows of the last axis are reduced, and perhaps other axes: each output walks over its rows.
template <bool kMin, class S>
void over_rows(const Axes& outer, const Axes& middle, std::int64_t columns, const S* x, S* out,
               std::int64_t* index) {
  using T = Compared<S>;
  const std::int64_t rows = middle.size();
  for_rows(outer.size(), rows * columns * static_cast<std::int64_t>(sizeof(S)),
           [&](std::int64_t begin, std::int64_t end) {
             HWY_ALIGN T room[kTile];
             for (std::int64_t o = begin; o < end; ++o) {
               Cursor cursor(middle, 0);
               const S* base = x + outer.offset(o);
               T best{};
               std::int64_t where = -1;
               for (std::int64_t row = 0; row < rows; ++row) {
                 const S* from = base + cursor.next();
                 for (std::int64_t i = 0; i < columns; i += kTile) {
                   const std::int64_t n = std::min(kTile, columns - i);
                   const T* tile = nullptr;
                   if constexpr (std::is_same_v<S, T>) {
                     tile = from + i;
                   } else {
                     convert_tile(from + i, room, n);
                     tile = room;
                   }
                   const T value = extreme_value<kMin>(tile, n);
                   if (where >= 0 && !beats<kMin>(value, best)) continue;
                   const std::int64_t at = first_equal(tile, n, value);
                   best = tile[at];
                   where = row * columns + i + at;
                 }
               }
               out[o] = numerics::cast<S>(best);
               if (index != nullptr) index[o] = where;
             }
           });
}

/// One step of a column tile: best and its row, where row number `row` beats it.
template <bool kMin, class S, class T, class Row>
void step_columns(const S* x, std::int64_t width, Row row, T* best, Row* where) {
  if constexpr (std::is_floating_point_v<T>) {
    for_vectors<T>(width, [&](auto tail, std::int64_t j, std::int64_t lanes) HWY_ATTR {
      const Vec<T> v = load_some<T, tail.value>(x + j, lanes), old = load(best + j);
      const Mask<T> better = (kMin ? v < old : v > old) | ((v != v) & (old == old));
      constexpr BitsTag<T> d;
      const Bits<T> rows(hn::LoadU(d, where + j));
      store(select(better, v, old), best + j);
      hn::StoreU(select(better, Bits<T>(row), rows).raw, d, where + j);
    });
  } else {
    for (std::int64_t j = 0; j < width; ++j) {
      const bool better = kMin ? x[j] < best[j] : x[j] > best[j];
      best[j] = better ? x[j] : best[j];
      where[j] = better ? row : where[j];
    }
  }
}

template <bool kMin, class S>
void over_columns(const Axes& outer, const Axes& middle, std::int64_t columns, const S* x, S* out,
                  std::int64_t* index) {
  using T = Compared<S>;
  using Row = std::conditional_t<sizeof(T) == 8, std::uint64_t, std::uint32_t>;
  const std::int64_t rows = middle.size();
  std::int64_t width = kTile;
  while (width > 64 && outer.size() * ((columns + width - 1) / width) < thread_count()) width /= 2;
  const std::int64_t tiles = (columns + width - 1) / width;
  for_rows(outer.size() * tiles, rows * std::min(width, columns) * static_cast<std::int64_t>(sizeof(S)),
           [&](std::int64_t begin, std::int64_t end) {
             // Whole registers are read and written at the tail: there is room for one more.
             HWY_ALIGN T best[kTile + 64] = {};
             HWY_ALIGN Row where[kTile + 64] = {};
             for (std::int64_t task = begin; task < end; ++task) {
               const std::int64_t o = task / tiles, column = task % tiles * width;
               const std::int64_t n = std::min(width, columns - column);
               const S* from = x + outer.offset(o) + column;
               Cursor cursor(middle, 0);
               fetch(from + cursor.next(), best, n);
               std::fill_n(where, n, Row{0});
               for (std::int64_t row = 1; row < rows; ++row)
                 step_columns<kMin>(from + cursor.next(), n, static_cast<Row>(row), best, where);
               S* to = out + o * columns + column;
               for (std::int64_t j = 0; j < n; ++j) to[j] = numerics::cast<S>(best[j]);
               if (index == nullptr) continue;
               for (std::int64_t j = 0; j < n; ++j)
                 index[o * columns + column + j] = static_cast<std::int64_t>(where[j]);
             }
           });
}

template <bool kMin, class S>
void extremes(const ReduceGeometry& g, const S* x, S* out, std::int64_t* index) {
  if (g.kept() == 0) return;
  Axes outer, middle;
  std::array<std::int64_t, Shape::max_rank> stride{};
  std::int64_t size = 1;
  for (int i = g.rank - 1; i >= 0; --i) {
    stride[i] = size;
    size *= g.extent[i];
  }
  const int last = g.rank - 1;
  for (int i = 0; i < last; ++i) (g.reduced[i] ? middle : outer).add(g.extent[i], stride[i]);
  if (g.reduced[last]) return over_rows<kMin>(outer, middle, g.extent[last], x, out, index);
  over_columns<kMin>(outer, middle, g.extent[last], x, out, index);
}

}  // namespace

void run_reduce_extreme(ReduceOp op, const ReduceGeometry& g, ConstView x, View out, View index) {
  const auto run = [&](auto type) {
    using S = decltype(type);
    const auto reduce = op == ReduceOp::min ? extremes<true, S> : extremes<false, S>;
    reduce(g, x.as<S>(), out.as<S>(), index.as<std::int64_t>());
  };
  switch (x.dtype) {
    case DType::i32:
      return run(std::int32_t{});
    case DType::i64:
      return run(std::int64_t{});
    case DType::u8:
      return run(std::uint8_t{});
    default:
      return with_floating(x.dtype, run);
  }
}

}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace isobit::cpu {
HWY_EXPORT(run_reduce_extreme);

namespace kernels {
const char* refuse_reduce_extreme(ReduceOp, const ReduceGeometry& g, ConstView, View, View) {
  return g.reduced_size() < std::int64_t{1} << 32 ? nullptr : "2^32 or more elements are reduced into one";
}
void reduce_extreme(ReduceOp op, const ReduceGeometry& g, ConstView x, View out, View index) {
  HWY_DYNAMIC_DISPATCH(run_reduce_extreme)(op, g, x, out, index);
}
}  // namespace kernels
}  // namespace isobit::cpu
#endif
