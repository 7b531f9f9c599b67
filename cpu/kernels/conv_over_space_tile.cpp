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

  struct State {
    const T* filter;
    const char* ahead;
  };

  // The terms of a run by the code for its rows: of all of them, of fewer, the first ones, later ones.
  template <int kRow, int kCount>
  static HWY_INLINE void add_run(const SpaceTile<T>& tile, const SpaceRun& run, State& state,
                                 Accumulators& acc) {
    if (kRows == 1 || (run.row == kRow && run.rows == kCount)) {
      state.filter = add_terms<kRow * kOutputs, kCount * kOutputs>(
          tile.source + run.offset, tile.step, run.length, state.filter, state.ahead, tile.ahead_step, acc);
    } else if constexpr (kRow + kCount < kRows) {
      add_run<kRow + 1, kCount>(tile, run, state, acc);
    } else if constexpr (kCount > 1) {
      add_run<0, kCount - 1>(tile, run, state, acc);
    }
  }

  static HWY_NOINLINE void run(const SpaceTile<T>& tile) {
    Accumulators acc;
    clear<0>(acc);
    State state{tile.filter, tile.ahead};
    for (const SpaceRun *run = tile.runs, *end = run + tile.run_count; run != end; ++run) {
      add_run<0, kRows>(tile, *run, state, acc);
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
  constexpr int kVectors[] = {12, 12, 8, 6};
#elif HWY_TARGET == HWY_AVX2
  constexpr int kVectors[] = {6, 6, 4, 2};
#else
  constexpr int kVectors[] = {2, 2, 1, 1};
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
    default:
      return tiles_with<T, 4, 1>();
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

#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
// Squares of a vector of pixels by a vector of channels are turned round: first the small squares inside of
// their 128-bit blocks, then the blocks.
template <class D>
struct PixelSquare {
  using T = hn::TFromD<D>;
  using V = hn::Vec<D>;
  static constexpr int kLanes = hn::MaxLanes(D()), kSide = 16 / sizeof(T), kBlocks = kLanes / kSide;

  // Row i of v[kSide] holds pixel i in every block; then row i holds channel i.
  static HWY_INLINE void turn_inside(V* v) {
    const D d;
    const V low = hn::InterleaveLower(d, v[0], v[1]), high = hn::InterleaveUpper(d, v[0], v[1]);
    if constexpr (kSide == 2) {
      v[0] = low;
      v[1] = high;
    } else {
      constexpr hn::RepartitionToWide<D> wide;
      const auto a = hn::BitCast(wide, low), b = hn::BitCast(wide, high),
                 next_a = hn::BitCast(wide, hn::InterleaveLower(d, v[2], v[3])),
                 next_b = hn::BitCast(wide, hn::InterleaveUpper(d, v[2], v[3]));
      v[0] = hn::BitCast(d, hn::InterleaveLower(wide, a, next_a));
      v[1] = hn::BitCast(d, hn::InterleaveUpper(wide, a, next_a));
      v[2] = hn::BitCast(d, hn::InterleaveLower(wide, b, next_b));
      v[3] = hn::BitCast(d, hn::InterleaveUpper(wide, b, next_b));
    }
  }

  // Block b of rows 0, kSide, 2 kSide, ... become row b * kSide.
  static HWY_INLINE void turn_blocks(V* v) {
    const D d;
    const V a = v[0], b = v[kSide];
    if constexpr (kBlocks == 2) {
      v[0] = hn::ConcatLowerLower(d, b, a);
      v[kSide] = hn::ConcatUpperUpper(d, b, a);
    } else {
      const V c = v[2 * kSide], e = v[3 * kSide];
      const V even = hn::OddEvenBlocks(hn::SwapAdjacentBlocks(b), a),
              odd = hn::OddEvenBlocks(b, hn::SwapAdjacentBlocks(a)),
              next_even = hn::OddEvenBlocks(hn::SwapAdjacentBlocks(e), c),
              next_odd = hn::OddEvenBlocks(e, hn::SwapAdjacentBlocks(c));
      v[0] = hn::ConcatLowerLower(d, next_even, even);
      v[kSide] = hn::ConcatLowerLower(d, next_odd, odd);
      v[2 * kSide] = hn::ConcatUpperUpper(d, next_even, even);
      v[3 * kSide] = hn::ConcatUpperUpper(d, next_odd, odd);
    }
  }

  static HWY_INLINE void run(const T* const* pixels, std::int64_t count, std::int64_t channels, bool asks,
                             T* to, std::int64_t pitch) {
    const D d;
    for (std::int64_t i = 0; i < count; i += kLanes, to += kLanes) {
      const std::int64_t some = std::min<std::int64_t>(kLanes, count - i);
      const auto stored = hn::FirstN(d, static_cast<std::size_t>(some));
      const T* at[kLanes];
      for (int j = 0; j < kLanes; ++j) at[j] = pixels[i + std::min<std::int64_t>(j, some - 1)];
      const T* const* const next = asks && i + 2 * kLanes <= count ? pixels + i + kLanes : nullptr;
      for (std::int64_t c = 0; c < channels; c += kLanes) {
        const std::int64_t channel = std::min(c, channels - kLanes);  // the last overlap those before
        T* place = to + channel * pitch;
        V v[kLanes];
        for (int j = 0; j < kLanes; ++j) v[j] = hn::LoadU(d, at[j] + channel);
        if (next != nullptr)
          for (int j = 0; j < kLanes; ++j) __builtin_prefetch(next[j] + channel);
        for (int j = 0; j < kLanes; j += kSide) turn_inside(v + j);
        for (int j = 0; j < kSide; ++j) turn_blocks(v + j);
        if (some == kLanes) {
          for (int j = 0; j < kLanes; ++j, place += pitch) hn::StoreU(v[j], d, place);
        } else {
          for (int j = 0; j < kLanes; ++j, place += pitch) hn::BlendedStore(v[j], stored, d, place);
        }
      }
    }
  }
};
#endif

template <class T>
HWY_INLINE void gather(const T* const* pixels, std::int64_t count, std::int64_t channels,
                       [[maybe_unused]] bool asks, T* to, std::int64_t pitch) {
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
  using Whole = PixelSquare<Tag<T>>;
  using Half = PixelSquare<hn::CappedTag<T, 32 / sizeof(T)>>;
  if (channels >= Whole::kLanes) return Whole::run(pixels, count, channels, asks, to, pitch);
  if (channels >= Half::kLanes) return Half::run(pixels, count, channels, asks, to, pitch);
#endif
  for (std::int64_t c = 0; c < channels; ++c, to += pitch)
    for (std::int64_t i = 0; i < count; ++i) to[i] = pixels[i][c];
}

const gemm::SpaceTiles<float>& space_tiles_f32(std::int64_t columns, bool several_rows) {
  return space_tiles_of<float>(columns, several_rows);
}
const gemm::SpaceTiles<double>& space_tiles_f64(std::int64_t columns, bool several_rows) {
  return space_tiles_of<double>(columns, several_rows);
}
void gather_f32(const float* const* pixels, std::int64_t count, std::int64_t channels, bool asks, float* to,
                std::int64_t pitch) {
  gather(pixels, count, channels, asks, to, pitch);
}
void gather_f64(const double* const* pixels, std::int64_t count, std::int64_t channels, bool asks, double* to,
                std::int64_t pitch) {
  gather(pixels, count, channels, asks, to, pitch);
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
HWY_EXPORT(gather_f32);
HWY_EXPORT(gather_f64);
HWY_EXPORT(interleave_f32);
HWY_EXPORT(interleave_f64);
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

void gather_pixels(const float* const* pixels, std::int64_t count, std::int64_t channels, bool asks,
                   float* to, std::int64_t pitch) {
  HWY_DYNAMIC_DISPATCH(gather_f32)(pixels, count, channels, asks, to, pitch);
}
void gather_pixels(const double* const* pixels, std::int64_t count, std::int64_t channels, bool asks,
                   double* to, std::int64_t pitch) {
  HWY_DYNAMIC_DISPATCH(gather_f64)(pixels, count, channels, asks, to, pitch);
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
