// The sums of a thread in the tiled kernels (gemm_tile.cuh, gemm_vector.cuh): the products of a slab, what
// happens when a block of terms ends, and the way out.
//
// Order of summation: an element is one chain of fma over the terms of a block in ascending order. At the end
// of each block of terms the totals, kept in memory that only this thread touches (`slots`), are added: first
// + second + ...; at the end of a leaf its total enters the batch tree, a binary counter in further slots.
#pragma once
#include "cuda/kernels/gemm_share.cuh"
#include "cuda/kernels/gemm_slab.cuh"

namespace isobit::gpu::kernels {

/// Keeps the transposing stores into a slab free of conflicts.
template <class V>
inline constexpr int kPad = sizeof(V) == 8 ? 2 : 4;

/// The sums of one thread for a tile of shape T, storage type S.
template <class S, class T>
struct Sums {
  using V = Compute<S>;
  static constexpr int kM = T::kM, kN = T::kN, kTM = T::kTM, kTN = T::kTN, kThreads = T::kThreads;
  V at[kTM][kTN];

  __device__ void clear() {
#pragma unroll
    for (int i = 0; i < kTM; ++i)
#pragma unroll
      for (int j = 0; j < kTN; ++j) at[i][j] = 0;
  }

  /// Into a slot, which holds a tile as the threads own it: neighbours in threads are neighbours in memory.
  __device__ void keep(V* slot) const {
    const int thread = static_cast<int>(threadIdx.x);
#pragma unroll
    for (int i = 0; i < kTM; ++i)
#pragma unroll
      for (int j = 0; j < kTN; j += 4) {
        Four<V> four;
#pragma unroll
        for (int x = 0; x < 4; ++x) four.at[x] = at[i][j + x];
        reinterpret_cast<Four<V>*>(slot)[(i * (kTN / 4) + j / 4) * kThreads + thread] = four;
      }
  }

  /// What a slot holds is added, from the left.
  __device__ void fold(const V* slot) {
    const int thread = static_cast<int>(threadIdx.x);
#pragma unroll
    for (int i = 0; i < kTM; ++i)
#pragma unroll
      for (int j = 0; j < kTN; j += 4) {
        const Four<V> four =
            reinterpret_cast<const Four<V>*>(slot)[(i * (kTN / 4) + j / 4) * kThreads + thread];
#pragma unroll
        for (int x = 0; x < 4; ++x) at[i][j + x] = four.at[x] + at[i][j + x];
      }
  }

  /// The products of a slab, which lies as [term][row] and [term][column].
  __device__ void multiply(const V (&a_slab)[kSlab][kM + kPad<V>], const V (&b_slab)[kSlab][kN + kPad<V>],
                           ThreadPlace mine) {
#pragma unroll
    for (int t = 0; t < kSlab; ++t) {
      V a_part[kTM], b_part[kTN];
#pragma unroll
      for (int i = 0; i < kTM; i += 4) {
        const Four<V> four = *reinterpret_cast<const Four<V>*>(&a_slab[t][spread(kM, kTM, mine.row, i)]);
#pragma unroll
        for (int x = 0; x < 4; ++x) a_part[i + x] = four.at[x];
      }
#pragma unroll
      for (int j = 0; j < kTN; j += 4) {
        const Four<V> four = *reinterpret_cast<const Four<V>*>(&b_slab[t][spread(kN, kTN, mine.column, j)]);
#pragma unroll
        for (int x = 0; x < 4; ++x) b_part[j + x] = four.at[x];
      }
#pragma unroll
      for (int i = 0; i < kTM; ++i)
#pragma unroll
        for (int j = 0; j < kTN; ++j) at[i][j] = numerics::fma(a_part[i], b_part[j], at[i][j]);
    }
  }

  /// Block number u of the share, which is `unit`, has ended: its total is stored, or joins those before it
  /// in the slots from `chain` on.
  __device__ void end_block(const Gemm& p, const GemmMaps& maps, const Share& share, Unit unit,
                            std::int64_t u, V* chain) {
    if (p.split == Split::blocks) {
      const std::int64_t number = blockIdx.y * p.share + u;
      keep(static_cast<V*>(p.partial) + (number * gridDim.x + blockIdx.x) * T::kElements);
      clear();
      return;
    }
    if (unit.block > 0) fold(chain);
    if (unit.block + 1 < leaf_blocks(maps, unit.leaf)) {
      keep(chain);
      clear();
      return;
    }
    // The leaf has ended: level l of the counter waits while bit l of the number of leaves before is set.
    const bool done = unit.leaf + 1 == share.end_leaf;
    std::int64_t bits = unit.leaf - share.first.leaf;
    int level = 0;
    for (; bits != 0 && (done || (bits & 1) != 0); bits >>= 1, ++level)
      if ((bits & 1) != 0) fold(chain + (1 + level) * T::kElements);
    if (!done) {
      keep(chain + (1 + level) * T::kElements);
      clear();
    }
  }

  /// The share has ended: the total into its slot, or out through shared memory, `strip`, one strip of rows
  /// at a time, so that rows are written in whole lines. m0, n0: where the tile begins, of `rows` rows;
  /// out_row: offsets of the tile's rows.
  __device__ void write(const Gemm& p, std::int64_t batch, std::int64_t m0, std::int64_t n0,
                        std::int64_t rows, const std::int64_t* out_row, V* strip, ThreadPlace mine) const {
    if (p.split == Split::leaves)
      keep(static_cast<V*>(p.partial) +
           (static_cast<std::int64_t>(blockIdx.y) * gridDim.x + blockIdx.x) * T::kElements);
    if (p.split != Split::none) return;
    const int thread = static_cast<int>(threadIdx.x);
#pragma unroll
    for (int i = 0; i < kTM; ++i) {
#pragma unroll
      for (int j = 0; j < kTN; j += 4) {
        Four<V> four;
#pragma unroll
        for (int x = 0; x < 4; ++x) four.at[x] = at[i][j + x];
        *reinterpret_cast<Four<V>*>(strip + mine.row * kN + spread(kN, kTN, mine.column, j)) = four;
      }
      __syncthreads();
#pragma unroll 1
      for (int e = thread; e < T::kStripRows * kN / 4; e += kThreads) {
        const int row = spread(kM, kTM, e / (kN / 4), i);
        const std::int64_t n = n0 + e % (kN / 4) * 4;
        if (m0 + row < rows && n < p.columns) {
          const Four<V> four = *reinterpret_cast<const Four<V>*>(strip + e * 4);
          S* const to = static_cast<S*>(p.out) + (batch * p.out_batch + out_row[row] + n);
          const std::int64_t k = batch * p.bias_batch + n;
          Four<S> result;
#pragma unroll
          for (int x = 0; x < 4; ++x)
            result.at[x] =
                numerics::cast<S>(n + x < p.columns ? finished<S>(p.finish, k + x, four.at[x]) : V{0});
          if (p.out_vector) {
            *reinterpret_cast<Four<S>*>(to) = result;
          } else {
#pragma unroll
            for (int x = 0; x < 4; ++x)
              if (n + x < p.columns) to[x] = result.at[x];
          }
        }
      }
      __syncthreads();
    }
  }
};

}  // namespace isobit::gpu::kernels
