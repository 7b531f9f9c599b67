// What the norm kernels share (NormGeometry: x[a, b, g, d]). Batch norm is columns: d = 1, a statistic for
// each of g channels. Layer and group norm are rows of d elements, row (a, b, g) having statistic (a, g).
#pragma once
#include "core/geometry.h"
#include "core/numerics/sqrt.h"
#include "cuda/kernels/row_sums.cuh"

namespace isobit::gpu::kernels {

template <class V>
__device__ inline V reciprocal_deviation(V variance, V eps) {
  return V{1} / numerics::sqrt(variance + eps);
}

/// The statistic of row r of x[a * b * g, d].
__device__ inline std::int64_t statistic_of_row(const NormGeometry& g, std::int64_t r) {
  return g.b == 1 ? r : r / (g.b * g.g) * g.g + r % g.g;
}

/// Sums over the rows of x[a * b, channels]: batch tree over a, blocked chain over (a, b) in a leaf.
inline Columns norm_columns(const NormGeometry& g) {
  Columns columns;
  columns.rows.add(g.a * g.b, g.channels());
  columns.width = columns.kept = g.channels();
  columns.row_count = g.a * g.b;
  columns.leaf_rows = numerics::leaf_samples(g.b) * g.b;
  return columns;
}

/// Blocked chains over b of one term a row: terms[a, b, g]. Where a row is one element (instance norm) the
/// terms are those of x itself: to a chain from +0 a lanes sum of one element is the element.
inline Columns norm_row_terms(const NormGeometry& g) {
  Columns columns;
  columns.outer.add(g.a, g.b * g.g);
  columns.rows.add(g.b, g.g);
  columns.width = g.g;
  columns.kept = g.a * g.g;
  columns.row_count = g.b;
  return columns;
}

/// kSums planes of `plane` elements.
template <class T, int kSumCount>
struct PlanesTerm {
  using Compute = T;
  static constexpr int kSums = kSumCount;
  const T* x;
  std::int64_t plane;

  struct Column {
    const T* x;
    std::int64_t plane;
    __device__ void value(std::int64_t at, std::int64_t, T (&out)[kSums]) const {
      for (int s = 0; s < kSums; ++s) out[s] = x[s * plane + at];
    }
  };
  __device__ Column column(std::int64_t) const { return {x, plane}; }
};

/// The sums of `term` over everything that a statistic covers, into the sink.
template <class Term>
void sum_statistics(const NormGeometry& g, const Term& term, bool share,
                    const Sink<typename Term::Compute, Term::kSums>& sink) {
  using T = typename Term::Compute;
  if (g.over_batch) return sum_columns(norm_columns(g), term, share, sink);
  const std::int64_t rows = g.a * g.b * g.g;
  if (g.b == 1) return sum_rows(term, rows, g.d, share, sink);
  if (g.d == 1) return sum_columns(norm_row_terms(g), term, share, sink);
  const Scratch terms(Term::kSums * rows * static_cast<std::int64_t>(sizeof(T)));
  Sink<T, Term::kSums> of_rows;
  for (int s = 0; s < Term::kSums; ++s) of_rows.out[s] = terms.as<T>() + s * rows;
  sum_rows(term, rows, g.d, share, of_rows);
  sum_columns(norm_row_terms(g), PlanesTerm<T, Term::kSums>{terms.as<T>(), rows}, share, sink);
}

/// A sink of results in the compute type, divided by the count of terms.
template <class V, int kSums>
Sink<V, kSums> mean_sink(const NormGeometry& g) {
  Sink<V, kSums> sink;
  sink.divides = true;
  sink.divisor = static_cast<V>(g.count());
  return sink;
}

/// Why a statistic is not shared among many threads; null when it is.
inline const char* refuse_shared_statistics(const NormGeometry& g) {
  if (!g.over_batch && refuse_block_rows(g.a * g.b * g.g, g.d) == nullptr) return nullptr;
  if (!g.over_batch && g.b <= numerics::kBlock) return "rows are short or enough to give each to a warp";
  if (g.over_batch && g.count() <= numerics::kMaxLeafSamples) return "sums are too short to be shared";
  if (g.statistics() >= kBusyThreads) return "there are statistics enough to give each to a thread";
  return nullptr;
}

// ---- element by element

inline constexpr int kNormThreads = 256;
inline constexpr int kNormPack = 4;
inline constexpr std::int64_t kNormStretch = 1024;  // elements of a row that a group of lanes takes

/// Batch norm: thread t owns packs t, t + threads, ... of x, all of the same channels, whose numbers it
/// keeps.
struct ChannelWalk {
  std::int64_t packs, channel_packs, threads;

  ChannelWalk(const NormGeometry& g, int pack) : packs(g.numel() / pack), channel_packs(g.channels() / pack) {
    std::int64_t blocks = blocks_for(packs, 4 * kNormThreads);
    if (blocks > 4096) blocks = 4096;
    if (blocks * kNormThreads < channel_packs) blocks = blocks_for(channel_packs, kNormThreads);
    threads = channel_packs == 0 ? 0 : blocks * kNormThreads / channel_packs * channel_packs;
  }
  std::int64_t blocks() const { return packs == 0 ? 0 : blocks_for(threads, kNormThreads); }
  __device__ std::int64_t thread() const {
    return static_cast<std::int64_t>(blockIdx.x) * kNormThreads + threadIdx.x;
  }
};

/// Layer and group norm: a group of `width` lanes owns a stretch of a row.
struct RowWalk {
  std::int64_t rows, stretches;
  int width;

  explicit RowWalk(const NormGeometry& g)
      : rows(g.a * g.b * g.g), stretches(blocks_for(g.d, kNormStretch)), width(lane_group(g.d)) {}
  std::int64_t blocks() const { return row_blocks(rows * stretches, width); }
};

/// Every group of lanes calls fn(row, first + lane, end) for the stretches of rows that it owns.
template <class Fn>
__device__ inline void for_each_stretch(const RowWalk& walk, std::int64_t columns, const Fn& fn) {
  for_each_row(walk.rows * walk.stretches, 1, walk.width,
               [&](std::int64_t item, int lane, std::int64_t count) {
                 if (count == 0) return;
                 const std::int64_t first = item % walk.stretches * kNormStretch;
                 fn(item / walk.stretches, first + lane,
                    columns - first < kNormStretch ? columns : first + kNormStretch);
               });
}

}  // namespace isobit::gpu::kernels
