// reduce_sum: a row of the last axis is a lanes tree; what remains is a sum over rows, column by column
// (blocked chains and the batch tree of columns-inl.h). A whole 1-D tensor is summed leaf by leaf, eight
// leaves side by side. Integers wrap, so their order is free.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/kernels/reduce_sum.cpp"
#include "hwy/foreach_target.h"
#include "cpu/kernels/columns-inl.h"
#include "cpu/kernels/lanes-inl.h"
#include "cpu/kernels/kernels.h"
#include "cpu/runtime/properties.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {
namespace {

/// How far ahead memory is asked for, into the first level: two pages. Nothing is written meanwhile, and a
/// core that only reads waits longest; a page was too near, four were too far.
template <class S>
inline constexpr std::int64_t kAskAhead = 8192 / sizeof(S);

/// The terms of a plain sum: S in memory.
template <class S>
struct PlainTerm {
  using T = Compute<S>;
  static constexpr int kSums = 1;
  using Row = const S*;
  const S* x;
  std::int64_t ahead;  // how far what is asked for lies behind what is added
  PlainTerm at(std::int64_t offset) const { return {x + offset, ahead}; }
  Row row(std::int64_t offset) const { return x + offset; }
  template <bool kTail>
  HWY_INLINE void add(Row row, std::int64_t column, std::int64_t lanes, Vec<T>* sum) const {
    __builtin_prefetch(row + column + ahead);  // beyond the last row too: asking reads nothing
    sum[0] += load_some<T, kTail>(row + column, lanes);
  }
};

template <class S>
Compute<S> sum_row(const S* x, std::int64_t n, const S* last) {
  using T = Compute<S>;
  return lanes_tree<T>(n, [=](auto tail, std::int64_t i, std::int64_t lanes, Vec<T> acc) HWY_ATTR {
    __builtin_prefetch(x + i + std::min<std::int64_t>(kAskAhead<S>, last - (x + i)));
    return acc + load_some<T, tail.value>(x + i, lanes);
  });
}

template <class S, class R>
void sum_rows(const S* x, std::int64_t rows, std::int64_t columns, R* out) {
  for_rows(rows, columns * static_cast<std::int64_t>(sizeof(S)), [&](std::int64_t begin, std::int64_t end) {
    const S* const last = x + (std::max<std::int64_t>(rows * columns, 1) - 1);
    for (std::int64_t i = begin; i < end; ++i)
      out[i] = numerics::cast<R>(sum_row(x + i * columns, columns, last));
  });
}

/// The batch tree over a vector: leaves of `leaf` consecutive elements, each a chain. first and last as in
/// column_leaves.
template <class S>
Compute<S> sum_leaves(const S* x, std::int64_t n, std::int64_t leaf, std::int64_t first, std::int64_t last) {
  using T = Compute<S>;
  constexpr std::int64_t kSide = 8;
  T level_sum[64];
  std::uint64_t done = 0;
  const auto push = [&](T sum) {
    int level = 0;
    for (; (done >> level & 1) != 0; ++level) sum = level_sum[level] + sum;
    level_sum[level] = sum;
    ++done;
  };
  std::int64_t i = first;
  for (; i + kSide <= last && (i + kSide) * leaf <= n; i += kSide) {
    T sum[kSide] = {};
    const S* at = x + i * leaf;
    for (std::int64_t t = 0; t < leaf; ++t)
      for (std::int64_t side = 0; side < kSide; ++side) sum[side] += numerics::cast<T>(at[side * leaf + t]);
    for (const T s : sum) push(s);
  }
  for (; i < last; ++i) {
    T sum{0};
    for (std::int64_t t = i * leaf; t < std::min((i + 1) * leaf, n); ++t) sum += numerics::cast<T>(x[t]);
    push(sum);
  }
  T sum{0};
  bool empty = true;
  for (int level = 0; level < 64; ++level) {
    if ((done >> level & 1) == 0) continue;
    sum = empty ? level_sum[level] : level_sum[level] + sum;
    empty = false;
  }
  return sum;
}

template <class S>
Compute<S> sum_vector(const S* x, std::int64_t n) {
  using T = Compute<S>;
  const std::int64_t leaf = numerics::leaf_samples(1);
  const std::int64_t leaves = (n + leaf - 1) / leaf;
  constexpr std::int64_t kRun = 2048;  // leaves of a task, a power of two
  const std::int64_t runs = (leaves + kRun - 1) / kRun;
  if (runs <= 1) return sum_leaves(x, n, leaf, 0, leaves);
  Scratch<T> partial(runs);
  parallel_ranges(runs, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r)
      partial[r] = sum_leaves(x, n, leaf, r * kRun, std::min((r + 1) * kRun, leaves));
  });
  for (std::int64_t step = 1; step < runs; step *= 2)
    for (std::int64_t i = 0; i + step < runs; i += 2 * step) partial[i] = partial[i] + partial[i + step];
  return partial[0];
}

