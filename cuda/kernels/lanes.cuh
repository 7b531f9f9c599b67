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

/// The lanes sum of a row by its group; chain(acc, j) is the chain acc with term j added.
template <class T, class Chain>
__device__ inline T group_sum(std::int64_t columns, int lane, int width, const Chain& chain) {
  T low = 0, high = 0;
  std::int64_t j = lane;
#pragma unroll 4
  for (; j + kWarp < columns; j += 2 * kWarp) {
    low = chain(low, j);
    high = chain(high, j + kWarp);
  }
  if (j < columns) low = chain(low, j);
  return join_lanes(low, high, columns, lane, width);
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

/// Shared memory of a block: terms, or the factors of products, of two tiles.
template <class T, int kFactors>
struct RowStage {
  T term[2][kFactors][kRowTile];
};

/// The lanes sum of a row by a block, in every thread. make(j, out) writes the kFactors factors of term j:
/// one: acc + a, two: fma(a, b, acc).
template <class T, int kFactors, class Make>
__device__ inline T block_sum(std::int64_t columns, RowStage<T, kFactors>& stage, const Make& make) {
  constexpr int kChains = static_cast<int>(numerics::kLanes);
  const int thread = static_cast<int>(threadIdx.x);
  T chain = 0;
  int turn = 0;
  // One barrier a tile: who fills a tile again has passed the barrier of the other, after which nobody reads
  // it.
  for (std::int64_t first = 0; first < columns; first += kRowTile, turn ^= 1) {
    const int count = static_cast<int>(columns - first < kRowTile ? columns - first : kRowTile);
    for (int t = thread; t < count; t += kRowThreads) {
      T factor[kFactors];
      make(first + t, factor);
      for (int f = 0; f < kFactors; ++f) stage.term[turn][f][t] = factor[f];
    }
    __syncthreads();
    if (thread < kChains) {
      const T(&tile)[kFactors][kRowTile] = stage.term[turn];
#pragma unroll 4
      for (int t = thread; t < count; t += kChains) {
        if constexpr (kFactors == 2) {
          chain = numerics::fma(tile[0][t], tile[1][t], chain);
        } else {
          chain = chain + tile[0][t];
        }
      }
    }
  }
  __syncthreads();
  T* const chains = stage.term[0][0];
  if (thread < kChains) chains[thread] = chain;
  __syncthreads();
  if (thread < kWarp) {
    const T sum = join_lanes(chains[thread], chains[thread + kWarp], columns, thread, kWarp);
    if (thread == 0) chains[kChains] = sum;
  }
  __syncthreads();
  const T sum = chains[kChains];
  __syncthreads();
  return sum;
}

/// The maximum of a row by a block, in every thread.
template <class T, int kFactors, class Value>
__device__ inline T block_maximum(std::int64_t columns, RowStage<T, kFactors>& stage, const Value& value) {
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
