// Sums over rows, one result a column: blocked chains, joined by the batch tree where axis 0 is reduced
// (docs/numerics.md). A thread sums whole leaves of one column, neighbouring threads neighbouring columns, so
// that rows are read coalesced. Where columns are few, threads of a block take different leaves of a column
// and join them in shared memory, blocks leave partial sums that the next launch joins, and a leaf of several
// blocks of its chain is split into these first. Every join is one that the tree has: the bits do not depend
// on who summed what.
//
// A Term says what is summed: kSums, Compute, and column(i), the term as column i sees it, whose
// value(at, row, out) gives the kSums terms of the row at element `at`.
#pragma once
#include "cuda/kernels/axes.cuh"

namespace isobit::gpu::kernels {

inline constexpr int kColumnThreads = 256;
inline constexpr std::int64_t kBusyThreads = 65536;  // beyond these more threads make nothing faster
inline constexpr int kRunLevels = 11;
inline constexpr std::int64_t kLongestRun = std::int64_t{1} << (kRunLevels - 1);  // leaves of a thread

/// Where final sums go, one output for each of kSums (null: nowhere), divided by `divisor` and rounded.
template <class T, int kSums>
struct Sink {
  void* out[kSums] = {};
  DType dtype = DType::f32;  ///< of floating results
  bool divides = false;
  T divisor = 1;

  __device__ void put(std::int64_t i, const T (&sum)[kSums]) const {
    for (int s = 0; s < kSums; ++s) {
      if (out[s] == nullptr) continue;
      const T value = divides ? sum[s] / divisor : sum[s];
      if constexpr (std::is_same_v<T, float>) {
        if (dtype == DType::f16) {
          static_cast<f16*>(out[s])[i] = numerics::cast<f16>(value);
          continue;
        }
        if (dtype == DType::bf16) {
          static_cast<bf16*>(out[s])[i] = numerics::cast<bf16>(value);
          continue;
        }
      }
      static_cast<T*>(out[s])[i] = value;
    }
  }
};

/// The leaf sums that partial sums of blocks make: [sum][leaf * blocks + block][column].
template <class T, int kSumCount>
struct PartialLeaves {
  using Compute = T;
  static constexpr int kSums = kSumCount;
  const T* partial;
  std::int64_t kept, chunks, blocks;  // chunks: of a column; blocks: of a full leaf

  struct Column {
    const T* at;
    std::int64_t kept, chunks, blocks;
    __device__ void leaf(std::int64_t index, T (&sum)[kSums]) const {
      const std::int64_t first = index * blocks;
      const std::int64_t end = first + blocks < chunks ? first + blocks : chunks;
      for (int s = 0; s < kSums; ++s) {
        const T* const from = at + s * chunks * kept;
        T total = from[first * kept];
        for (std::int64_t c = first + 1; c < end; ++c) total = total + from[c * kept];
        sum[s] = total;
      }
    }
  };
  __device__ Column column(std::int64_t i) const { return {partial + i, kept, chunks, blocks}; }
};

/// acc = the chains from +0 over rows [first, end) of a column whose row 0 lies at `base`.
template <class Column, class T, int kSums>
__device__ inline void chain_rows(const Column& column, const RowSteps& steps, std::int64_t base,
                                  std::int64_t first, std::int64_t end, T (&acc)[kSums]) {
  for (int s = 0; s < kSums; ++s) acc[s] = 0;
  const auto add = [&](std::int64_t at, std::int64_t row) {
    T value[kSums];
    column.value(at, row, value);
    for (int s = 0; s < kSums; ++s) acc[s] = acc[s] + value[s];
  };
  if (steps.table != nullptr) {
#pragma unroll 1
    for (std::int64_t row = first; row < end; ++row) add(base + steps.table[row], row);
    return;
  }
  std::int64_t at = base + first * steps.stride;
#pragma unroll 4
  for (std::int64_t row = first; row < end; ++row, at += steps.stride) add(at, row);
}

/// The leaf sums that a Term makes of rows.
template <class Term>
struct TermLeaves {
  using Compute = typename Term::Compute;
  static constexpr int kSums = Term::kSums;
  Term term;
  Columns columns;