/// The axes of g but a last one that lanes have summed: blocked chains and the batch tree.
template <class S, class R>
void sum_columns(const ReduceGeometry& g, int rank, const S* x, R* out) {
  using T = Compute<S>;
  ColumnProblem p;
  p.bytes = sizeof(S);
  std::int64_t stride = 1, middle = 1;
  std::array<std::int64_t, Shape::max_rank> strides{};
  for (int i = rank - 1; i >= 0; --i) {
    strides[i] = stride;
    stride *= g.extent[i];
  }
  const bool inner_kept = rank > 0 && !g.reduced[rank - 1];
  if (inner_kept) p.width = g.extent[rank - 1];
  for (int i = 0; i < rank - (inner_kept ? 1 : 0); ++i) {
    (g.reduced[i] ? p.rows : p.outer).add(g.extent[i], strides[i]);
    if (g.reduced[i] && !(i == 0 && g.batch)) middle *= g.extent[i];
  }
  if (g.batch) p.leaf_rows = numerics::leaf_samples(middle) * middle;
  if (!inner_kept && g.batch && rank == 1) {
    out[0] = numerics::cast<R>(sum_vector(x, g.extent[0]));
    return;
  }
  p.past_caches = stride > last_level_cache() / p.bytes;
  // Or a row where rows are longer than that.
  column_sums<T>(p, PlainTerm<S>{x, std::max(p.width, kAskAhead<S>)},
                 [&](std::int64_t o, std::int64_t column, std::int64_t width, const T* tile) {
                   R* to = out + o * p.width + column;
                   if constexpr (std::is_same_v<R, T>) {
                     std::copy_n(tile, width, to);
                   } else {
                     convert_tile(tile, to, width);
                   }
                 });
}

template <class S>
void sum_floating(const ReduceGeometry& g, const S* x, S* out) {
  using T = Compute<S>;
  const std::int64_t kept = g.kept();
  if (kept == 0) return;
  if (g.reduced_size() == 0) {
    std::fill_n(out, kept, S{});
    return;
  }
  if (!g.lanes) return sum_columns<S, S>(g, g.rank, x, out);
  const std::int64_t columns = g.extent[g.rank - 1];
  const std::int64_t rows = kept * (g.reduced_size() / columns);
  if (rows == kept) return sum_rows(x, rows, columns, out);
  Scratch<T> terms(rows);
  sum_rows(x, rows, columns, terms.data());
  sum_columns<T, S>(g, g.rank - 1, terms.data(), out);
}

template <class U>
void sum_integers(const ReduceGeometry& g, const U* x, U* out) {
  std::fill_n(out, g.kept(), U{0});
  if (g.kept() == 0 || g.reduced_size() == 0) return;
  // Where each row of the last axis goes: kept axes advance through out, reduced ones do not.
  Axes target;
  const bool inner_kept = !g.reduced[g.rank - 1];
  const std::int64_t columns = g.extent[g.rank - 1];
  std::int64_t stride = inner_kept ? columns : 1;
  std::array<std::int64_t, Shape::max_rank> strides{};
  for (int i = g.rank - 2; i >= 0; --i) {
    strides[i] = g.reduced[i] ? 0 : stride;
    if (!g.reduced[i]) stride *= g.extent[i];
  }
  for (int i = 0; i < g.rank - 1; ++i) target.add(g.extent[i], strides[i]);
  Cursor cursor(target, 0);
  for (std::int64_t row = target.size(); row > 0; --row, x += columns) {
    U* to = out + cursor.next();
    if (inner_kept) {
      for (std::int64_t j = 0; j < columns; ++j) to[j] += x[j];
    } else {
      U sum{0};
      for (std::int64_t j = 0; j < columns; ++j) sum += x[j];
      *to += sum;
    }
  }
}

}  // namespace

void run_reduce_sum(const ReduceGeometry& g, ConstView x, View out) {
  if (x.dtype == DType::i32) return sum_integers(g, x.as<std::uint32_t>(), out.as<std::uint32_t>());
  if (x.dtype == DType::i64) return sum_integers(g, x.as<std::uint64_t>(), out.as<std::uint64_t>());
  with_floating(x.dtype, [&](auto type) {
    using S = decltype(type);
    sum_floating(g, x.as<S>(), out.as<S>());
  });
}

}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace isobit::cpu {
HWY_EXPORT(run_reduce_sum);

namespace kernels {
void reduce_sum(const ReduceGeometry& g, ConstView x, View out) {
  HWY_DYNAMIC_DISPATCH(run_reduce_sum)(g, x, out);
}
}  // namespace kernels
}  // namespace isobit::cpu
#endif
