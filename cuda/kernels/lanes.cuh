// The lanes tree over a contiguous row (docs/numerics.md): term t belongs to chain t mod 64, chains join by
// halving, those without a term are skipped. Two ways to give a row to threads:
//   a group   lane_group(columns) threads of a warp, two chains each; short rows share a warp
//   a block   all threads make terms, tile by tile, into shared memory, where 64 of them add each chain in
//   order:
//             for rows too few and too long for groups to keep a memory busy
// Both add the same numbers in the same order.
#pragma once
#include "core/numerics/elementary.h"
#include "cuda/kernels/element.cuh"

namespace isobit::gpu::kernels {

inline constexpr int kWarp = 32;
inline constexpr unsigned kFullWarp = 0xffffffffu;
inline constexpr int kRowThreads = 256;
static_assert(numerics::kLanes == 2 * kWarp, "a thread of a group owns two chains");

/// Threads in a row's group: the smallest power of two that holds the columns, at most a warp.
inline int lane_group(std::int64_t columns) {
  int width = 1;
  while (width < kWarp && width < columns) width *= 2;
  return width;
}
/// Blocks in which every row of `rows` finds a group of `width` threads.
inline std::int64_t row_blocks(std::int64_t rows, int width) {
  return grid_stride_blocks(rows, kRowThreads / width);
}

/// Every thread of a warp calls fn(row, lane in the row's group, columns to do): no columns where the rows
/// end inside of a warp, so that all lanes meet in the shuffles.
template <class Fn>
__device__ inline void for_each_row(std::int64_t rows, std::int64_t columns, int width, const Fn& fn) {
  const int lane = static_cast<int>(threadIdx.x) % width, group = static_cast<int>(threadIdx.x) / width;
  const std::int64_t each = kRowThreads / width, step = each * gridDim.x;
  for (std::int64_t first = each * blockIdx.x; first < rows; first += step) {
    const std::int64_t row = first + group;
    fn(row, lane, row < rows ? columns : 0);
  }
}

/// Joins the chains lane (low) and lane + 32 (high) of a row's group; every lane gets the sum.
template <class T>
__device__ inline T join_lanes(T low, T high, std::int64_t columns, int lane, int width) {
  if (lane + kWarp < columns) low = low + high;
  for (int half = kWarp / 2; half > 0; half /= 2) {
    if (half >= width) continue;  // these lanes have no terms
    const T other = __shfl_down_sync(kFullWarp, low, half, width);
    if (lane < half && lane + half < columns) low = low + other;
  }
  return __shfl_sync(kFullWarp, low, 0, width);
}

/// Lanes sums of a row by its group, in every lane; chain(acc, j) adds the terms j to the kSums chains acc.
template <class T, int kSums, class Chain>
__device__ inline void group_sums(std::int64_t columns, int lane, int width, T (&sum)[kSums],
                                  const Chain& chain) {
  T low[kSums] = {}, high[kSums] = {};
  std::int64_t j = lane;
#pragma unroll 4
  for (; j + kWarp < columns; j += 2 * kWarp) {
    chain(low, j);
    chain(high, j + kWarp);
  }
  if (j < columns) chain(low, j);
  for (int s = 0; s < kSums; ++s) sum[s] = join_lanes(low[s], high[s], columns, lane, width);
}
/// One of them.
template <class T, class Chain>
__device__ inline T group_sum(std::int64_t columns, int lane, int width, const Chain& chain) {
  T sum[1];
  group_sums(columns, lane, width, sum, [&](T* acc, std::int64_t j) { acc[0] = chain(acc[0], j); });
  return sum[0];
}

/// The greater; NaN wins. Which of two zeros wins is open.
template <class T>
__device__ inline T greater_of(T a, T b) {
  return a != a || a >= b ? a : b;
}

/// The maximum of a row by its group, in every lane.
template <class T, class Value>
__device__ inline T group_maximum(std::int64_t columns, int lane, int width, const Value& value) {
  T best = -numerics::infinity<T>();
#pragma unroll 4
  for (std::int64_t j = lane; j < columns; j += width) best = greater_of(best, value(j));
  for (int half = kWarp / 2; half > 0; half /= 2) {
    const T other = __shfl_xor_sync(kFullWarp, best, half);
    if (half < width) best = greater_of(best, other);
  }
  return best;
}

// ---- a block a row: kRowThreads threads, all of which call

inline constexpr int kRowTile = 1024;  // terms on their way to the chains, of two tiles in turn

/// Shared memory of a block: the terms of kTerms sums, or the two factors of products, for two tiles.
template <class T, int kTerms>
struct RowStage {
  T term[2][kTerms][kRowTile];
};

/// Lanes sums of a row by a block, in every thread. make(j, out) gives the terms j of the kSums sums, or, for
/// kProducts, the two factors of the term of one: acc = fma(out[0], out[1], acc).
template <bool kProducts, class T, int kSums, int kTerms, class Make>
__device__ inline void block_row_sums(std::int64_t columns, RowStage<T, kTerms>& stage, T (&sum)[kSums],
                                      const Make& make) {
  static_assert(kTerms == (kProducts ? 2 : kSums) && (kSums == 1 || !kProducts));
  constexpr int kChains = static_cast<int>(numerics::kLanes);
  static_assert(kSums * kChains <= kRowThreads);
  const int thread = static_cast<int>(threadIdx.x);
  const int which = thread / kChains;  // the sum of which this thread owns a chain
  T chain = 0;
  int turn = 0;
  // One barrier a tile: who fills a tile again has passed the barrier of the other, after which nobody reads
  // it.
  for (std::int64_t first = 0; first < columns; first += kRowTile, turn ^= 1) {
    const int count = static_cast<int>(columns - first < kRowTile ? columns - first : kRowTile);
    for (int t = thread; t < count; t += kRowThreads) {
      T term[kTerms];
      make(first + t, term);
      for (int f = 0; f < kTerms; ++f) stage.term[turn][f][t] = term[f];
    }
    __syncthreads();
    if (which < kSums) {
      const T* const tile = stage.term[turn][which];
#pragma unroll 4
      for (int t = thread % kChains; t < count; t += kChains) {
        if constexpr (kProducts) {
          chain = numerics::fma(tile[t], stage.term[turn][1][t], chain);
        } else {
          chain = chain + tile[t];
        }
      }
    }
  }
  __syncthreads();
  T* const chains = stage.term[0][0];
  if (which < kSums) chains[thread] = chain;
  __syncthreads();
  if (thread < kWarp) {
    for (int s = 0; s < kSums; ++s) {
      T* const of_sum = chains + s * kChains;
      sum[s] = join_lanes(of_sum[thread], of_sum[thread + kWarp], columns, thread, kWarp);
      if (thread == 0) chains[kSums * kChains + s] = sum[s];
    }
  }
  __syncthreads();
  for (int s = 0; s < kSums; ++s) sum[s] = chains[kSums * kChains + s];
  __syncthreads();
}

/// The maximum of a row by a block, in every thread.
template <class T, int kTerms, class Value>
__device__ inline T block_maximum(std::int64_t columns, RowStage<T, kTerms>& stage, const Value& value) {
  const int thread = static_cast<int>(threadIdx.x);
  T best = -numerics::infinity<T>();
#pragma unroll 4
  for (std::int64_t j = thread; j < columns; j += kRowThreads) best = greater_of(best, value(j));
  for (int half = kWarp / 2; half > 0; half /= 2)
    best = greater_of(best, __shfl_xor_sync(kFullWarp, best, half));
  T* const of_warp = stage.term[0][0];
  if (thread % kWarp == 0) of_warp[thread / kWarp] = best;
  __syncthreads();
  best = of_warp[0];
  for (int warp = 1; warp < kRowThreads / kWarp; ++warp) best = greater_of(best, of_warp[warp]);
  __syncthreads();
  return best;
}

/// Why rows are not given to blocks; null when they are.
inline const char* refuse_block_rows(std::int64_t rows, std::int64_t columns) {
  if (columns < 512) return "a block a row needs rows of at least 512 elements";
  if (rows > 2048) return "there are rows enough to give each to a warp";
  return nullptr;
}

}  // namespace isobit::gpu::kernels
