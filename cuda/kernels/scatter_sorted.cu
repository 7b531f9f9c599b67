// scatter_add_rows by sorting: the positions are sorted by (row, position), so that each row's lie together
// in ascending order; then each element of the output adds its own, one after the other from +0.
//   keys    row * 2^shift + position, all different, so any sort gives the same order: a bitonic one, in
//   tiles of 2048 in
//           shared memory, the steps between tiles in device memory
//   starts  a thread owns a row: the place of its first key, by bisection
//   add     a thread owns one element of the output or a pack of neighbours in a row
// Refused: so few positions that a scan by every block (scatter.cu) is as fast; keys of more than 63 bits.
#include "cuda/kernels/scatter.cuh"

#include <bit>

#include "cuda/kernels/kernels.h"
#include "cuda/kernels/walk.cuh"

namespace isobit::gpu::kernels {
namespace {

using Key = std::uint64_t;
constexpr int kTile = 2048;
constexpr std::int64_t kFew = 128;

__device__ inline void order(Key& a, Key& b, bool ascending) {
  if ((a > b) != ascending) return;
  const Key other = a;
  a = b;
  b = other;
}

/// The lower of the two places, `distance` (a power of two) apart, that pair number `pair` compares.
template <class I>
__device__ inline I lower_place(I pair, I distance) {
  return 2 * pair - (pair & (distance - 1));
}

/// The steps of distance `distance` and below in the merge of runs of `size` keys; `first` is the tile's
/// place. Barriers before each step, none after the last.
__device__ inline void merge_tile(Key (&tile)[kTile], std::int64_t first, std::int64_t size, int distance) {
  for (; distance > 0; distance /= 2) {
    __syncthreads();
    for (int pair = static_cast<int>(threadIdx.x); pair < kTile / 2; pair += kMapThreads) {
      const int low = lower_place(pair, distance);
      order(tile[low], tile[low + distance], ((first + low) & size) == 0);
    }
  }
}

/// Sorted tiles of keys, ascending and descending in turn; past the last position keys that sort behind all.
__global__ void __launch_bounds__(kMapThreads)
    sort_tiles(const std::int64_t* index, std::int64_t count, int shift, Key* keys) {
  SHARED(tile, Key[kTile]);
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.x) * kTile;
  for (int k = static_cast<int>(threadIdx.x); k < kTile; k += kMapThreads) {
    const std::int64_t i = first + k;
    tile[k] = i < count ? static_cast<Key>(index[i]) << shift | static_cast<Key>(i) : ~Key{0};
  }
  for (int size = 2; size <= kTile; size *= 2) merge_tile(tile, first, size, size / 2);
  __syncthreads();
  for (int k = static_cast<int>(threadIdx.x); k < kTile; k += kMapThreads) keys[first + k] = tile[k];
}

/// One step between tiles: a thread owns a pair.
__global__ void __launch_bounds__(kMapThreads)
    merge_far(Key* keys, std::int64_t pairs, std::int64_t size, std::int64_t distance) {
  for (std::int64_t pair = grid_thread(); pair < pairs; pair += grid_threads()) {
    const std::int64_t low = lower_place(pair, distance);
    order(keys[low], keys[low + distance], (low & size) == 0);
  }
}

/// The steps within tiles that follow.
__global__ void __launch_bounds__(kMapThreads) merge_near(Key* keys, std::int64_t size) {
  SHARED(tile, Key[kTile]);
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.x) * kTile;
  for (int k = static_cast<int>(threadIdx.x); k < kTile; k += kMapThreads) tile[k] = keys[first + k];
  merge_tile(tile, first, size, kTile / 2);
  __syncthreads();
  for (int k = static_cast<int>(threadIdx.x); k < kTile; k += kMapThreads) keys[first + k] = tile[k];
}

