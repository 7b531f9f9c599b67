// Sums over rows, column by column: the blocked chain and the batch tree (docs/numerics.md) where the
// innermost axis is kept. A vector lane owns a column. Rows are added eight at a time (long ones singly)
// to accumulators in the first-level cache, of long chains four blocks side by side; a task owns a tile of
// columns and an aligned power-of-two run of the batch tree's leaves, so that how many runs there are changes
// no bit.
#if defined(ISOBIT_CPU_KERNELS_COLUMNS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ISOBIT_CPU_KERNELS_COLUMNS_INL_H_
#undef ISOBIT_CPU_KERNELS_COLUMNS_INL_H_
#else
#define ISOBIT_CPU_KERNELS_COLUMNS_INL_H_
#endif

#include <atomic>
#include <bit>

#include "core/numerics/order.h"
#include "cpu/kernels/tiles-inl.h"
#include "cpu/runtime/scratch.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {

/// Some axes of a dense array in row-major order.
struct Axes {
  int rank = 0;
  std::array<std::int64_t, Shape::max_rank> extent{}, stride{};

  void add(std::int64_t e, std::int64_t s) {
    if (rank >= Shape::max_rank) __builtin_unreachable();  // or g++ warns of the bounds
    extent[rank] = e;
    stride[rank++] = s;
  }
  std::int64_t size() const {
    std::int64_t product = 1;
    for (int i = 0; i < rank; ++i) product *= extent[i];
    return product;
  }
  std::int64_t offset(std::int64_t index) const {
    std::int64_t at = 0;
    for (int i = rank - 1; i >= 0; --i) {
      at += index % extent[i] * stride[i];
      index /= extent[i];
    }
    return at;
  }
};

/// Walks over the offsets of Axes from a given position on.
class Cursor {
 public:
  Cursor(const Axes& axes, std::int64_t first) : axes_(&axes), position_(first) {
    for (int i = axes.rank - 1; i >= 0; --i) {
      index_[i] = first % axes.extent[i];
      first /= axes.extent[i];
      offset_ += index_[i] * axes.stride[i];
    }
  }
  /// One that is `count` positions further; beyond the last it is at the first.
  Cursor after(std::int64_t count) const { return Cursor(*axes_, position_ + count); }
  std::int64_t next() {
    const std::int64_t at = offset_;
    ++position_;
    for (int i = axes_->rank - 1; i >= 0; --i) {
      offset_ += axes_->stride[i];
      if (++index_[i] < axes_->extent[i]) break;
      offset_ -= index_[i] * axes_->stride[i];
      index_[i] = 0;
    }
    return at;
  }

 private:
  const Axes* axes_;
  std::int64_t position_;
  std::array<std::int64_t, Shape::max_rank> index_{};
  std::int64_t offset_ = 0;
};

/// Columns of a task's tile; accumulators of one sum are a row of this many.
template <class T>
inline constexpr std::int64_t kColumns = 4096 / sizeof(T);

/// A column sum: `outer` independent problems, each of rows (in the order of summation) by `width` columns.
struct ColumnProblem {
  Axes outer, rows;
  std::int64_t width = 1;
  /// Rows of one leaf of the batch tree; 0 when there is none (then all rows are one blocked chain).
  std::int64_t leaf_rows = 0;
  /// Bytes read for one term.
  std::int64_t bytes = 4;

  bool past_caches = false;  ///< no cache holds what is summed
};

/// The accumulators of a tile: kSums rows.
template <class T, int kSums>
HWY_INLINE void add_tile(T* to, const T* left, const T* right, std::int64_t width) {
  for (int s = 0; s < kSums; ++s)
    for (std::int64_t j = 0; j < width; ++j)
      to[s * kColumns<T> + j] = left[s * kColumns<T> + j] + right[s * kColumns<T> + j];
}

