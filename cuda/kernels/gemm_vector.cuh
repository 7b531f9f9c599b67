// The tiled kernel of f32 products whose operands can be read four at a time: convolutions with multiples of
// four channels and filters, and most matrix products. The same tiles and sums as gemm_tile.cuh, which serves
// the rest, but the way in is fixed when the kernel is compiled, so that nearly all a main loop issues is
// multiply-adds.
//
// An operand whose rows (columns of b) are contiguous goes from global memory straight into shared memory by
// cp.async; one whose terms are contiguous has to be transposed, which cp.async cannot, so four terms of a
// row pass through registers: fetched before a slab is multiplied, stored after it. Before sm_80 both do. A
// slab is multiplied while the next one comes: at 64 multiply-adds a term and thread two slabs hide the
// latency of memory.
//
// Where a term of a lies is worked out once for each block of numerics::kBlock terms, into a table; a row's
// place is in registers of those who fetch it. Both are counted in fours of elements, modulo 2^32: their sum
// is right when a has less than 2^34 elements. The last slab of a block is outside of the main loop, for then
// the next block's first one comes.
//
// Order of summation: gemm_sums.cuh. Terms beyond a leaf's end are filled with a = -0, b = +0, which changes
// no bit; rows and columns beyond the edge repeat the last ones and are not stored.
#pragma once
#include "cuda/async_copy.cuh"
#include "cuda/kernels/gemm_sums.cuh"

namespace isobit::gpu::kernels {

/// How a slab of kRows rows is dealt in fours to the threads: each takes kFours, the i-th at row(i), term(i)
/// of the slab. Registers are short: of the slab's memory a thread knows where its first one lies.
template <int kRows, int kThreads, Reach kReach>
struct Fours {
  static_assert(kReach == Reach::term_vector || kReach == Reach::row_vector);
  static constexpr bool kTerms = kReach == Reach::term_vector;
  static constexpr int kAll = kRows * kSlab / 4;
  static constexpr int kFours = (kAll + kThreads - 1) / kThreads;
  static constexpr bool kStaged = kTerms || !kAsyncCopies;  // through registers
  static constexpr int kShift = kTerms ? 2 : 0;             // fours of terms, or terms
  static constexpr int kRowShift = 2 - kShift;
  static constexpr int kPlaces = kRows / (1 << kRowShift), kTermPlaces = kBlockTerms / (1 << kShift);
  static constexpr int kPitch = kRows + kPad<float>;
  static constexpr int kRowStep = kTerms ? kThreads / 2 : 0, kTermStep = kTerms ? 0 : kThreads * 4 / kRows;
  int term0, slot0;