/// starts[row]: the place of the first key of `row` or of a row behind it; starts[rows] = count.
__global__ void __launch_bounds__(kMapThreads)
    find_starts(const Key* keys, std::int64_t count, int shift, std::int64_t rows, std::int64_t* starts) {
  for (std::int64_t row = grid_thread(); row <= rows; row += grid_threads()) {
    std::int64_t low = row == rows ? count : 0, high = count;
    const Key wanted = static_cast<Key>(row) << shift;
    while (low < high) {
      const std::int64_t middle = low + (high - low) / 2;
      if (keys[middle] < wanted) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    starts[row] = low;
  }
}

/// N: elements of a thread; row_packs: packs of N in a row.
template <class S, int N>
__global__ void __launch_bounds__(kMapThreads)
    add_rows_sorted(const S* dy, const Key* keys, Key positions, const std::int64_t* starts,
                    Divisor row_packs, S* out, std::int64_t n) {
  constexpr int kAhead = 4;  // rows loaded before they are added
  const std::int64_t row_size = row_packs.value * N;
  for (std::int64_t i = grid_thread(); N * i < n; i += grid_threads()) {
    std::int64_t row = 0, pack = 0;
    row_packs.split(i, row, pack);
    const S* column = dy + N * pack;
    Value<S> sum[N] = {};
    std::int64_t at = starts[row];
    const std::int64_t end = starts[row + 1];
    for (; at + kAhead <= end; at += kAhead) {
      Value<S> v[kAhead][N];
      for (int k = 0; k < kAhead; ++k)
        read_pack(column, static_cast<std::int64_t>(keys[at + k] & positions) * row_size, v[k]);
      for (int k = 0; k < kAhead; ++k)
        for (int j = 0; j < N; ++j) sum[j] = sum[j] + v[k][j];
    }
    for (; at < end; ++at) {
      Value<S> v[N];
      read_pack(column, static_cast<std::int64_t>(keys[at] & positions) * row_size, v);
      for (int j = 0; j < N; ++j) sum[j] = sum[j] + v[j];
    }
    write<N>(out, N * i, n, true, sum);
  }
}

template <class S, int N>
void add_rows(ConstView dy, const Key* keys, int shift, const std::int64_t* starts, std::int64_t row_size,
              View out) {
  const Divisor row_packs(row_size / N, out.numel);
  launch(add_rows_sorted<S, N>, grid_stride_blocks(out.numel / N, kMapThreads), kMapThreads, 0, dy.as<S>(),
         keys, (Key{1} << shift) - 1, starts, row_packs, out.as<S>(), out.numel);
}

/// Bits of the largest position.
int position_bits(std::int64_t count) {
  return std::bit_width(static_cast<Key>(count - 1));
}

void sort_positions(ConstView index, int shift, Key* keys, std::int64_t padded) {
  const std::int64_t tiles = padded / kTile;
  launch(sort_tiles, tiles, kMapThreads, 0, index.as<std::int64_t>(), index.numel, shift, keys);
  for (std::int64_t size = 2 * kTile; size <= padded; size *= 2) {
    for (std::int64_t distance = size / 2; distance >= kTile; distance /= 2)
      launch(merge_far, grid_stride_blocks(padded / 2, kMapThreads), kMapThreads, 0, keys, padded / 2, size,
             distance);
    launch(merge_near, tiles, kMapThreads, 0, keys, size);
  }
}

}  // namespace

const char* refuse_scatter_sorted(ConstView, ConstView index, std::int64_t row_count, std::int64_t, View) {
  if (index.numel <= kFew) return "so few positions are scanned as fast";
  if (position_bits(index.numel) + std::bit_width(static_cast<Key>(row_count)) > 63)
    return "row and position need more than 63 bits";
  return nullptr;
}

void scatter_add_rows_sorted(ConstView dy, ConstView index, std::int64_t row_count, std::int64_t row_size,
                             View out) {
  if (row_count == 0 || row_size == 0) return;
  const std::int64_t count = index.numel;
  const int shift = position_bits(count);
  std::int64_t padded = kTile;
  while (padded < count) padded *= 2;
  constexpr std::int64_t kBytes = sizeof(std::int64_t);
  const Scratch key_memory(padded * kBytes), start_memory((row_count + 1) * kBytes);
  Key* keys = key_memory.as<Key>();
  std::int64_t* starts = start_memory.as<std::int64_t>();
  sort_positions(index, shift, keys, padded);
  launch(find_starts, grid_stride_blocks(row_count + 1, kMapThreads), kMapThreads, 0, keys, count, shift,
         row_count, starts);
  with_floating("scatter_add_rows", dy.dtype, [&](auto type) {
    using S = decltype(type);
    constexpr int N = kPack<S>;
    if (row_size % N == 0 && fits_packs<S, N>(dy.data) && fits_packs<S, N>(out.data)) {
      add_rows<S, N>(dy, keys, shift, starts, row_size, out);
    } else {
      add_rows<S, 1>(dy, keys, shift, starts, row_size, out);
    }
  });
}

}  // namespace isobit::gpu::kernels
