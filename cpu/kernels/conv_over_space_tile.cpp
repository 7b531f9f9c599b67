// See conv_over_space_tile.h. Every array is indexed by constants only, so that all of it lives in registers.
// AVX-512: 24 accumulators, the numbers of the filter and a vector of the source in 32 registers; AVX2: 12 in
// 16. No twin: a thread of the GPU's tiles has a few columns anyway.
#include "cpu/kernels/conv_over_space_tile.h"

#include <utility>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/kernels/conv_over_space_tile.cpp"
#include "hwy/foreach_target.h"
#include "cpu/kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {

using gemm::SpaceRun;
using gemm::SpaceTile;

// kPaired: the two columns are rows that share loads, and some terms are those of one of them.
template <class T, int kVectors, int kColumns, bool kPaired>
struct SpaceKernel {
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
  static HWY_INLINE V loaded_once(const T* from) {
    V v = hn::LoadU(D(), from);
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
    asm("" : "+v"(v.raw));
#endif
    return v;
  }

  template <int kIndex>
  static HWY_INLINE void clear(Accumulators& acc) {
    if constexpr (kIndex < kVectors * kColumns) {
      acc[kIndex] = hn::Zero(D());
      clear<kIndex + 1>(acc);
    }
  }

  template <int kColumn, int kCount>
  static HWY_INLINE void load_filter(const T* from, V (&filter)[kCount]) {
    if constexpr (kColumn < kCount) {
      filter[kColumn] = hn::Set(D(), from[kColumn]);
      load_filter<kColumn + 1>(from, filter);
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

  // The terms of a run for columns [kFirst, kFirst + kCount); returns where the filter goes on.
  template <int kFirst, int kCount>
  static HWY_INLINE const T* add_terms(const T* source, std::int64_t step, std::int64_t length,
                                       const T* filter, const char*& ahead, std::int64_t ahead_step,
                                       Accumulators& acc) {
    for (; length > 0; --length) {
      __builtin_prefetch(ahead, 0, 2);
      ahead += ahead_step;
      V numbers[kCount];
      load_filter<0>(filter, numbers);
      multiply<0, kFirst>(source, numbers, acc);
      source += step;
      filter += kCount;
    }
    return filter;
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
  template <int kFirst, int kCount>
  static HWY_INLINE void end_block(const SpaceTile<T>& tile, bool first, Accumulators& acc) {
    if (first) {
      end_block<0, kFirst, kCount, false>(tile.sums, tile.sums_pitch, acc);
    } else {
      end_block<0, kFirst, kCount, true>(tile.sums, tile.sums_pitch, acc);
    }
  }

  static HWY_NOINLINE void run(const SpaceTile<T>& tile) {
    Accumulators acc;
    clear<0>(acc);
    const T* filter = tile.filter;
    const char* ahead = tile.ahead;
    const std::int64_t step = tile.step, ahead_step = tile.ahead_step;
    for (const SpaceRun *run = tile.runs, *end = run + tile.run_count; run != end; ++run) {
      const T* source = tile.source + run->offset;
      if constexpr (kPaired) {
        if (run->rows == 3) {
          filter = add_terms<0, 2>(source, step, run->length, filter, ahead, ahead_step, acc);
        } else if (run->rows == 1) {
          filter = add_terms<0, 1>(source, step, run->length, filter, ahead, ahead_step, acc);
        } else {
          filter = add_terms<1, 1>(source, step, run->length, filter, ahead, ahead_step, acc);
        }
        if ((run->ends & 1) != 0) end_block<0, 1>(tile, (run->first & 1) != 0, acc);
        if ((run->ends & 2) != 0) end_block<1, 1>(tile, (run->first & 2) != 0, acc);
      } else {
        filter = add_terms<0, kColumns>(source, step, run->length, filter, ahead, ahead_step, acc);
        if (run->ends != 0) end_block<0, kColumns>(tile, run->first != 0, acc);
      }
    }
  }
};

template <class T, int kColumns, bool kPaired, int... kIndex>
constexpr gemm::SpaceTiles<T> make_space_tiles(std::integer_sequence<int, kIndex...>) {
  return {
      std::int64_t{HWY_LANES(T)}, sizeof...(kIndex), {SpaceKernel<T, kIndex + 1, kColumns, kPaired>::run...}};
}

template <class T>
const gemm::SpaceTiles<T>& space_tiles_of(std::int64_t columns, bool shared_rows) {
#if HWY_TARGET == HWY_AVX3
  constexpr int kAccumulators = 24;
#elif HWY_TARGET == HWY_AVX2
  constexpr int kAccumulators = 12;
#else
  constexpr int kAccumulators = 4;
#endif
  static constexpr auto one =
      make_space_tiles<T, 1, false>(std::make_integer_sequence<int, (kAccumulators + 1) / 2>());
  static constexpr auto pair =
      make_space_tiles<T, 2, true>(std::make_integer_sequence<int, kAccumulators / 2>());
  static constexpr auto two =
      make_space_tiles<T, 2, false>(std::make_integer_sequence<int, kAccumulators / 2>());
  static constexpr auto three =
      make_space_tiles<T, 3, false>(std::make_integer_sequence<int, (kAccumulators + 2) / 3>());
  static constexpr auto four =
      make_space_tiles<T, 4, false>(std::make_integer_sequence<int, kAccumulators / 4>());
  switch (columns) {
    case 1:
      return shared_rows ? pair : one;
    case 2:
      return two;
    case 3:
      return three;
    default:
      return four;
  }
}

template <class T>
HWY_INLINE Vec<T> finished(const T* sums, Vec<T> bias, bool add, bool relu) {
  Vec<T> v = load(sums);
  if (add) v += bias;
  return relu ? select(v < Vec<T>(0), Vec<T>(0), v) : v;
}

template <class T>
HWY_INLINE void interleave(const T* sums, std::int64_t pitch, std::int64_t columns, std::int64_t count,
                           const T* bias, bool relu, T* to) {
  constexpr Tag<T> d;
  constexpr std::int64_t size = Vec<T>::size;
  const bool add = bias != nullptr;
  const auto of = [&](std::int64_t column) HWY_ATTR { return Vec<T>(add ? bias[column] : T(0)); };
  const Vec<T> bias0 = of(0), bias1 = of(columns > 1 ? 1 : 0), bias2 = of(columns > 2 ? 2 : 0),
               bias3 = of(columns > 3 ? 3 : 0);
  std::int64_t i = 0;
  for (; i + size <= count; i += size, to += size * columns) {
    const T* const at = sums + i;
    const auto v0 = finished(at, bias0, add, relu).raw;
    if (columns == 1) {
      hn::StoreU(v0, d, to);
      continue;
    }
    const auto v1 = finished(at + pitch, bias1, add, relu).raw;
    if (columns == 2) {
      hn::StoreInterleaved2(v0, v1, d, to);
      continue;
    }
    const auto v2 = finished(at + 2 * pitch, bias2, add, relu).raw;
    if (columns == 3) {
      hn::StoreInterleaved3(v0, v1, v2, d, to);
    } else {
      hn::StoreInterleaved4(v0, v1, v2, finished(at + 3 * pitch, bias3, add, relu).raw, d, to);
    }
  }
  for (; i < count; ++i)
    for (std::int64_t column = 0; column < columns; ++column) {
      T v = sums[column * pitch + i];
      if (add) v = v + bias[column];
      *to++ = relu && v < T(0) ? T(0) : v;
    }
}

const gemm::SpaceTiles<float>& space_tiles_f32(std::int64_t columns, bool shared_rows) {
  return space_tiles_of<float>(columns, shared_rows);
}
const gemm::SpaceTiles<double>& space_tiles_f64(std::int64_t columns, bool shared_rows) {
  return space_tiles_of<double>(columns, shared_rows);
}
void interleave_f32(const float* sums, std::int64_t pitch, std::int64_t columns, std::int64_t count,
                    const float* bias, bool relu, float* to) {
  interleave(sums, pitch, columns, count, bias, relu, to);
}
void interleave_f64(const double* sums, std::int64_t pitch, std::int64_t columns, std::int64_t count,
                    const double* bias, bool relu, double* to) {
  interleave(sums, pitch, columns, count, bias, relu, to);
}

}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace isobit::cpu {
HWY_EXPORT(space_tiles_f32);
HWY_EXPORT(space_tiles_f64);
HWY_EXPORT(interleave_f32);
HWY_EXPORT(interleave_f64);
}  // namespace isobit::cpu

namespace isobit::cpu::gemm {

template <>
const SpaceTiles<float>& space_tiles<float>(std::int64_t columns, bool shared_rows) {
  return HWY_DYNAMIC_DISPATCH(space_tiles_f32)(columns, shared_rows);
}
template <>
const SpaceTiles<double>& space_tiles<double>(std::int64_t columns, bool shared_rows) {
  return HWY_DYNAMIC_DISPATCH(space_tiles_f64)(columns, shared_rows);
}

void interleave_columns(const float* sums, std::int64_t pitch, std::int64_t columns, std::int64_t count,
                        const float* bias, bool relu, float* to) {
  HWY_DYNAMIC_DISPATCH(interleave_f32)(sums, pitch, columns, count, bias, relu, to);
}
void interleave_columns(const double* sums, std::int64_t pitch, std::int64_t columns, std::int64_t count,
                        const double* bias, bool relu, double* to) {
  HWY_DYNAMIC_DISPATCH(interleave_f64)(sums, pitch, columns, count, bias, relu, to);
}

}  // namespace isobit::cpu::gemm
#endif
