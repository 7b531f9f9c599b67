// The tiled kernel of fast mode's products (tensor_product.cuh).
//
// A block owns a tile of kM x kN elements of out, a warp a part of it as sums of 16 x 8, in the fragments of
// cuda/mma.cuh. The terms are walked in slabs of 64 bytes a row, of which kStages lie in shared memory: while
// one is multiplied the next ones come by cp.async, each operand the way it lies in memory. Where a slab's
// terms lie is worked out by one warp for each operand, a slab ahead, in a table of two halves; a copy adds a
// row's offset to a term's. What lies outside is stored by hand: the border's value, zeros beyond the last
// term and row.
//
// f16 and bf16 go through ldmatrix, transposed where neighbours are rows. f32 is read by 32 bits and rounded
// in registers; a fragment of 16 bits pairs terms 4 apart, in both operands alike, so that the reads are free
// of bank conflicts.
//
// Order of summation: the matrix unit's, slab after slab; with a split, of each share, joined first to last.
// Sums are f32 throughout.
#pragma once
#include "cuda/async_copy.cuh"
#include "cuda/kernels/tensor_product.cuh"

namespace isobit::gpu::kernels {

inline constexpr int kTensorStages = 3;

/// An operand's slab in shared memory: kRows rows of kSlab terms, or the other way round. The pitch keeps
/// fragments free of bank conflicts and rows aligned for ldmatrix.
template <class S, int kRows, Lie kLie>
struct TensorSlab {
  static constexpr int kSlab = kTensorSlab<S>, kRun = 16 / static_cast<int>(sizeof(S));
  static constexpr int kPitch = kLie == Lie::terms ? kSlab + kRun : kRows + 8;
  static constexpr int kElements = kPitch * (kLie == Lie::terms ? kRows : kSlab);
  __device__ static constexpr int at(int row, int term) {
    return kLie == Lie::terms ? row * kPitch + term : term * kPitch + row;
  }
};

/// Brings a slab in: find(row, term, &offset) tells whether the element at that place is an element of the
/// operand, and which; else it is `outside(row, term)`.
template <class S, int kRows, Lie kLie, int kThreads, class Find, class Outside>
__device__ inline void copy_slab(bool runs, const S* from, S* slab, const Find& find,
                                 const Outside& outside) {
  using Slab = TensorSlab<S, kRows, kLie>;
  constexpr int kSlab = Slab::kSlab, kRun = Slab::kRun;
  constexpr int kWide = kLie == Lie::terms ? kSlab : kRows;  // of the direction of neighbours
  const auto place_of = [](int e, int* row, int* term) {
    *row = kLie == Lie::terms ? e / kWide : e % kWide;
    *term = kLie == Lie::terms ? e % kWide : e / kWide;
  };
  if (runs) {
#pragma unroll
    for (int i = 0; i < kRows * kSlab / kRun / kThreads; ++i) {
      int row, term;
      place_of((static_cast<int>(threadIdx.x) + i * kThreads) * kRun, &row, &term);
      std::int64_t offset;
      S* const to = slab + Slab::at(row, term);
      if (find(row, term, &offset)) {
        async_copy<16>(to, from + offset);
      } else {
        const S value = outside(row, term);
        Pack<S, kRun> run;
#pragma unroll
        for (int x = 0; x < kRun; ++x) run.at[x] = value;
        store_pack(to, run);
      }
    }
    return;
  }
#pragma unroll 1
  for (int e = static_cast<int>(threadIdx.x); e < kRows * kSlab; e += kThreads) {
    int row, term;
    place_of(e, &row, &term);
    std::int64_t offset;
    S* const to = slab + Slab::at(row, term);
    if (!find(row, term, &offset)) {
      *to = outside(row, term);
    } else if constexpr (sizeof(S) == 4) {
      async_copy<4>(to, from + offset);
    } else {
      *to = from[offset];
    }
  }
}

/// Two f32 of a fragment's register, as the unit takes them; tf32 takes the first alone.
template <Unit kUnit>
__device__ inline std::uint32_t rounded(const float* first, const float* second) {
  if constexpr (kUnit == Unit::tf32) {
    return round_tf32(*first);
  } else if constexpr (kUnit == Unit::f16) {
    return pack_f16(*first, *second);
  } else {
    return pack_bf16(*first, *second);
  }
}

/// The registers of the fragment of a, 16 rows from `row` on, at the terms from `term` on.
template <class S, Unit kUnit, int kRows, Lie kLie>
__device__ inline void load_a(const S* slab, int row, int term, std::uint32_t (&a)[4]) {
  using Slab = TensorSlab<S, kRows, kLie>;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  if constexpr (sizeof(S) == 2) {
    if constexpr (kLie == Lie::terms)
      load_matrices<false>(a, slab + Slab::at(row + lane % 16, term + lane / 16 * 8));
    else
      load_matrices<true>(a, slab + Slab::at(row + lane / 8 % 2 * 8, term + lane % 8 + lane / 16 * 8));
  } else {
    const int g = row + lane / 4, t = term + lane % 4;
    constexpr int kPair = kUnit == Unit::tf32 ? 4 : 8;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const float* const at = slab + Slab::at(g + i % 2 * 8, t + i / 2 * kPair);
      a[i] = rounded<kUnit>(at, at + (Slab::at(0, 4) - Slab::at(0, 0)));
    }
  }
}

