// See conv_over_space_tile.h. Every array is indexed by constants only, so that all of it lives in registers.
// AVX-512: 24 accumulators, the numbers of the filter and a vector of the source in 32 registers; AVX2: 8 to
// 12 in 16. No twin: a thread of the GPU's tiles has a few columns anyway.
#include "cpu/kernels/conv_over_space_tile.h"

#include <algorithm>
#include <utility>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/kernels/conv_over_space_tile.cpp"
#include "hwy/foreach_target.h"
#include "cpu/kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {

using gemm::SpaceRun;
using gemm::SpaceTile;

template <class T, int kVectors, int kOutputs, int kRows>
struct SpaceKernel {
  static constexpr int kColumns = kOutputs * kRows;  // what a vector of the source is multiplied by, at most
  using D = Tag<T>;
  using V = hn::Vec<D>;
  using Accumulators = V[kVectors * kColumns];
  static constexpr std::int64_t kLanes = hn::MaxLanes(D());

  static HWY_INLINE V multiply_add(V a, V b, V c) {
#if HWY_NATIVE_FMA
    return hn::MulAdd(a, b, c);
#else
    return fma(Vec<T>(a), Vec<T>(b), Vec<T>(c)).raw;
#endif
  }

  // A vector that is used several times: g++ would load it for each of them, and most lie across two lines.
  static HWY_INLINE V once(V v) {
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
    asm("" : "+v"(v.raw));
#endif
    return v;
  }
  static HWY_INLINE V loaded_once(const T* from) {
    return once(hn::LoadU(D(), from));
  }

  template <int kIndex>
  static HWY_INLINE void clear(Accumulators& acc) {
    if constexpr (kIndex < kVectors * kColumns) {
      acc[kIndex] = hn::Zero(D());
      clear<kIndex + 1>(acc);
    }
  }

  // Of the rows' numbers those of the term that begins at `at`.
  template <int kColumn, int kCount>
  static HWY_INLINE void load_filter(const T* const (&rows)[kRows], std::int64_t at, V (&filter)[kCount]) {
    if constexpr (kColumn < kCount) {
      filter[kColumn] = hn::Set(D(), rows[kColumn / kOutputs][at + kColumn % kOutputs]);
      load_filter<kColumn + 1>(rows, at, filter);
    }
  }

  template <int kVector, int kFirst, int kColumn, int kCount>
  static HWY_INLINE void multiply_vector(V source, const V (&filter)[kCount], Accumulators& acc) {
    if constexpr (kColumn < kCount) {
      V& sum = acc[kVector * kColumns + kFirst + kColumn];
      sum = multiply_add(source, filter[kColumn], sum);
      multiply_vector<kVector, kFirst, kColumn + 1>(source, filter, acc);
    }
  }

  template <int kVector, int kFirst, int kCount>
  static HWY_INLINE void multiply(const T* source, const V (&filter)[kCount], Accumulators& acc) {
    if constexpr (kVector < kVectors) {
      multiply_vector<kVector, kFirst, 0>(loaded_once(source + kVector * kLanes), filter, acc);
      multiply<kVector + 1, kFirst>(source, filter, acc);
    }
  }

  // With more than four columns the vectors of the source are what stays: a number of the filter meets all.
  static constexpr bool kManyColumns = kColumns > 4;

  template <int kVector>
  static HWY_INLINE void load_source(const T* from, V (&source)[kVectors]) {
    if constexpr (kVector < kVectors) {
      source[kVector] = loaded_once(from + kVector * kLanes);
      load_source<kVector + 1>(from, source);
    }
  }

  template <int kColumn, int kVector>
  static HWY_INLINE void multiply_number(const V (&source)[kVectors], V number, Accumulators& acc) {
    if constexpr (kVector < kVectors) {
      V& sum = acc[kVector * kColumns + kColumn];
      sum = multiply_add(source[kVector], number, sum);
      multiply_number<kColumn, kVector + 1>(source, number, acc);
    }
  }

  template <int kColumn>
  static HWY_INLINE void multiply_numbers(const V (&source)[kVectors], const T* filter, Accumulators& acc) {
    if constexpr (kColumn < kColumns) {
      multiply_number<kColumn, 0>(source, once(hn::Set(D(), filter[kColumn])), acc);
      multiply_numbers<kColumn + 1>(source, filter, acc);
    }
  }

  // The terms of a run for columns [kFirst, kFirst + kCount).
  template <int kFirst, int kCount>
  static HWY_INLINE void add_terms(const SpaceTile<T>& tile, const SpaceRun& run, const char*& ahead,
                                   Accumulators& acc) {
    const T* source = tile.source + run.offset;
    const T* rows[kRows];
    for (int i = 0; i < kCount / kOutputs; ++i) rows[i] = tile.filter + run.filter[i];
    for (std::int64_t at = 0, end = run.length * kOutputs; at < end; at += kOutputs) {
      __builtin_prefetch(ahead, 0, 2);
      ahead += tile.ahead_step;
      if constexpr (kManyColumns) {
        V vectors[kVectors];
        load_source<0>(source, vectors);
        multiply_numbers<0>(vectors, rows[0] + at, acc);
      } else {
        V numbers[kCount];
        load_filter<0>(rows, at, numbers);
        multiply<0, kFirst>(source, numbers, acc);
      }
      source += tile.step;
    }
  }