  __device__ Fours() : term0(first_term()), slot0(first_term() * kPitch + row(0)) {}
  __device__ static int first_term() {
    const int thread = static_cast<int>(threadIdx.x);
    return kTerms ? thread % 2 * 4 : thread / (kRows / 4);
  }
  __device__ static int row(int i) {
    const int thread = static_cast<int>(threadIdx.x);
    return (kTerms ? thread / 2 : thread % (kRows / 4) * 4) + i * kRowStep;
  }
  __device__ int term(int i) const { return term0 + i * kTermStep; }
  __device__ int slot(int i) const { return slot0 + i * (kTermStep * kPitch + kRowStep); }
  /// Whether the thread has an i-th one.
  __device__ bool has(int i) const { return kAll % kThreads == 0 || (row(i) < kRows && term(i) < kSlab); }
  /// A four that passed through registers, into its slab.
  __device__ void store(int i, const Four<float>& four, float* slab) const {
    if constexpr (kTerms) {
#pragma unroll
      for (int x = 0; x < 4; ++x) slab[slot(i) + x * kPitch] = four.at[x];
    } else {
      *reinterpret_cast<Four<float>*>(slab + slot(i)) = four;
    }
  }
};

/// Of a, a term or four: its place in fours of elements and its coordinates; of b, the place alone. Terms
/// beyond the end lie at kBeyond, outside of any bounds.
struct alignas(16) VectorTerm {
  std::uint32_t place;
  std::int32_t at[3];
};
inline constexpr std::int32_t kBeyond = -0x7fffffff - 1;

/// Of b, whose terms are contiguous, the two fours of a slab: their places, and whether they are there.
struct alignas(16) VectorSlab {
  std::uint32_t place[2], real[2];
};

/// A slab of both operands.
template <class T>
struct Slab {
  float a[kSlab][T::kM + kPad<float>], b[kSlab][T::kN + kPad<float>];
};
__device__ inline std::uint32_t in_fours(std::int64_t offset) {
  return static_cast<std::uint32_t>(offset >> 2);
}
__device__ inline const Four<float>* four_at(const void* data, std::uint32_t place) {
  return static_cast<const Four<float>*>(data) + place;
}

/// Blocks that shall fit a multiprocessor: 16 warps, for which 128 registers a thread are left. 64 sums and
/// the fours on their way need up to 168: 12 warps, or 8 where those are a block.
template <class T>
inline constexpr int kVectorBlocks = (T::kTM * T::kTN == 64 ? 384 : 512) / T::kThreads;

template <class T, Reach kA, Reach kB>
__global__ void __launch_bounds__(T::kThreads, kVectorBlocks<T>) gemm_vector(Gemm p) {
  constexpr int kM = T::kM, kN = T::kN, kThreads = T::kThreads;
  using AFours = Fours<kM, kThreads, kA>;
  using BFours = Fours<kN, kThreads, kB>;
  constexpr bool kBTable = BFours::kTerms;  // else the terms of b are evenly spaced
  SHARED(maps, GemmMaps);
  SHARED(at, TilePlace);  // the same for all threads, and registers are short
  SHARED(share, Share);
  SHARED(slabs, Slab<T>[2]);
  SHARED(a_place, VectorTerm[AFours::kPlaces]);
  SHARED(out_row, std::int64_t[kM]);
  SHARED(a_term, VectorTerm[2][AFours::kTermPlaces]);
  SHARED(b_term, VectorSlab[2][kBTable ? kBlockTerms / kSlab : 1]);

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
    for (int e = thread; e < kM; e += kThreads)
      out_row[e] = place(maps.out_rows, m0 + e < rows ? m0 + e : rows - 1);
    for (int e = thread; e < AFours::kPlaces; e += kThreads) {
      const std::int64_t m = m0 + (e << AFours::kRowShift), last = rows - (1 << AFours::kRowShift);
      const std::int64_t offset =
          place(maps.a_rows, m < last ? m : last, [&](int axis, std::int32_t x) { a_place[e].at[axis] = x; });
      a_place[e].place = in_fours(at.batch * p.a_batch + offset);
    }  // the barrier behind the first terms is that of the rows, too; out_row is read behind write()'s

    const auto leaf_term = [&](Unit u) { return u.leaf * maps.leaf_terms + u.block * numerics::kBlock; };
    const auto fill_terms = [&](int half, Unit u) {
      const std::int64_t first = leaf_term(u);
      const int terms = unit_terms(maps, u);
      const int whole = (terms + kSlab - 1) / kSlab * kSlab;  // the last slab is filled up
      for (int e = thread; e << AFours::kShift < whole; e += kThreads) {
        VectorTerm& entry = a_term[half][e];
        entry = {0, {kBeyond, 0, 0}};
        if (e << AFours::kShift < terms)
          entry.place = in_fours(place(maps.a_terms, first + (e << AFours::kShift),
                                       [&](int axis, std::int32_t x) { entry.at[axis] = x; }));
      }
      if constexpr (kBTable) {
        for (int e = thread; e * 4 < whole; e += kThreads) {
          const bool real = e * 4 < terms;
          b_term[half][e / 2].real[e % 2] = real ? 1 : 0;
          b_term[half][e / 2].place[e % 2] = real ? in_fours(place(maps.b_terms, first + e * 4)) : 0;
        }
      }
    };

    const AFours a_fours;
    const BFours b_fours;
    const std::uint32_t b_step = kBTable ? 0 : in_fours(maps.b_terms.stride[0]);
    // Of b where the next slab's fours lie, or those of term 0.
    std::uint32_t b_at[BFours::kFours];
#pragma unroll
    for (int i = 0; i < BFours::kFours; ++i) {
      const std::int64_t n = n0 + b_fours.row(i), last = p.columns - (BFours::kTerms ? 1 : 4);
      b_at[i] = in_fours(at.batch * p.b_batch + (n < last ? n : last) * p.b_column_stride) +
                b_step * static_cast<std::uint32_t>(leaf_term(share.first) + b_fours.term(i));
    }
    const auto advance_b = [&](int terms) {
#pragma unroll
      for (int i = 0; i < BFours::kFours; ++i) b_at[i] += b_step * static_cast<std::uint32_t>(terms);
    };

    // Begins to fetch the slab from term `first` of `terms` on.
    Four<float> a_stage[AFours::kFours], b_stage[BFours::kFours];
    const auto begin = [&](int half, int first, int terms, Slab<T>& slab) {
#pragma unroll
      for (int i = 0; i < AFours::kFours; ++i) {
        if (!a_fours.has(i)) continue;
        const VectorTerm row = a_place[a_fours.row(i) >> AFours::kRowShift];  // again, for want of registers
        const VectorTerm entry = a_term[half][(first + a_fours.term(i)) >> AFours::kShift];
        bool real = true;
#pragma unroll
        for (int axis = 0; axis < 3; ++axis)
          real = real & (static_cast<std::uint32_t>(row.at[axis] + entry.at[axis]) <
                         static_cast<std::uint32_t>(p.bounds[axis]));
        const float value = entry.at[0] == kBeyond ? -0.0F : element_of<float>(p.border.value);
        const Four<float>* const from = four_at(p.a, row.place + entry.place);
        if constexpr (AFours::kStaged) {
          a_stage[i] = {{value, value, value, value}};
          if (real) a_stage[i] = *from;
        } else {
          float* const to = &slab.a[0][0] + a_fours.slot(i);
          if (real)
            async_copy<16>(to, from);
          else
            store_at_once(reinterpret_cast<Four<float>*>(to), {{value, value, value, value}});
        }
      }
#pragma unroll
      for (int i = 0; i < BFours::kFours; ++i) {
        if (!b_fours.has(i)) continue;
        bool real;
        std::uint32_t from = b_at[i];
        if constexpr (kBTable) {
          const VectorSlab entry = b_term[half][first / kSlab];
          from += b_fours.term0 == 0 ? entry.place[0] : entry.place[1];
          real = (b_fours.term0 == 0 ? entry.real[0] : entry.real[1]) != 0;
        } else {
          real = first + b_fours.term(i) < terms;
        }
        if constexpr (BFours::kStaged) {
          b_stage[i] = {};
          if (real) b_stage[i] = *four_at(p.b, from);
        } else {
          float* const to = &slab.b[0][0] + b_fours.slot(i);
          if (real)
            async_copy<16>(to, four_at(p.b, from));
          else
            *reinterpret_cast<Four<float>*>(to) = {};
        }
      }
      async_commit();
    };
    const auto finish = [&](Slab<T>& slab) {
      if constexpr (AFours::kStaged) {
#pragma unroll
        for (int i = 0; i < AFours::kFours; ++i)
          if (a_fours.has(i)) a_fours.store(i, a_stage[i], &slab.a[0][0]);
      }
      if constexpr (BFours::kStaged) {
#pragma unroll
        for (int i = 0; i < BFours::kFours; ++i)
          if (b_fours.has(i)) b_fours.store(i, b_stage[i], &slab.b[0][0]);
      }
      async_wait<0>();
    };
    Sums<float, T> sums;
    sums.clear();
    const auto chain = [&] {
      return static_cast<float*>(p.slots) +
             (static_cast<std::int64_t>(blockIdx.y) * gridDim.x + blockIdx.x) * p.slots_each * T::kElements;
    };
    const ThreadPlace mine = thread_place(thread, T::kWarpsN);

    // Fewer than 2^31: b has no more terms than elements. Registers are short.
    int leaf = static_cast<int>(share.first.leaf), block = static_cast<int>(share.first.block);
    if (share.units > 0) {
      fill_terms(0, share.first);
      __syncthreads();
      begin(0, 0, unit_terms(maps, share.first), slabs[0]);
      finish(slabs[0]);
      if (share.units > 1) fill_terms(1, next_unit(maps, share.first));
      __syncthreads();
    }
    int buffer = 0;
    for (int u = 0; u < share.units; ++u) {
      const int half = u & 1, end = unit_terms(maps, {leaf, block});
      int first = kSlab;
      if (first < end) {
#pragma unroll 1
        do {
          advance_b(kSlab);
          begin(half, first, end, slabs[buffer ^ 1]);
          sums.multiply(slabs[buffer].a, slabs[buffer].b, mine);
          buffer ^= 1;
          finish(slabs[buffer]);
          __syncthreads();
          first += kSlab;
        } while (first < end);
      }
      const Unit unit{leaf, block}, next = next_unit(maps, unit);
      const bool more = u + 1 < share.units;
      advance_b(end - (first - kSlab));
      if (more) begin(half ^ 1, 0, unit_terms(maps, next), slabs[buffer ^ 1]);
      sums.multiply(slabs[buffer].a, slabs[buffer].b, mine);
      buffer ^= 1;
      if (more) finish(slabs[buffer]);
      // Nobody reads this half any more: its last slab was fetched a barrier ago.
      if (u + 2 < share.units) fill_terms(half, next_unit(maps, next));
      __syncthreads();
      sums.end_block(p, maps, share, unit, u, chain());
      leaf = static_cast<int>(next.leaf);
      block = static_cast<int>(next.block);
    }
    static_assert(sizeof(float) * T::kStripRows * kN <= sizeof(slabs));
    sums.write(p, at.batch, at.m_tile * kM, at.n_tile * kN, maps.rows, out_row, &slabs[0].a[0][0], mine);
  }
}

}  // namespace isobit::gpu::kernels