/// Those of two fragments of b, 16 columns from `column` on.
template <class S, Unit kUnit, int kRows, Lie kLie>
__device__ inline void load_b(const S* slab, int column, int term, std::uint32_t (&b)[2][2]) {
  using Slab = TensorSlab<S, kRows, kLie>;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  if constexpr (sizeof(S) == 2) {
    std::uint32_t r[4];
    const int at = Slab::at(column + lane / 16 * 8 + (kLie == Lie::terms ? lane % 8 : 0),
                            term + lane / 8 % 2 * 8 + (kLie == Lie::terms ? 0 : lane % 8));
    load_matrices<kLie == Lie::rows>(r, slab + at);
#pragma unroll
    for (int i = 0; i < 4; ++i) b[i / 2][i % 2] = r[i];
  } else {
    const int g = column + lane / 4, t = term + lane % 4;
    constexpr int kPair = kUnit == Unit::tf32 ? 4 : 8;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const float* const at = slab + Slab::at(g + i / 2 * 8, t + i % 2 * kPair);
      b[i / 2][i % 2] = rounded<kUnit>(at, at + (Slab::at(0, 4) - Slab::at(0, 0)));
    }
  }
}

template <Unit kUnit>
__device__ inline void multiply(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2]) {
  if constexpr (kUnit == Unit::tf32) mma_tf32(d, a, b);
  if constexpr (kUnit == Unit::f16) mma_f16(d, a, b);
  if constexpr (kUnit == Unit::bf16) mma_bf16(d, a, b);
}

/// The place in the tile of a thread's first sum.
template <class T>
__device__ inline void first_sum(int* row, int* column) {
  const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  *row = warp / T::kWarpsN * T::kRowTiles * 16 + lane / 4;
  *column = warp % T::kWarpsN * T::kColumnTiles * 8 + lane % 4 * 2;
}

/// Two neighbours as they are stored, rounded by the instruction that the unit's operands take.
template <class S>
__device__ inline Pack<S, 2> stored(float low, float high) {
  if constexpr (std::is_same_v<S, float>) {
    return {{low, high}};
  } else {
    std::uint32_t both;
    if constexpr (std::is_same_v<S, f16>)
      both = pack_f16(low, high);
    else
      both = pack_bf16(low, high);
    return {{S{static_cast<std::uint16_t>(both)}, S{static_cast<std::uint16_t>(both >> 16)}}};
  }
}

/// Bias, activation, rounding, and out. Four lanes write 8 neighbours of a row.
template <class S, class T>
__device__ inline void store_sums(const Gemm& p, const GemmMaps& maps, const TilePlace& at,
                                  const float (&sum)[T::kRowTiles][T::kColumnTiles][4]) {
  int row, column;
  first_sum<T>(&row, &column);
  // Within the tile 32 bits do: they save registers.
  const std::int64_t m0 = at.m_tile * T::kM, n0 = at.n_tile * T::kN, k0 = at.batch * p.bias_batch + n0;
  const int rows = maps.rows - m0 < T::kM ? static_cast<int>(maps.rows - m0) : T::kM;
  const int columns = p.columns - n0 < T::kN ? static_cast<int>(p.columns - n0) : T::kN;
#pragma unroll
  for (int i = 0; i < T::kRowTiles; ++i)
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int m = row + i * 16 + half * 8;
      if (m >= rows) continue;
      S* const out = static_cast<S*>(p.out) + (at.batch * p.out_batch + place(maps.out_rows, m0 + m) + n0);
#pragma unroll
      for (int j = 0; j < T::kColumnTiles; ++j) {
        const int n = column + j * 8;
        if (n >= columns) continue;
        const bool both = n + 1 < columns;
        const float low = finished<S>(p.finish, k0 + n, sum[i][j][half * 2]);
        const float high = both ? finished<S>(p.finish, k0 + n + 1, sum[i][j][half * 2 + 1]) : 0.0f;
        const Pack<S, 2> two = stored<S>(low, high);
        if (p.out_vector) {  // then columns are even
          store_pack(out + n, two);
        } else {
          out[n] = two.at[0];
          if (both) out[n + 1] = two.at[1];
        }
      }
    }
}