template <class T, int kSums>
HWY_INLINE void copy_tile(T* to, const T* from, std::int64_t width) {
  for (int s = 0; s < kSums; ++s) std::copy_n(from + s * kColumns<T>, width, to + s * kColumns<T>);
}
template <class T, int kSums>
HWY_INLINE void clear_tile(T* to, std::int64_t width) {
  for (int s = 0; s < kSums; ++s) std::fill_n(to + s * kColumns<T>, width, T{0});
}

/// kRows rows into kVectors registers of columns: along a row first, as memory likes it.
template <int kRows, int kVectors, bool kTail, class T, class Term>
HWY_INLINE void add_group(const Term& term, const typename Term::Row* row, std::int64_t column,
                          std::int64_t lanes, T* acc) {
  constexpr std::int64_t size = Vec<T>::size;
  Vec<T> sum[kVectors][Term::kSums];
  for (int v = 0; v < kVectors; ++v)
    for (int s = 0; s < Term::kSums; ++s)
      sum[v][s] = load_some<T, kTail>(acc + s * kColumns<T> + v * size, lanes);
  for (int r = 0; r < kRows; ++r) {
    for (int v = 0; v < kVectors; ++v) term.template add<kTail>(row[r], column + v * size, lanes, sum[v]);
    std::atomic_signal_fence(std::memory_order_acq_rel);  // or the compiler goes down the columns
  }
  for (int v = 0; v < kVectors; ++v)
    for (int s = 0; s < Term::kSums; ++s)
      store_some<kTail>(sum[v][s], acc + s * kColumns<T> + v * size, lanes);
}

template <int kRows, class T, class Term>
void add_rows(const Term& term, const std::int64_t* offset, std::int64_t column, std::int64_t width, T* acc) {
  constexpr std::int64_t size = Vec<T>::size;
  typename Term::Row row[kRows];
  for (int r = 0; r < kRows; ++r) row[r] = term.row(offset[r]);
  std::int64_t j = 0;
  if constexpr (kRows > 1) {
    for (; j + 4 * size <= width; j += 4 * size)
      add_group<kRows, 4, false>(term, row, column + j, size, acc + j);
    for (; j + 2 * size <= width; j += 2 * size)
      add_group<kRows, 2, false>(term, row, column + j, size, acc + j);
  }
  for (; j + size <= width; j += size) add_group<kRows, 1, false>(term, row, column + j, size, acc + j);
  if (j < width) add_group<kRows, 1, true>(term, row, column + j, width - j, acc + j);
}

/// Blocks of a chain of one sum that are summed side by side: they lie so far apart in memory that the
/// processor reads ahead in each, and from four places faster than from one.
inline constexpr int kSideBySide = 4;

/// Rows that are added at a time.
inline constexpr int kStep = 8;

/// Whether rows are added one by one: in the order in which they lie in memory, of which the processor reads
/// ahead best. Those as long as a tile are, and shorter ones where no cache holds what is summed; where one
/// does, eight at a time take fewer instructions.
template <class T, class Term>
bool takes_single_rows(std::int64_t width, bool past) {
  return Term::kSums == 1 && (width == kColumns<T> || (past && width >= kColumns<T> / 8));
}

/// acc = the chain of the cursor's next `count` rows.
template <class T, class Term>
void column_block(const Term& term, Cursor& cursor, std::int64_t count, std::int64_t column,
                  std::int64_t width, bool past, T* acc) {
  std::int64_t offset[kStep];
  clear_tile<T, Term::kSums>(acc, width);
  const bool one_by_one = takes_single_rows<T, Term>(width, past);
  for (; count >= kStep && !one_by_one; count -= kStep) {
    for (int r = 0; r < kStep; ++r) offset[r] = cursor.next();
    add_rows<kStep>(term, offset, column, width, acc);
  }
  for (; count > 0; --count) {
    offset[0] = cursor.next();
    add_rows<1>(term, offset, column, width, acc);
  }
}