  struct Column {
    decltype(Term().column(0)) term;
    const Columns& columns;
    std::int64_t base;
    __device__ void leaf(std::int64_t index, Compute (&sum)[kSums]) const {
      const std::int64_t length = columns.leaf_rows == 0 ? columns.row_count : columns.leaf_rows;
      const std::int64_t first = index * length;
      const std::int64_t end = first + length < columns.row_count ? first + length : columns.row_count;
      for (std::int64_t block = first; block < end; block += numerics::kBlock) {
        Compute chain[kSums];
        chain_rows(term, columns.steps, base, block,
                   end - block < numerics::kBlock ? end : block + numerics::kBlock, chain);
        for (int s = 0; s < kSums; ++s) sum[s] = block == first ? chain[s] : sum[s] + chain[s];
      }
    }
  };
  __device__ Column column(std::int64_t i) const { return {term.column(i), columns, columns.base(i)}; }
};

/// The batch tree over leaves [first, end), first being a multiple of a power of two that is at least their
/// number: a binary counter.
template <class Column, class T, int kSums>
__device__ inline void run_sum(const Column& column, std::int64_t first, std::int64_t end, T (&sum)[kSums]) {
  T level[kSums][kRunLevels];
  unsigned done = 0;
  for (std::int64_t leaf = first; leaf < end; ++leaf, ++done) {
    column.leaf(leaf, sum);
    int at = 0;
    for (; (done >> at & 1u) != 0; ++at)
      for (int s = 0; s < kSums; ++s) sum[s] = level[s][at] + sum[s];
    for (int s = 0; s < kSums; ++s) level[s][at] = sum[s];
  }
  bool empty = true;
  for (int at = 0; at < kRunLevels; ++at) {
    if ((done >> at & 1u) == 0) continue;
    for (int s = 0; s < kSums; ++s) sum[s] = empty ? level[s][at] : level[s][at] + sum[s];
    empty = false;
  }
}

/// How the tree kernel shares a column among threads.
struct TreePlan {
  std::int64_t kept, leaves;
  int columns = kColumnThreads;  ///< of a block, a power of two; the others of its threads are slots
  std::int64_t run = 1;          ///< leaves of a thread, a power of two
  std::int64_t tiles = 1, groups = 1;