template <class S, Unit kUnit, class T, Lie kA, Lie kB>
__global__ void __launch_bounds__(T::kThreads, 1) tensor_tile(TensorProduct product) {
  constexpr int kSlab = kTensorSlab<S>, kStep = kUnit == Unit::tf32 ? 8 : 16;
  using SlabA = TensorSlab<S, T::kM, kA>;
  using SlabB = TensorSlab<S, T::kN, kB>;
  constexpr int kStageElements = SlabA::kElements + SlabB::kElements;
  DYN_SHARED(stages, S);
  SHARED(maps, GemmMaps);
  SHARED(at, TilePlace);
  SHARED(a_row, std::int64_t[T::kM]);
  SHARED(a_row_at, std::int32_t[3][T::kM]);
  SHARED(a_term, std::int64_t[2][kSlab]);
  SHARED(a_term_at, std::int32_t[2][3][kSlab]);
  SHARED(b_term, std::int64_t[2][kSlab]);
  const Gemm& p = product.plan;
  const int thread = static_cast<int>(threadIdx.x), lane = thread % 32;
  if (thread == 0) {
    at = tile_place(p);
    maps = p.maps;
    if (p.phased) set_phase(p.phases, at.phase, maps);
  }
  __syncthreads();
  const std::int64_t m0 = at.m_tile * T::kM, n0 = at.n_tile * T::kN, rows = maps.rows;
  if (m0 >= rows) return;  // the whole block; phases have different numbers of rows
  for (int e = thread; e < T::kM; e += T::kThreads)
    a_row[e] = at.batch * p.a_batch + place(maps.a_rows, m0 + e < rows ? m0 + e : rows - 1,
                                            [&](int axis, std::int32_t x) { a_row_at[axis][e] = x; });

  const std::int64_t terms = maps.leaf_terms;
  std::int64_t first = 0, slabs = (terms + kSlab - 1) / kSlab;
  if (p.split == Split::blocks) {
    first = blockIdx.y * p.share;
    slabs = slabs - first < p.share ? slabs - first : p.share;
  }
  const auto fill_terms = [&](std::int64_t slab) {
    const std::int64_t term = (first + slab) * kSlab + lane;
    if (slab >= slabs || lane >= kSlab || term >= terms) return;
    const int half = static_cast<int>(slab & 1);
    if (thread < 32)
      a_term[half][lane] =
          place(maps.a_terms, term, [&](int axis, std::int32_t x) { a_term_at[half][axis][lane] = x; });
    else if (thread < 64)
      b_term[half][lane] = at.batch * p.b_batch + place(maps.b_terms, term);
  };
  const auto load = [&](std::int64_t slab, int stage) {
    const int half = static_cast<int>(slab & 1);
    const std::int64_t before = (first + slab) * kSlab;
    S* const to = stages + stage * kStageElements;
    const auto beyond = [&](int row, int term) { return m0 + row >= rows || before + term >= terms; };
    copy_slab<S, T::kM, kA, T::kThreads>(
        product.a_runs, static_cast<const S*>(p.a), to,
        [&](int row, int term, std::int64_t* offset) {
          if (beyond(row, term)) return false;
          *offset = a_row[row] + a_term[half][term];
          if (!p.bounded) return true;
          bool real = true;
#pragma unroll
          for (int axis = 0; axis < 3; ++axis)
            real = real && static_cast<std::uint32_t>(a_row_at[axis][row] + a_term_at[half][axis][term]) <
                               static_cast<std::uint32_t>(p.bounds[axis]);
          if (real || !p.border.mapped) return real;
          return find_mapped(
              p, [&](int axis) { return a_row_at[axis][row] + a_term_at[half][axis][term]; }, offset);
        },
        [&](int row, int term) { return beyond(row, term) ? S{} : element_of<S>(p.border.value); });
    copy_slab<S, T::kN, kB, T::kThreads>(
        product.b_runs, static_cast<const S*>(p.b), to + SlabA::kElements,
        [&](int column, int term, std::int64_t* offset) {
          if (n0 + column >= p.columns || before + term >= terms) return false;
          *offset = b_term[half][term] + (n0 + column) * p.b_column_stride;
          return true;
        },
        [](int, int) { return S{}; });
  };

  fill_terms(0);
  __syncthreads();
#pragma unroll 1
  for (int slab = 0; slab < kTensorStages - 1; ++slab) {
    if (slab < slabs) load(slab, slab);
    async_commit();
    fill_terms(slab + 1);
    __syncthreads();
  }
  float sum[T::kRowTiles][T::kColumnTiles][4] = {};
  const int warp = thread / 32;
  const int row0 = warp / T::kWarpsN * T::kRowTiles * 16, column0 = warp % T::kWarpsN * T::kColumnTiles * 8;
  int stage = 0;
#pragma unroll 1
  for (std::int64_t slab = 0; slab < slabs; ++slab) {
    async_wait<kTensorStages - 2>();
    // The slab has landed for all; all have left the one before, and its table is full.
    __syncthreads();
    if (slab + kTensorStages - 1 < slabs)
      load(slab + kTensorStages - 1, stage == 0 ? kTensorStages - 1 : stage - 1);
    async_commit();
    fill_terms(slab + kTensorStages);
    const S* const a_slab = stages + stage * kStageElements;
    const S* const b_slab = a_slab + SlabA::kElements;
#pragma unroll
    for (int term = 0; term < kSlab; term += kStep) {
      std::uint32_t b[T::kColumnTiles / 2][2][2];
#pragma unroll
      for (int j = 0; j < T::kColumnTiles / 2; ++j)
        load_b<S, kUnit, T::kN, kB>(b_slab, column0 + j * 16, term, b[j]);
#pragma unroll
      for (int i = 0; i < T::kRowTiles; ++i) {
        std::uint32_t a[4];
        load_a<S, kUnit, T::kM, kA>(a_slab, row0 + i * 16, term, a);
#pragma unroll
        for (int j = 0; j < T::kColumnTiles; ++j) multiply<kUnit>(sum[i][j], a, b[j / 2][j % 2]);
      }
    }
    stage = stage + 1 == kTensorStages ? 0 : stage + 1;
  }
  if (p.split == Split::none) return store_sums<S, T>(p, maps, at, sum);
  float* const partial = static_cast<float*>(p.partial) +
                         (static_cast<std::int64_t>(blockIdx.y) * gridDim.x + blockIdx.x) * T::kElements +
                         thread;
#pragma unroll
  for (int i = 0; i < T::kRowTiles; ++i)
#pragma unroll
    for (int j = 0; j < T::kColumnTiles; ++j)
#pragma unroll
      for (int x = 0; x < 4; ++x) partial[((i * T::kColumnTiles + j) * 4 + x) * T::kThreads] = sum[i][j][x];
}

