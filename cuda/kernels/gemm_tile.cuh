// The tiled kernel of all matrix products and convolutions (gemm.cuh).
//
// A block owns a tile of kM x kN elements of out, a thread kTM x kTN of them: groups of 4 x 4, spread so that
// a warp (4 x 8 threads) reads shared memory in whole, conflict-free lines. The terms are walked in slabs of
// kSlab, which pass from global memory through registers into one half of shared memory while the other half
// is multiplied. Where a term lies is worked out once for each block of numerics::kBlock terms, by all
// threads together, into a table; a fetch then adds a row's offset to a term's. An element whose coordinates
// lie outside of a is the border's value or, in a branch that is seldom taken, moved to where its axis' mode
// reads.
//
// Order of summation: gemm_sums.cuh. Terms beyond a leaf's end are filled with a = -0, b = +0, which changes
// no bit; rows and columns beyond the edge repeat the last ones and are not stored.
//
// Limits: coordinates and extents of one axis below 2^30; offsets are 64-bit.
#pragma once
#include "cuda/kernels/gemm_sums.cuh"

namespace isobit::gpu::kernels {

/// Blocks that shall fit a multiprocessor, 0 where ptxas finds a good number by itself: f64 comes out a few
/// registers above three; with 16 bits and 64 sums a thread three would spill on sm_120.
template <class S, class T>
inline constexpr int kTileBlocks = sizeof(Compute<S>) == 8 ? 3 : 0;
template <>
inline constexpr int kTileBlocks<f16, HalfTile> = 2;
template <>
inline constexpr int kTileBlocks<bf16, HalfTile> = 2;

template <class S, class T>
__global__ void __launch_bounds__(T::kThreads, kTileBlocks<S, T>) gemm_tile(Gemm p) {
  using V = Compute<S>;
  constexpr int kM = T::kM, kN = T::kN, kThreads = T::kThreads;
  SHARED(maps, GemmMaps);
  SHARED(at, TilePlace);  // the same for all threads, and registers are short
  SHARED(share, Share);
  SHARED(a_tile, V[2][kSlab][kM + kPad<V>]);
  SHARED(b_tile, V[2][kSlab][kN + kPad<V>]);
  SHARED(a_row, std::int64_t[kM]);
  SHARED(a_row_at, std::int32_t[3][kM]);
  SHARED(out_row, std::int64_t[kM]);
  SHARED(a_term, std::int64_t[2][kBlockTerms]);
  SHARED(a_term_at, std::int32_t[2][3][kBlockTerms]);
  SHARED(b_term, std::int64_t[2][kBlockTerms]);

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
    const int row_shift = p.a_reach == Reach::row_vector ? 2 : 0;
    const int a_shift = p.a_reach == Reach::term_vector ? 2 : 0,
              b_shift = p.b_reach == Reach::term_vector ? 2 : 0;
    for (int e = thread; e < kM >> row_shift; e += kThreads) {
      const std::int64_t m = m0 + (e << row_shift), last = rows - (1 << row_shift);
      a_row[e] = at.batch * p.a_batch + place(maps.a_rows, m < last ? m : last,
                                              [&](int axis, std::int32_t x) { a_row_at[axis][e] = x; });
    }
    for (int e = thread; e < kM; e += kThreads)
      out_row[e] = place(maps.out_rows, m0 + e < rows ? m0 + e : rows - 1);

    const auto fill_terms = [&](int half, Unit u) {
      const std::int64_t first = u.leaf * maps.leaf_terms + u.block * numerics::kBlock;
      const int terms = unit_terms(maps, u);
      for (int e = thread; e << a_shift < terms; e += kThreads)
        a_term[half][e] = place(maps.a_terms, first + (e << a_shift),
                                [&](int axis, std::int32_t x) { a_term_at[half][axis][e] = x; });
      for (int e = thread; e << b_shift < terms; e += kThreads)
        b_term[half][e] = at.batch * p.b_batch + place(maps.b_terms, first + (e << b_shift));
    };

    const S* const a = static_cast<const S*>(p.a);
    const S* const b = static_cast<const S*>(p.b);
    const std::int64_t last_column = p.columns - (p.b_reach == Reach::row_vector ? 4 : 1);
    const bool a_fours = p.a_reach == Reach::term_vector || p.a_reach == Reach::row_vector;
    const bool b_fours = p.b_reach == Reach::term_vector || p.b_reach == Reach::row_vector;
    const Deal a_deal = deal<kM, kThreads>(p.a_reach), b_deal = deal<kN, kThreads>(p.b_reach);
    S a_stage[kStaged<kM, kThreads>], b_stage[kStaged<kN, kThreads>];
    const auto load = [&](int half, int first, int terms) {
      const auto find = [&](int row, int term, std::int64_t* offset) {
        const int r = row >> row_shift, t = term >> a_shift;
        *offset = a_row[r] + a_term[half][t];
        if (!p.bounded) return true;
        bool real = true;
#pragma unroll
        for (int axis = 0; axis < 3; ++axis)
          real = real && static_cast<std::uint32_t>(a_row_at[axis][r] + a_term_at[half][axis][t]) <
                             static_cast<std::uint32_t>(p.bounds[axis]);
        if (real || !p.border.mapped) return real;
        return find_mapped(
            p, [&](int axis) { return a_row_at[axis][r] + a_term_at[half][axis][t]; }, offset);
      };
      const auto outside = [&] { return element_of<S>(p.border.value); };
      load_slab<kM, kThreads>(
          a_fours, a_deal, first, terms, numerics::cast<S>(V{-0.0}),
          [&](int row, int term) {
            std::int64_t offset;
            return find(row, term, &offset) ? a[offset] : outside();
          },
          [&](int row, int term) {
            std::int64_t offset;
            return find(row, term, &offset) ? *reinterpret_cast<const Four<S>*>(a + offset)
                                            : Four<S>{{outside(), outside(), outside(), outside()}};
          },
          a_stage);
      const auto find_b = [&](int column, int term) {
        const std::int64_t n = n0 + column < last_column ? n0 + column : last_column;
        return b + (b_term[half][term >> b_shift] + n * p.b_column_stride);
      };
      load_slab<kN, kThreads>(
          b_fours, b_deal, first, terms, S{}, [&](int column, int term) { return *find_b(column, term); },
          [&](int column, int term) { return *reinterpret_cast<const Four<S>*>(find_b(column, term)); },
          b_stage);
    };
    const auto store = [&](int buffer) {
      store_slab<kM, kThreads>(p.a_reach, a_deal, a_stage, a_tile[buffer]);
      store_slab<kN, kThreads>(p.b_reach, b_deal, b_stage, b_tile[buffer]);
    };

    Sums<S, T> sums;
    sums.clear();
    const auto chain = [&] {
      return static_cast<V*>(p.slots) +
             (static_cast<std::int64_t>(blockIdx.y) * gridDim.x + blockIdx.x) * p.slots_each * T::kElements;
    };
    const ThreadPlace mine = thread_place(thread, T::kWarpsN);

    Unit unit = share.first;
    if (share.units > 0) {
      fill_terms(0, unit);
      const int terms = unit_terms(maps, unit);
      __syncthreads();
      load(0, 0, terms);
      store(0);
      if (share.units > 1) fill_terms(1, next_unit(maps, unit));
      __syncthreads();
    }
    int buffer = 0;
    for (std::int64_t u = 0; u < share.units; ++u) {
      const int half = static_cast<int>(u & 1), end = unit_terms(maps, unit);
      const int after = u + 1 < share.units ? unit_terms(maps, next_unit(maps, unit)) : 0;
      for (int first = 0; first < end; first += kSlab) {
        const bool last = first + kSlab >= end;
        const bool more = !last || u + 1 < share.units;
        if (more) load(last ? half ^ 1 : half, last ? 0 : first + kSlab, last ? after : end);
        sums.multiply(a_tile[buffer], b_tile[buffer], mine);
        buffer ^= 1;
        if (more) store(buffer);
        // Nobody reads this half any more: its last slab was fetched a barrier ago.
        if (last && u + 2 < share.units) fill_terms(half, next_unit(maps, next_unit(maps, unit)));
        __syncthreads();
      }
      sums.end_block(p, maps, share, unit, u, chain());
      unit = next_unit(maps, unit);
    }

    static_assert(sizeof(V) * T::kStripRows * kN <= sizeof(a_tile));
    sums.write(p, at.batch, m0, n0, rows, out_row, &a_tile[0][0][0], mine);
  }
}

/// The launch alone; each storage type's code is compiled in a file of its own, gemm_<type>.cu.
template <class S>
void launch_gemm_tile(TileShape shape, const Grid& grid, const Gemm& g);

}  // namespace isobit::gpu::kernels