/// acc[i] = the chains of the cursor's next blocks, a few rows of each in turn.
template <class T, class Term>
void column_blocks(const Term& term, Cursor& cursor, std::int64_t column, std::int64_t width,
                   T* const (&acc)[kSideBySide]) {
  static_assert(kSideBySide == 4 && numerics::kBlock % kStep == 0);
  Cursor of_block[kSideBySide] = {cursor, cursor.after(numerics::kBlock), cursor.after(2 * numerics::kBlock),
                                  cursor.after(3 * numerics::kBlock)};
  for (T* const tile : acc) clear_tile<T, Term::kSums>(tile, width);
  for (std::int64_t row = 0; row < numerics::kBlock; row += kStep)
    for (int i = 0; i < kSideBySide; ++i) {
      std::int64_t offset[kStep];
      for (std::int64_t& at : offset) at = of_block[i].next();
      add_rows<kStep>(term, offset, column, width, acc[i]);
    }
  cursor = cursor.after(kSideBySide * numerics::kBlock);
}

/// total = the blocked chain of the cursor's next `count` rows. `room` is for kSideBySide more tiles.
template <class T, class Term>
void column_chain(const Term& term, Cursor& cursor, std::int64_t count, std::int64_t column,
                  std::int64_t width, bool past, T* total, T* room) {
  constexpr std::int64_t tile = Term::kSums * kColumns<T>;
  bool first = true;
  const auto join = [&](const T* block) {
    if (!first) add_tile<T, Term::kSums>(total, total, block, width);
    first = false;
  };
  while (Term::kSums == 1 && count >= kSideBySide * numerics::kBlock) {
    T* const acc[kSideBySide] = {first ? total : room, room + tile, room + 2 * tile, room + 3 * tile};
    column_blocks(term, cursor, column, width, acc);
    for (const T* const block : acc) join(block);
    count -= kSideBySide * numerics::kBlock;
  }
  for (; count > 0 || first; count -= std::min(count, numerics::kBlock)) {
    T* const acc = first ? total : room;
    column_block(term, cursor, std::min(count, numerics::kBlock), column, width, past, acc);
    join(acc);
  }
}

/// result = leaves [first, last) of the batch tree, joined; `first` is a multiple of a power of two >= last -
/// first.
template <class T, class Term>
void column_leaves(const Term& term, const ColumnProblem& p, std::int64_t first, std::int64_t last,
                   std::int64_t column, std::int64_t width, T* result) {
  constexpr std::int64_t tile = Term::kSums * kColumns<T>;
  const std::int64_t total_rows = p.rows.size();
  const int levels = std::bit_width(static_cast<std::uint64_t>(last - first)) + 1;
  Scratch<T> stack(tile * (levels + kSideBySide));
  T* const block = stack.data() + tile * levels;
  Cursor cursor(p.rows, first * p.leaf_rows);
  // A binary counter: level l holds the sum of 2^l leaves when bit l of their number is set.
  std::uint64_t done = 0;
  for (std::int64_t leaf = first; leaf < last; ++leaf, ++done) {
    const std::int64_t rows = std::min(p.leaf_rows, total_rows - leaf * p.leaf_rows);
    column_chain(term, cursor, rows, column, width, p.past_caches, result, block);
    int level = 0;
    for (; (done >> level & 1) != 0; ++level)
      add_tile<T, Term::kSums>(result, stack.data() + tile * level, result, width);
    copy_tile<T, Term::kSums>(stack.data() + tile * level, result, width);
  }
  bool empty = true;
  for (int level = 0; level < levels; ++level) {
    if ((done >> level & 1) == 0) continue;
    const T* part = stack.data() + tile * level;
    if (empty) {
      copy_tile<T, Term::kSums>(result, part, width);
    } else {
      add_tile<T, Term::kSums>(result, part, result, width);
    }
    empty = false;
  }
}