/// Joins what the shares of a split stored, first to last: each thread the sums that it owned there.
template <class S, class T>
__global__ void __launch_bounds__(T::kThreads) tensor_combine(Gemm p, std::int64_t shares) {
  SHARED(maps, GemmMaps);
  const TilePlace at = tile_place(p);
  if (threadIdx.x == 0) {
    maps = p.maps;
    if (p.phased) set_phase(p.phases, at.phase, maps);
  }
  __syncthreads();
  if (at.m_tile * T::kM >= maps.rows) return;
  const float* from = static_cast<const float*>(p.partial) + blockIdx.x * T::kElements + threadIdx.x;
  float sum[T::kRowTiles][T::kColumnTiles][4] = {};
#pragma unroll 1
  for (std::int64_t share = 0; share < shares; ++share, from += gridDim.x * T::kElements)
#pragma unroll
    for (int i = 0; i < T::kRowTiles; ++i)
#pragma unroll
      for (int j = 0; j < T::kColumnTiles; ++j)
#pragma unroll
        for (int x = 0; x < 4; ++x) sum[i][j][x] += from[((i * T::kColumnTiles + j) * 4 + x) * T::kThreads];
  store_sums<S, T>(p, maps, at, sum);
}

/// The body of launch_tensor_product.
template <class S, Unit kUnit, class T>
void launch_tensor_tiles(std::int64_t tiles, std::int64_t shares, const TensorProduct& p) {
  const auto run = [&](auto kernel, int elements) {
    const std::size_t bytes = static_cast<std::size_t>(kTensorStages * elements) * sizeof(S);
    detail::allow_shared(reinterpret_cast<const void*>(kernel), bytes);
    launch(kernel, Grid(tiles, shares), T::kThreads, bytes, p);
  };
  constexpr auto kTerms = Lie::terms, kRows = Lie::rows;
  constexpr int kAt = TensorSlab<S, T::kM, kTerms>::kElements, kAr = TensorSlab<S, T::kM, kRows>::kElements;
  constexpr int kBt = TensorSlab<S, T::kN, kTerms>::kElements, kBr = TensorSlab<S, T::kN, kRows>::kElements;
  if (p.a == kTerms && p.b == kRows) run(tensor_tile<S, kUnit, T, kTerms, kRows>, kAt + kBr);
  if (p.a == kTerms && p.b == kTerms) run(tensor_tile<S, kUnit, T, kTerms, kTerms>, kAt + kBt);
  if (p.a == kRows && p.b == kRows) run(tensor_tile<S, kUnit, T, kRows, kRows>, kAr + kBr);
  if (p.a == kRows && p.b == kTerms) run(tensor_tile<S, kUnit, T, kRows, kTerms>, kAr + kBt);
  if (p.plan.split != Split::none) launch(tensor_combine<S, T>, Grid(tiles), T::kThreads, 0, p.plan, shares);
}

}  // namespace isobit::gpu::kernels
