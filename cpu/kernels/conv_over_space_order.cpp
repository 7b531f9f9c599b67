// See conv_over_space_order.h. No twin: the GPU's tiles read and write pixels as they lie.
#include "cpu/kernels/conv_over_space_order.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/kernels/conv_over_space_order.cpp"
#include "hwy/foreach_target.h"
#include "cpu/kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {

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

  // Rows become columns.
  static HWY_INLINE void turn(V* v) {
    for (int j = 0; j < kLanes; j += kSide) turn_inside(v + j);
    for (int j = 0; j < kSide; ++j) turn_blocks(v + j);
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
        turn(v);
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

template <class T>
HWY_INLINE Vec<T> finished(const T* sums, Vec<T> bias, bool add, bool relu) {
  Vec<T> v = load(sums);
  if (add) v += bias;
  return relu ? select(v < Vec<T>(0), Vec<T>(0), v) : v;
}

#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
// Five and more columns: squares of columns by positions are turned round, eight lanes or as many as there
// are.
template <class T>
HWY_INLINE void interleave_many(const T* sums, std::int64_t pitch, std::int64_t columns, std::int64_t count,
                                const T* bias, bool relu, T* to) {
  using D = hn::CappedTag<T, 8>;
  using Square = PixelSquare<D>;
  constexpr std::int64_t kLanes = Square::kLanes;
  const D d;
  const auto zero = hn::Zero(d);
  for (std::int64_t i = 0; i < count; i += kLanes) {
    const std::int64_t positions = std::min(kLanes, count - i);
    const auto there = hn::FirstN(d, static_cast<std::size_t>(positions));
    for (std::int64_t first = 0; first < columns; first += kLanes) {
      const std::int64_t some = std::min(kLanes, columns - first);
      typename Square::V v[kLanes];
      for (std::int64_t j = 0; j < kLanes; ++j) {
        if (j >= some) {
          v[j] = zero;
          continue;
        }
        const T* const from = sums + (first + j) * pitch + i;
        v[j] = positions == kLanes ? hn::LoadU(d, from) : hn::MaskedLoad(there, d, from);
        if (bias != nullptr) v[j] = hn::Add(v[j], hn::Set(d, bias[first + j]));
        if (relu) v[j] = hn::IfThenElse(hn::Lt(v[j], zero), zero, v[j]);
      }
      Square::turn(v);
      const auto stored = hn::FirstN(d, static_cast<std::size_t>(some));
      T* at = to + i * columns + first;
      for (std::int64_t j = 0; j < positions; ++j, at += columns) hn::BlendedStore(v[j], stored, d, at);
    }
  }
}
#endif

template <class T>
HWY_INLINE void interleave(const T* sums, std::int64_t pitch, std::int64_t columns, std::int64_t count,
                           const T* bias, bool relu, T* to) {
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
  if (columns > 4) return interleave_many(sums, pitch, columns, count, bias, relu, to);
#endif
  constexpr Tag<T> d;
  constexpr std::int64_t size = Vec<T>::size;
  const bool add = bias != nullptr;
  const auto of = [&](std::int64_t column) HWY_ATTR { return Vec<T>(add ? bias[column] : T(0)); };
  const Vec<T> bias0 = of(0), bias1 = of(columns > 1 ? 1 : 0), bias2 = of(columns > 2 ? 2 : 0),
               bias3 = of(columns > 3 ? 3 : 0);
  std::int64_t i = 0;
  for (; columns <= 4 && i + size <= count; i += size, to += size * columns) {
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
HWY_EXPORT(gather_f32);
HWY_EXPORT(gather_f64);
HWY_EXPORT(interleave_f32);
HWY_EXPORT(interleave_f64);
}  // namespace isobit::cpu

namespace isobit::cpu::gemm {

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
