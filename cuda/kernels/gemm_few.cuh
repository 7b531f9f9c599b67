// The kernel of gathered products with few columns (gemm.cuh): gradients to images, transposed convolutions
// to them, convolutions in small groups. A tile of gemm_tile.cuh has at least 32 columns, for a warp is 4 x 8
// threads; here a tile is 256 x 8 and a thread owns four rows of all its columns. No other thread needs those
// rows, so their elements of a go from global memory into registers and no further; b is read from shared
// memory, the same element by all threads.
//
// The terms are walked in stretches of as many as there are threads: each thread brings one term, its place
// in a and its elements of b. Of a stretch kFewStep terms are fetched at a time, then multiplied: what other
// warps multiply hides the latency. Terms beyond the last whole step go one by one, so nothing has to be
// filled up.
//
// Order of summation: gemm_sums.cuh. Rows and columns beyond the edge repeat the last ones and are not
// stored.
//
// Limits: those of gemm_tile.cuh.
#pragma once
#include "cuda/kernels/gemm_sums.cuh"

namespace isobit::gpu::kernels {

/// The shape: a thread owns kTM rows of all columns.
struct FewTile {
  static constexpr int kM = 256, kN = 8, kTM = 4, kTN = 8;
  static constexpr int kThreads = kM / kTM, kStripRows = kThreads;
  static constexpr std::int64_t kElements = std::int64_t{kM} * kN;
};

/// Terms that a thread fetches at a time: of a row whole sectors of memory, as far as there are registers.
template <class S>
inline constexpr int kFewStep = sizeof(S) == 8 ? 4 : 8;

/// Blocks that shall fit a multiprocessor: 16 warps; 12 where f16 is widened, 8 with the double registers of
/// f64.
template <class S>
inline constexpr int kFewBlocks = sizeof(S) == 8   ? 4
                                  : sizeof(S) == 4 ? 8
                                                   : 6;

/// Of a term: its place in a, and the coordinates there.
struct alignas(16) FewTerm {
  std::int64_t place;
  std::int32_t at[3];
};

/// The products of terms that a thread has fetched.
template <class S, int kTerms>
__device__ inline void multiply_few(const S (&part)[FewTile::kTM][kTerms],
                                    const Compute<S> (*b_term)[FewTile::kN], Sums<S, FewTile>& sums) {
  using V = Compute<S>;
  constexpr int kTM = FewTile::kTM, kN = FewTile::kN;
#pragma unroll
  for (int t = 0; t < kTerms; ++t) {
    V b_part[kN];
#pragma unroll
    for (int j = 0; j < kN; j += 4) {
      const Four<V> four = *reinterpret_cast<const Four<V>*>(&b_term[t][j]);
#pragma unroll
      for (int x = 0; x < 4; ++x) b_part[j + x] = four.at[x];
    }
#pragma unroll
    for (int i = 0; i < kTM; ++i) {
      const V value = numerics::widen(part[i][t]);
#pragma unroll
      for (int j = 0; j < kN; ++j) sums.at[i][j] = numerics::fma(value, b_part[j], sums.at[i][j]);
    }
  }
}

/// kA: how a is fetched; the single elements of Reach::row as those of Reach::term.
template <class S, Reach kA>
__global__ void __launch_bounds__(FewTile::kThreads, kFewBlocks<S>) gemm_few(Gemm p) {
  using V = Compute<S>;
  using T = FewTile;
  constexpr int kM = T::kM, kN = T::kN, kTM = T::kTM, kThreads = T::kThreads, kStep = kFewStep<S>;
  SHARED(maps, GemmMaps);
  SHARED(at, TilePlace);  // the same for all threads, and registers are short
  SHARED(share, Share);
  SHARED(row_place, std::int64_t[kM]);  // in a, and at the end in out
  SHARED(row_at, std::int32_t[3][kM]);
  SHARED(a_term, FewTerm[kThreads]);
  SHARED(b_term, V[kThreads][kN]);

  const int thread = static_cast<int>(threadIdx.x);
  if (thread == 0) {
    at = tile_place(p);
    maps = p.maps;
    if (p.phased) set_phase(p.phases, at.phase, maps);
    const Share taken =
        take_share(p, maps);  // a copy: what a call returns straight into memory no tracer sees
    share = taken;
  }
  __syncthreads();
  const std::int64_t m0 = at.m_tile * kM, n0 = at.n_tile * kN, rows = maps.rows;
  if (m0 < rows) {  // the same for the whole block; phases have different numbers of rows
    const S* const a = static_cast<const S*>(p.a);
    const S* const b = static_cast<const S*>(p.b);
    constexpr bool kRowFours = kA == Reach::row_vector;
    // A thread's own rows: no other one reads what is written here.
    const int row0 = thread * kTM;
#pragma unroll 1
    for (int e = row0; e < row0 + kTM; ++e) {
      const std::int64_t m = m0 + e < rows ? m0 + e : rows - (kRowFours ? kTM - (e - row0) : 1);
      row_place[e] = at.batch * p.a_batch +
                     place(maps.a_rows, m, [&](int axis, std::int32_t x) { row_at[axis][e] = x; });
    }
    std::int64_t a_row[kTM];
    std::int32_t a_row_at[3][kTM];
#pragma unroll
    for (int i = 0; i < kTM; ++i) {
      a_row[i] = row_place[row0 + i];
#pragma unroll
      for (int axis = 0; axis < 3; ++axis) a_row_at[axis][i] = row_at[axis][row0 + i];
    }

    // Where row i of the thread lies at a term, and whether that is an element of a.
    const auto inside = [&](int i, const FewTerm& term) {
      bool real = true;
#pragma unroll
      for (int axis = 0; axis < 3; ++axis)
        real = real & (static_cast<std::uint32_t>(a_row_at[axis][i] + term.at[axis]) <
                       static_cast<std::uint32_t>(p.bounds[axis]));
      return real;
    };
    const S outside = element_of<S>(p.border.value);
    const auto fetch = [&](int i, const FewTerm& term) {
      const std::int64_t offset = a_row[i] + term.place;
      return inside(i, term) ? a[offset] : outside;
    };
    const auto fetch_four = [&](int i, const FewTerm& term) {
      const std::int64_t offset = a_row[i] + term.place;
      return inside(i, term) ? *reinterpret_cast<const Four<S>*>(a + offset)
                             : Four<S>{{outside, outside, outside, outside}};
    };
    const auto fetch_mapped = [&](int i, const FewTerm& term) {
      std::int64_t offset = a_row[i] + term.place;
      const auto coordinate = [&](int axis) { return row_at[axis][row0 + i] + term.at[axis]; };
      return inside(i, term) || find_mapped(p, coordinate, &offset) ? a[offset] : outside;
    };

    Sums<S, T> sums;
    sums.clear();
    const auto chain = [&] {
      return static_cast<V*>(p.slots) +
             (static_cast<std::int64_t>(blockIdx.y) * gridDim.x + blockIdx.x) * p.slots_each * T::kElements;
    };

    Unit unit = share.first;
    for (std::int64_t u = 0; u < share.units; ++u) {
      const int end = unit_terms(maps, unit);
      for (int first = 0; first < end; first += kThreads) {
        const int terms = end - first < kThreads ? end - first : kThreads;
        if (thread < terms) {
          const std::int64_t term =
              unit.leaf * maps.leaf_terms + unit.block * numerics::kBlock + first + thread;
          FewTerm& entry = a_term[thread];
          entry.place = place(maps.a_terms, term, [&](int axis, std::int32_t x) { entry.at[axis] = x; });
          const S* const from = b + (at.batch * p.b_batch + place(maps.b_terms, term));
#pragma unroll
          for (int j = 0; j < kN; j += 4) {
            Four<V> four;
#pragma unroll
            for (int x = 0; x < 4; ++x) {
              const std::int64_t n = n0 + j + x < p.columns ? n0 + j + x : p.columns - 1;
              four.at[x] = numerics::widen(from[n * p.b_column_stride]);
            }
            *reinterpret_cast<Four<V>*>(&b_term[thread][j]) = four;
          }
        }
        __syncthreads();
        int t = 0;
        if (p.border.mapped) {
#pragma unroll 1
          for (; t < terms; ++t) {
            S part[kTM][1];
#pragma unroll
            for (int i = 0; i < kTM; ++i) part[i][0] = fetch_mapped(i, a_term[t]);
            multiply_few(part, &b_term[t], sums);
          }
        }
#pragma unroll 1
        for (; t + kStep <= terms; t += kStep) {
          S part[kTM][kStep];
          if constexpr (kA == Reach::term_vector) {
#pragma unroll
            for (int i = 0; i < kTM; ++i)
#pragma unroll
              for (int s = 0; s < kStep; s += 4) {
                const Four<S> four = fetch_four(i, a_term[t + s]);
#pragma unroll
                for (int x = 0; x < 4; ++x) part[i][s + x] = four.at[x];
              }
          } else if constexpr (kRowFours) {
#pragma unroll
            for (int s = 0; s < kStep; ++s) {
              const Four<S> four = fetch_four(0, a_term[t + s]);
#pragma unroll
              for (int i = 0; i < kTM; ++i) part[i][s] = four.at[i];
            }
          } else {
#pragma unroll
            for (int s = 0; s < kStep; ++s)
#pragma unroll
              for (int i = 0; i < kTM; ++i) part[i][s] = fetch(i, a_term[t + s]);
          }
          multiply_few(part, &b_term[t], sums);
        }
#pragma unroll 1
        for (; t < terms; ++t) {
          S part[kTM][1];
#pragma unroll
          for (int i = 0; i < kTM; ++i) part[i][0] = fetch(i, a_term[t]);
          multiply_few(part, &b_term[t], sums);
        }
        __syncthreads();
      }
      sums.end_block(p, maps, share, unit, u, chain());
      unit = next_unit(maps, unit);
    }

#pragma unroll 1
    for (int e = row0; e < row0 + kTM; ++e)
      row_place[e] = place(maps.out_rows, m0 + e < rows ? m0 + e : rows - 1);
    static_assert(T::kTM == 4 && T::kStripRows == kThreads, "b_term holds a strip, and a row's fours a four");
    sums.write(p, at.batch, m0, n0, rows, row_place, &b_term[0][0], ThreadPlace{thread, 0});
  }
}

/// The launch alone.
template <class S>
void launch_gemm_few(const Grid& grid, const Gemm& g);

}  // namespace isobit::gpu::kernels