  TreePlan(std::int64_t kept_, std::int64_t leaves_, std::int64_t leaf_rows, bool share)
      : kept(kept_), leaves(leaves_) {
    if (share) {
      std::int64_t slots = 1;
      while (slots < kColumnThreads && slots < leaves) slots *= 2;
      // At least a warp's width of columns where there are so many: rows are read coalesced.
      while (slots > 1 && kColumnThreads / slots < kept && kColumnThreads / slots < 32) slots /= 2;
      columns = static_cast<int>(kColumnThreads / slots);
      // Narrow columns: what a warp reads at a time should lie close together.
      const std::int64_t longest = kept >= 32 ? kLongestRun : 64 / (leaf_rows > 0 ? leaf_rows : 1);
      while (2 * run <= longest && kept * (leaves / (2 * run)) >= kBusyThreads) run *= 2;
    } else {
      while (run < kLongestRun && run < leaves) run *= 2;
    }
    tiles = blocks_for(kept, columns);
    const std::int64_t each = run * (kColumnThreads / columns);
    groups = leaves <= each ? 1 : blocks_for(leaves, each);
  }
};

/// A block owns plan.columns columns and, of each, the leaves of one group: each of its threads a run of
/// them. The sum goes to the sink, or, with several groups, to partial[sum][group][column]. No leaves give
/// +0.
template <class Leaves>
__global__ void __launch_bounds__(kColumnThreads, 2)
    tree_sums(Leaves leaves, TreePlan plan, Sink<typename Leaves::Compute, Leaves::kSums> sink,
              typename Leaves::Compute* partial) {
  using T = typename Leaves::Compute;
  constexpr int kSums = Leaves::kSums;
  using Values = T[kSums][kColumnThreads];
  SHARED(shared, Values);
  const int thread = static_cast<int>(threadIdx.x), slots = kColumnThreads / plan.columns;
  const int slot = thread / plan.columns;
  for (std::int64_t item = blockIdx.x; item < plan.tiles * plan.groups; item += gridDim.x) {
    const std::int64_t i = item % plan.tiles * plan.columns + thread % plan.columns,
                       group = item / plan.tiles;
    const std::int64_t first = (group * slots + slot) * plan.run;
    T sum[kSums] = {};
    if (i < plan.kept && first < plan.leaves)
      run_sum(leaves.column(i), first, plan.leaves - first < plan.run ? plan.leaves : first + plan.run, sum);
    for (int s = 0; s < kSums; ++s) shared[s][thread] = sum[s];
    for (int step = 1; step < slots; step *= 2) {
      __syncthreads();
      if (slot % (2 * step) != 0 || first + step * plan.run >= plan.leaves) continue;
      for (int s = 0; s < kSums; ++s) {
        sum[s] = sum[s] + shared[s][thread + step * plan.columns];
        shared[s][thread] = sum[s];
      }
    }
    __syncthreads();  // the next item writes what others may still read
    if (slot != 0 || i >= plan.kept) continue;
    if (partial == nullptr) {
      sink.put(i, sum);
    } else {
      for (int s = 0; s < kSums; ++s) partial[(s * plan.groups + group) * plan.kept + i] = sum[s];
    }
  }
}

/// A thread owns one block of one column's chain: partial[sum][leaf * blocks + block][column].
template <class Term>
__global__ void __launch_bounds__(kColumnThreads, 2)
    block_sums(Term term, Columns columns, std::int64_t leaf_rows, std::int64_t blocks, std::int64_t chunks,
               typename Term::Compute* partial) {
  const std::int64_t items = chunks * columns.kept,
                     step = static_cast<std::int64_t>(gridDim.x) * kColumnThreads;
  for (std::int64_t item = static_cast<std::int64_t>(blockIdx.x) * kColumnThreads + threadIdx.x; item < items;
       item += step) {
    const std::int64_t i = item % columns.kept, chunk = item / columns.kept;
    const std::int64_t leaf = chunk / blocks * leaf_rows, first = leaf + chunk % blocks * numerics::kBlock;
    std::int64_t end = leaf + leaf_rows < columns.row_count ? leaf + leaf_rows : columns.row_count;
    if (end - first > numerics::kBlock) end = first + numerics::kBlock;
    typename Term::Compute sum[Term::kSums];
    chain_rows(term.column(i), columns.steps, columns.base(i), first, end, sum);
    for (int s = 0; s < Term::kSums; ++s) partial[(s * chunks + chunk) * columns.kept + i] = sum[s];
  }
}

/// Joins leaves until one sum a column is left.
template <class Leaves>
void join_leaves(const Leaves& leaves, std::int64_t kept, std::int64_t count, std::int64_t leaf_rows,
                 bool share, const Sink<typename Leaves::Compute, Leaves::kSums>& sink) {
  using T = typename Leaves::Compute;
  constexpr int kSums = Leaves::kSums;
  const TreePlan plan(kept, count, leaf_rows, share);
  const std::int64_t grid = grid_stride_blocks(plan.tiles * plan.groups, 1);
  if (plan.groups == 1)
    return launch(tree_sums<Leaves>, grid, kColumnThreads, 0, leaves, plan, sink, nullptr);
  const Scratch partial(kSums * plan.groups * kept * static_cast<std::int64_t>(sizeof(T)));
  launch(tree_sums<Leaves>, grid, kColumnThreads, 0, leaves, plan, sink, partial.as<T>());
  const PartialLeaves<T, kSums> rest{partial.as<T>(), kept, plan.groups, 1};
  join_leaves(rest, kept, plan.groups, 1, share, sink);
}

/// The sums of `term` over the rows of every column. share: several threads may work on one column.
template <class Term>
void sum_columns(const Columns& problem, const Term& term, bool share,
                 const Sink<typename Term::Compute, Term::kSums>& sink) {
  using T = typename Term::Compute;
  const std::int64_t kept = problem.kept, rows = problem.row_count;
  if (kept == 0) return;
  const RowTable table(problem.rows, rows);
  Columns columns = problem;
  columns.steps = table.steps();
  const std::int64_t leaf_rows =
      columns.leaf_rows == 0 || columns.leaf_rows > rows ? rows : columns.leaf_rows;
  const std::int64_t leaves = rows == 0 ? 0 : blocks_for(rows, leaf_rows);
  const std::int64_t blocks = numerics::block_count(leaf_rows);
  if (!share || blocks <= 1 || kept * leaves >= kBusyThreads)
    return join_leaves(TermLeaves<Term>{term, columns}, kept, leaves, leaf_rows, share, sink);
  const std::int64_t chunks = (leaves - 1) * blocks + numerics::block_count(rows - (leaves - 1) * leaf_rows);
  const Scratch partial(Term::kSums * chunks * kept * static_cast<std::int64_t>(sizeof(T)));
  launch(block_sums<Term>, grid_stride_blocks(chunks * kept, kColumnThreads), kColumnThreads, 0, term,
         columns, leaf_rows, blocks, chunks, partial.as<T>());
  const PartialLeaves<T, Term::kSums> blocks_of_leaves{partial.as<T>(), kept, chunks, blocks};
  join_leaves(blocks_of_leaves, kept, leaves, blocks, share, sink);
}

}  // namespace isobit::gpu::kernels
