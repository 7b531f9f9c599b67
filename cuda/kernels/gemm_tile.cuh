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
// Order of summation: an element is one chain of fma over the terms of a block in ascending order. At the end
// of each block of terms the totals, kept in memory that only this thread touches (`slots`), are added: first
// + second + ...; at the end of a leaf its total enters the batch tree, a binary counter in further slots.
// Terms beyond a leaf's end are filled with a = -0, b = +0, which changes no bit; rows and columns beyond the
// edge repeat the last ones and are not stored.
//
// Limits: coordinates and extents of one axis below 2^30; offsets are 64-bit.
#pragma once
#include "cuda/kernels/gemm_slab.cuh"

namespace isobit::gpu::kernels {

/// One block of terms: which leaf, which block of it.
struct Unit {
  std::int64_t leaf, block;
};
__device__ inline std::int64_t leaf_blocks(const GemmMaps& maps, std::int64_t leaf) {
  return numerics::block_count(leaf + 1 == maps.leaves ? maps.last_leaf_terms : maps.leaf_terms);
}
__device__ inline int unit_terms(const GemmMaps& maps, Unit u) {
  const std::int64_t terms =
      (u.leaf + 1 == maps.leaves ? maps.last_leaf_terms : maps.leaf_terms) - u.block * numerics::kBlock;
  return terms < numerics::kBlock ? static_cast<int>(terms) : kBlockTerms;
}
__device__ inline Unit next_unit(const GemmMaps& maps, Unit u) {
  if (u.block + 1 < leaf_blocks(maps, u.leaf)) return {u.leaf, u.block + 1};
  return {u.leaf + 1, 0};
}
/// All blocks of terms.
__device__ inline std::int64_t unit_count(const GemmMaps& maps) {
  if (maps.leaves == 0) return 0;
  return (maps.leaves - 1) * numerics::block_count(maps.leaf_terms) +
         numerics::block_count(maps.last_leaf_terms);
}

/// What a block of the grid reduces: `units` blocks of terms from `first` on, which end with leaf end_leaf.
struct Share {
  Unit first;
  std::int64_t units, end_leaf;
};
__device__ inline Share take_share(const Gemm& p, const GemmMaps& maps) {
  Share s{{0, 0}, unit_count(maps), maps.leaves};
  const std::int64_t number = blockIdx.y, whole = numerics::block_count(maps.leaf_terms);
  if (p.split == Split::leaves) {
    s.first.leaf = number * p.share;
    if (s.first.leaf + p.share < maps.leaves) s.end_leaf = s.first.leaf + p.share;
    s.units = s.end_leaf == maps.leaves ? s.units - s.first.leaf * whole : p.share * whole;
  } else if (p.split == Split::blocks) {
    const std::int64_t first = number * p.share, left = s.units - first;
    s.units = left < 0 ? 0 : left < p.share ? left : p.share;
    if (s.units > 0) s.first = {first / whole, first % whole};
  }
  return s;
}

// f64 is told how many blocks shall fit, for it comes out a few registers above that by itself.
template <class S, class T>
__global__ void __launch_bounds__(T::kThreads, sizeof(Compute<S>) == 8 ? 3 : 0) gemm_tile(Gemm p) {
  using V = Compute<S>;
  constexpr int kM = T::kM, kN = T::kN, kTM = T::kTM, kTN = T::kTN, kThreads = T::kThreads;
  constexpr int kPad = sizeof(V) == 8 ? 2 : 4;  // keeps the transposing stores free of conflicts
  SHARED(maps, GemmMaps);
  SHARED(at, TilePlace);  // the same for all threads, and registers are short
  SHARED(share, Share);
  SHARED(a_tile, V[2][kSlab][kM + kPad]);
  SHARED(b_tile, V[2][kSlab][kN + kPad]);
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

    V sum[kTM][kTN] = {};
    const auto clear = [&] {
#pragma unroll
      for (int i = 0; i < kTM; ++i)
#pragma unroll
        for (int j = 0; j < kTN; ++j) sum[i][j] = 0;
    };
    // A slot holds a tile as the threads own it: neighbours in threads are neighbours in memory.
    const auto keep = [&](V* slot) {
#pragma unroll
      for (int i = 0; i < kTM; ++i)
#pragma unroll
        for (int j = 0; j < kTN; j += 4) {
          Four<V> four;
#pragma unroll
          for (int x = 0; x < 4; ++x) four.at[x] = sum[i][j + x];
          reinterpret_cast<Four<V>*>(slot)[(i * (kTN / 4) + j / 4) * kThreads + thread] = four;
        }
    };
    const auto fold = [&](const V* slot) {
#pragma unroll
      for (int i = 0; i < kTM; ++i)
#pragma unroll
        for (int j = 0; j < kTN; j += 4) {
          const Four<V> four =
              reinterpret_cast<const Four<V>*>(slot)[(i * (kTN / 4) + j / 4) * kThreads + thread];
#pragma unroll
          for (int x = 0; x < 4; ++x) sum[i][j + x] = four.at[x] + sum[i][j + x];
        }
    };
    const std::int64_t tiles = gridDim.x, tile = blockIdx.x;
    V* const chain = static_cast<V*>(p.slots) + (blockIdx.y * tiles + tile) * p.slots_each * T::kElements;
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
#pragma unroll
        for (int t = 0; t < kSlab; ++t) {
          V a_part[kTM], b_part[kTN];
#pragma unroll
          for (int i = 0; i < kTM; i += 4) {
            const Four<V> four =
                *reinterpret_cast<const Four<V>*>(&a_tile[buffer][t][spread(kM, kTM, mine.row, i)]);
#pragma unroll
            for (int x = 0; x < 4; ++x) a_part[i + x] = four.at[x];
          }
#pragma unroll
          for (int j = 0; j < kTN; j += 4) {
            const Four<V> four =
                *reinterpret_cast<const Four<V>*>(&b_tile[buffer][t][spread(kN, kTN, mine.column, j)]);
#pragma unroll
            for (int x = 0; x < 4; ++x) b_part[j + x] = four.at[x];
          }
#pragma unroll
          for (int i = 0; i < kTM; ++i)
#pragma unroll
            for (int j = 0; j < kTN; ++j) sum[i][j] = numerics::fma(a_part[i], b_part[j], sum[i][j]);
        }
        buffer ^= 1;
        if (more) store(buffer);
        // Nobody reads this half any more: its last slab was fetched a barrier ago.
        if (last && u + 2 < share.units) fill_terms(half, next_unit(maps, next_unit(maps, unit)));
        __syncthreads();
      }
      // The block of terms has ended.
      if (p.split == Split::blocks) {
        const std::int64_t number = blockIdx.y * p.share + u;
        keep(static_cast<V*>(p.partial) + (number * tiles + tile) * T::kElements);
        clear();
      } else {
        if (unit.block > 0) fold(chain);
        if (unit.block + 1 < leaf_blocks(maps, unit.leaf)) {
          keep(chain);
          clear();
        } else {
          // The leaf has ended: level l of the counter waits while bit l of the number of leaves before is
          // set.
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
      }
      unit = next_unit(maps, unit);
    }