/// Solves a ColumnProblem. Term says what is summed: kSums sums at once; row(offset) is what is known of the
/// row that begins at an element offset; add<tail>(row, column, lanes, Vec<T>* sums) adds its terms;
/// at(offset) is the Term whose offsets count from there. done(outer, column, width, tile) receives each
/// finished tile (kSums rows of kColumns<T>).
template <class T, class Term, class Done>
void column_sums(const ColumnProblem& p, const Term& term, const Done& done) {
  constexpr std::int64_t tile = Term::kSums * kColumns<T>;
  const std::int64_t outer = p.outer.size();
  const std::int64_t rows = p.rows.size();
  if (outer == 0 || p.width == 0) return;
  const std::int64_t leaves = p.leaf_rows == 0 ? 1 : (rows + p.leaf_rows - 1) / p.leaf_rows;
  const std::int64_t bytes_a_row = std::min(p.width, kColumns<T>) * p.bytes;
  // Columns may be cut finer when there are few tasks.
  std::int64_t columns = kColumns<T>;
  const std::int64_t threads = thread_count();
  const bool parallel = threads > 1 && outer * p.width * rows > kParallelBytes / p.bytes;
  std::int64_t run =
      std::int64_t(std::bit_ceil(static_cast<std::uint64_t>(std::max<std::int64_t>(leaves, 1))));
  if (parallel) {
    const auto tiles = [&] { return outer * ((p.width + columns - 1) / columns); };
    while (run > 1 && tiles() * ((leaves + run - 1) / run) < 4 * threads &&
           run / 2 * p.leaf_rows * bytes_a_row >= kParallelBytes / 8)
      run /= 2;
    while (columns > 64 && tiles() * ((leaves + run - 1) / run) < threads) columns /= 2;
  }
  const std::int64_t tiles = (p.width + columns - 1) / columns;
  const std::int64_t runs = std::max<std::int64_t>((leaves + run - 1) / run, 1);

  const auto solve = [&](std::int64_t o, std::int64_t r, std::int64_t column, std::int64_t width, T* result) {
    const Term here = term.at(p.outer.offset(o));
    if (p.leaf_rows == 0) {
      Scratch<T> block(tile * kSideBySide);
      Cursor cursor(p.rows, 0);
      column_chain(here, cursor, rows, column, width, p.past_caches, result, block.data());
    } else if (leaves == 0) {
      clear_tile<T, Term::kSums>(result, width);
    } else {
      column_leaves(here, p, r * run, std::min((r + 1) * run, leaves), column, width, result);
    }
  };
  if (runs == 1) {
    const auto task = [&](std::int64_t index) {
      const std::int64_t o = index / tiles, column = index % tiles * columns;
      const std::int64_t width = std::min(columns, p.width - column);
      Scratch<T> result(tile);
      solve(o, 0, column, width, result.data());
      done(o, column, width, static_cast<const T*>(result.data()));
    };
    if (parallel) return parallel_for(outer * tiles, task);
    for (std::int64_t index = 0; index < outer * tiles; ++index) task(index);
    return;
  }
  // Runs of leaves first, then the upper levels of the tree over the runs.
  Scratch<T> partial(outer * tiles * runs * tile);
  parallel_for(outer * tiles * runs, [&](std::int64_t index) {
    const std::int64_t r = index % runs, o = index / runs / tiles, column = index / runs % tiles * columns;
    solve(o, r, column, std::min(columns, p.width - column), partial.data() + index * tile);
  });
  for (std::int64_t index = 0; index < outer * tiles; ++index) {
    const std::int64_t o = index / tiles, column = index % tiles * columns;
    const std::int64_t width = std::min(columns, p.width - column);
    T* const part = partial.data() + index * runs * tile;
    for (std::int64_t step = 1; step < runs; step *= 2)
      for (std::int64_t i = 0; i + step < runs; i += 2 * step)
        add_tile<T, Term::kSums>(part + i * tile, part + i * tile, part + (i + step) * tile, width);
    done(o, column, width, static_cast<const T*>(part));
  }
}

}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per target