  // The end of a block of columns [kFirst, kFirst + kCount): its sums go to memory, the next starts at +0.
  template <int kIndex, int kFirst, int kCount, bool kAdd>
  static HWY_INLINE void end_block(T* sums, std::int64_t pitch, Accumulators& acc) {
    if constexpr (kIndex < kVectors * kCount) {
      constexpr int kVector = kIndex / kCount, kColumn = kFirst + kIndex % kCount;
      T* to = sums + kColumn * pitch + kVector * kLanes;
      V& sum = acc[kVector * kColumns + kColumn];
      hn::StoreU(kAdd ? hn::Add(hn::LoadU(D(), to), sum) : sum, D(), to);
      sum = hn::Zero(D());
      end_block<kIndex + 1, kFirst, kCount, kAdd>(sums, pitch, acc);
    }
  }
  template <int kRow>
  static HWY_INLINE void end_rows(const SpaceTile<T>& tile, const SpaceRun& run, Accumulators& acc) {
    if constexpr (kRow < kRows) {
      if ((run.ends >> kRow & 1) != 0) {
        if ((run.first >> kRow & 1) != 0) {
          end_block<0, kRow * kOutputs, kOutputs, false>(tile.sums, tile.sums_pitch, acc);
        } else {
          end_block<0, kRow * kOutputs, kOutputs, true>(tile.sums, tile.sums_pitch, acc);
        }
      }
      end_rows<kRow + 1>(tile, run, acc);
    }
  }

  // The terms of a run by the code for its rows: of all of them, of fewer, the first ones, later ones.
  template <int kRow, int kCount>
  static HWY_INLINE void add_run(const SpaceTile<T>& tile, const SpaceRun& run, const char*& ahead,
                                 Accumulators& acc) {
    if (kRows == 1 || (run.row == kRow && run.rows == kCount)) {
      add_terms<kRow * kOutputs, kCount * kOutputs>(tile, run, ahead, acc);
    } else if constexpr (kRow + kCount < kRows) {
      add_run<kRow + 1, kCount>(tile, run, ahead, acc);
    } else if constexpr (kCount > 1) {
      add_run<0, kCount - 1>(tile, run, ahead, acc);
    }
  }

  static HWY_NOINLINE void run(const SpaceTile<T>& tile) {
    Accumulators acc;
    clear<0>(acc);
    const char* ahead = tile.ahead;
    for (const SpaceRun *run = tile.runs, *end = run + tile.run_count; run != end; ++run) {
      add_run<0, kRows>(tile, *run, ahead, acc);
      if (run->ends != 0) end_rows<0>(tile, *run, acc);
    }
  }
};

template <class T, int kOutputs, int kRows, int... kIndex>
constexpr gemm::SpaceTiles<T> make_space_tiles(std::integer_sequence<int, kIndex...>) {
  return {
      std::int64_t{HWY_LANES(T)}, sizeof...(kIndex), {SpaceKernel<T, kIndex + 1, kOutputs, kRows>::run...}};
}

template <class T, int kOutputs, int kRows>
const gemm::SpaceTiles<T>& tiles_with() {
#if HWY_TARGET == HWY_AVX3
  constexpr int kVectors[] = {12, 12, 8, 6, 5, 4, 3, 3, 3, 2, 2, 2};
#elif HWY_TARGET == HWY_AVX2
  constexpr int kVectors[] = {6, 6, 4, 2, 2, 2, 1, 1, 1, 1, 1, 1};
#else
  constexpr int kVectors[] = {2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
#endif
  static constexpr auto tiles =
      make_space_tiles<T, kOutputs, kRows>(std::make_integer_sequence<int, kVectors[kOutputs * kRows - 1]>());
  return tiles;
}

template <class T>
const gemm::SpaceTiles<T>& space_tiles_of(std::int64_t columns, bool several_rows) {
  switch (columns) {
    case 1:
      return several_rows ? tiles_with<T, 1, 4>() : tiles_with<T, 1, 1>();
    case 2:
      return several_rows ? tiles_with<T, 2, 2>() : tiles_with<T, 2, 1>();
    case 3:
      return tiles_with<T, 3, 1>();
    case 4:
      return tiles_with<T, 4, 1>();
    case 5:
      return tiles_with<T, 5, 1>();
    case 6:
      return tiles_with<T, 6, 1>();
    case 7:
      return tiles_with<T, 7, 1>();
    case 8:
      return tiles_with<T, 8, 1>();
    case 9:
      return tiles_with<T, 9, 1>();
    case 10:
      return tiles_with<T, 10, 1>();
    case 11:
      return tiles_with<T, 11, 1>();
    default:
      return tiles_with<T, 12, 1>();
  }
}

const gemm::SpaceTiles<float>& space_tiles_f32(std::int64_t columns, bool several_rows) {
  return space_tiles_of<float>(columns, several_rows);
}
const gemm::SpaceTiles<double>& space_tiles_f64(std::int64_t columns, bool several_rows) {
  return space_tiles_of<double>(columns, several_rows);
}
}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace isobit::cpu {
HWY_EXPORT(space_tiles_f32);
HWY_EXPORT(space_tiles_f64);
}  // namespace isobit::cpu

namespace isobit::cpu::gemm {

template <>
const SpaceTiles<float>& space_tiles<float>(std::int64_t columns, bool several_rows) {
  return HWY_DYNAMIC_DISPATCH(space_tiles_f32)(columns, several_rows);
}
template <>
const SpaceTiles<double>& space_tiles<double>(std::int64_t columns, bool several_rows) {
  return HWY_DYNAMIC_DISPATCH(space_tiles_f64)(columns, several_rows);
}

}  // namespace isobit::cpu::gemm
#endif