    if (p.split == Split::leaves) {
      keep(static_cast<V*>(p.partial) + (blockIdx.y * tiles + tile) * T::kElements);
    } else if (p.split == Split::none) {
      // Out through shared memory, one strip of rows at a time, so that rows are written in whole lines.
      static_assert(sizeof(V) * T::kStripRows * kN <= sizeof(a_tile));
      V* const strip = &a_tile[0][0][0];
#pragma unroll
      for (int i = 0; i < kTM; ++i) {
#pragma unroll
        for (int j = 0; j < kTN; j += 4) {
          Four<V> four;
#pragma unroll
          for (int x = 0; x < 4; ++x) four.at[x] = sum[i][j + x];
          *reinterpret_cast<Four<V>*>(strip + mine.row * kN + spread(kN, kTN, mine.column, j)) = four;
        }
        __syncthreads();
#pragma unroll 1
        for (int e = thread; e < T::kStripRows * kN / 4; e += kThreads) {
          const int row = spread(kM, kTM, e / (kN / 4), i);
          const std::int64_t n = n0 + e % (kN / 4) * 4;
          if (m0 + row < rows && n < p.columns) {
            const Four<V> four = *reinterpret_cast<const Four<V>*>(strip + e * 4);
            S* const to = static_cast<S*>(p.out) + (at.batch * p.out_batch + out_row[row] + n);
            const std::int64_t k = at.batch * p.bias_batch + n;
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
  }
}

/// The launch alone; each storage type's code is compiled in a file of its own, gemm_<type>.cu.
template <class S>
void launch_gemm_tile(TileShape shape, const Grid& grid, const Gemm& g);

}  // namespace isobit::gpu::kernels
