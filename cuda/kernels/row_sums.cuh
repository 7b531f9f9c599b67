// Lanes sums of every row of x[rows, columns], into a sink: one result a row. A Term is that of columns.cuh
// with row(r), the term as row r sees it, whose value(j, out) gives the kSums terms of element j.
#pragma once
#include "cuda/kernels/columns.cuh"
#include "cuda/kernels/lanes.cuh"

namespace isobit::gpu::kernels {

/// The elements themselves.
template <class S>
struct PlainTerm {
  using Compute = kernels::Compute<S>;
  static constexpr int kSums = 1;
  const S* x;

  struct Column {
    const S* x;
    __device__ void value(std::int64_t at, std::int64_t, Compute (&out)[1]) const { out[0] = widen(x[at]); }
  };
  struct Row {
    const S* x;
    __device__ void value(std::int64_t j, Compute* out) const { out[0] = widen(x[j]); }
  };
  __device__ Column column(std::int64_t) const { return {x}; }
  __device__ Row row(std::int64_t r, std::int64_t columns) const { return {x + r * columns}; }
};

/// A row belongs to a group of `width` threads of a warp.
template <class Term>
__global__ void __launch_bounds__(kRowThreads, 2)
    group_rows(Term term, std::int64_t rows, std::int64_t columns, int width,
               Sink<typename Term::Compute, Term::kSums> sink) {
  using T = typename Term::Compute;
  for_each_row(rows, columns, width, [&](std::int64_t row, int lane, std::int64_t count) {
    const auto of_row = term.row(row < rows ? row : 0, columns);
    T sum[Term::kSums];
    group_sums(count, lane, width, sum, [&](T* acc, std::int64_t j) {
      T value[Term::kSums];
      of_row.value(j, value);
      for (int s = 0; s < Term::kSums; ++s) acc[s] = acc[s] + value[s];
    });
    if (lane == 0 && row < rows) sink.put(row, sum);
  });
}

/// A row belongs to a block.
template <class Term>
__global__ void __launch_bounds__(kRowThreads, 2)
    block_rows(Term term, std::int64_t rows, std::int64_t columns,
               Sink<typename Term::Compute, Term::kSums> sink) {
  using T = typename Term::Compute;
  using Stage = RowStage<T, Term::kSums>;
  SHARED(stage, Stage);
  for (std::int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    const auto of_row = term.row(row, columns);
    T sum[Term::kSums];
    block_row_sums<false>(columns, stage, sum, [&](std::int64_t j, T* out) { of_row.value(j, out); });
    if (threadIdx.x == 0) sink.put(row, sum);
  }
}

/// share: many threads may work on one row.
template <class Term>
void sum_rows(const Term& term, std::int64_t rows, std::int64_t columns, bool share,
              const Sink<typename Term::Compute, Term::kSums>& sink) {
  if (share && refuse_block_rows(rows, columns) == nullptr)
    return launch(block_rows<Term>, grid_stride_blocks(rows, 1), kRowThreads, 0, term, rows, columns, sink);
  const int width = lane_group(columns);
  launch(group_rows<Term>, row_blocks(rows, width), kRowThreads, 0, term, rows, columns, width, sink);
}

}  // namespace isobit::gpu::kernels
