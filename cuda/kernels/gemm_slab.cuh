// The tiles of the gathered products (gemm_tile.cuh): their shapes, which elements a thread owns, and how
// slabs of terms pass from global memory through registers into shared memory.
#pragma once
#include "cuda/kernels/gemm_share.cuh"

namespace isobit::gpu::kernels {

inline constexpr int kSlab = 8;
static_assert(kBlockTerms % kSlab == 0);

/// Four neighbours, moved in one access, or in two where they take more than 16 bytes.
template <class T>
using Four = Pack<T, 4>;

/// The shape of a tile: rows, columns, and those of one thread.
template <int kM_, int kN_, int kTM_, int kTN_>
struct Tile {
  static constexpr int kM = kM_, kN = kN_, kTM = kTM_, kTN = kTN_;
  static constexpr int kThreads = kM / kTM * (kN / kTN);
  static constexpr int kWarpsN = kN / kTN / 8;  // a warp is 4 x 8 threads
  static constexpr int kStripRows = kM / kTM;   // rows of which each thread row owns one
  static constexpr std::int64_t kElements = std::int64_t{kM} * kN;
  static_assert(kTM % 4 == 0 && kTN % 4 == 0 && kN / kTN % 8 == 0 && kStripRows % 4 == 0);
  static_assert(kM <= kThreads && kN <= kThreads);
};

/// The place of a thread in its tile.
struct ThreadPlace {
  int row, column;  // of threads
};
__device__ inline ThreadPlace thread_place(int thread, int warps_n) {
  const int warp = thread / 32, lane = thread % 32;
  return {warp / warps_n * 4 + lane / 8, warp % warps_n * 8 + lane % 8};
}
/// Row (column) of the tile that is number i of the `each` of thread row (column) `thread`.
__device__ inline int spread(int extent, int each, int thread, int i) {
  return i / 4 * (extent * 4 / each) + thread * 4 + i % 4;
}

/// How a slab of kRows rows by kSlab terms is dealt to the threads: this one's first row and term, and how
/// far the next one is. Neighbouring threads take neighbours in memory, and their stores to shared memory are
/// free of conflicts.
struct Deal {
  int row, term, row_step, term_step;
};
template <int kRows, int kThreads>
__device__ inline Deal deal(Reach reach) {
  const int thread = static_cast<int>(threadIdx.x);
  if (reach == Reach::term_vector) return {thread / 2, thread % 2 * 4, kThreads / 2, 0};
  if (reach == Reach::term) return {thread % 32 / 8 + thread / 32 * 4, thread % 8, kThreads / 8, 0};
  if (reach == Reach::row_vector)
    return {thread % (kRows / 4) * 4, thread / (kRows / 4), 0, kThreads / (kRows / 4)};
  return {thread % kRows, thread / kRows, 0, kThreads / kRows};
}

/// Elements that a thread stages in registers for one operand: at least one access of four.
template <int kRows, int kThreads>
inline constexpr int kStaged = kRows* kSlab / kThreads < 4 ? 4 : kRows* kSlab / kThreads;

/// stage = slab of an operand from term `first` of `terms` on; fetch(row, term) reads one element, fetch_four
/// four.
template <int kRows, int kThreads, class S, class Fetch, class FetchFour>
__device__ inline void load_slab(bool fours, Deal at, int first, int terms, S filler, const Fetch& fetch,
                                 const FetchFour& fetch_four, S (&stage)[kStaged<kRows, kThreads>]) {
  constexpr int kCount = kRows * kSlab / kThreads;
  if (fours) {
#pragma unroll
    for (int i = 0; i < kStaged<kRows, kThreads>; i += 4) {
      const int row = at.row + i / 4 * at.row_step, term = at.term + i / 4 * at.term_step;
      Four<S> four{{filler, filler, filler, filler}};
      if ((kCount >= 4 || (row < kRows && term < kSlab)) && first + term < terms)
        four = fetch_four(row, first + term);
#pragma unroll
      for (int x = 0; x < 4; ++x) stage[i + x] = four.at[x];
    }
  } else {
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      const int row = at.row + i * at.row_step, term = first + at.term + i * at.term_step;
      stage[i] = term < terms ? fetch(row, term) : filler;
    }
  }
}

/// The staged slab into its half of shared memory, tile[term][row], widened.
template <int kRows, int kThreads, class S, class V, int kPitch>
__device__ inline void store_slab(Reach reach, Deal at, const S (&stage)[kStaged<kRows, kThreads>],
                                  V (&tile)[kSlab][kPitch]) {
  constexpr int kCount = kRows * kSlab / kThreads;
  if (reach == Reach::term || reach == Reach::row) {
#pragma unroll
    for (int i = 0; i < kCount; ++i)
      tile[at.term + i * at.term_step][at.row + i * at.row_step] = numerics::widen(stage[i]);
    return;
  }
#pragma unroll
  for (int i = 0; i < kStaged<kRows, kThreads>; i += 4) {
    const int row = at.row + i / 4 * at.row_step, term = at.term + i / 4 * at.term_step;
    if (kCount < 4 && (row >= kRows || term >= kSlab)) continue;
    Four<V> four;
#pragma unroll
    for (int x = 0; x < 4; ++x) four.at[x] = numerics::widen(stage[i + x]);
    if (reach == Reach::row_vector) {
      *reinterpret_cast<Four<V>*>(&tile[term][row]) = four;
    } else {
#pragma unroll
      for (int x = 0; x < 4; ++x) tile[term + x][row] = four.at[x];
    }
  }
}

/// The tiles there are (FewTile has a kernel of its own, gemm_few.cuh).
using LargeTile = Tile<128, 128, 8, 8>;
using HalfTile = Tile<128, 64, 8, 8>;
using MiddleTile = Tile<64, 64, 4, 8>;
using NarrowTile = Tile<128, 32, 8, 4>;

/// Calls body(tile) with the Tile that `shape`, which is one of these, means for storage type S; f64 has none
/// of 64 sums a thread.
template <class S, class Body>
void with_tile(TileShape shape, const Body& body) {
  if constexpr (!std::is_same_v<S, double>) {
    if (shape == TileShape::m128n128) return body(LargeTile{});
    if (shape == TileShape::m128n64) return body(HalfTile{});
  }
  if (shape == TileShape::m128n32) return body(NarrowTile{});
  return body(MiddleTile{});
}

}  // namespace isobit::gpu::kernels
