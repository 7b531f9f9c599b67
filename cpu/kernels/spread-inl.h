// A vector of channels that holds whole groups: one channel of each over the lanes of its group.
#if defined(ISOBIT_CPU_KERNELS_SPREAD_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ISOBIT_CPU_KERNELS_SPREAD_INL_H_
#undef ISOBIT_CPU_KERNELS_SPREAD_INL_H_
#else
#define ISOBIT_CPU_KERNELS_SPREAD_INL_H_
#endif

#include "cpu/kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {

/// In every lane the element of channel kIndex of the lane's group. Groups of more than one channel only on
/// targets with vectors.
template <int kGroup, int kIndex, class T>
HWY_INLINE Vec<T> spread(Vec<T> x) {
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2
  if constexpr (kGroup > 1) {
    constexpr int kBlock = 16 / sizeof(T);  // lanes that instructions permute at once
    static_assert(kGroup <= 2 * kBlock);
    auto block = x.raw;
    if constexpr (kGroup > kBlock) {
#if HWY_TARGET == HWY_AVX3
      // Blocks 0 0 2 2, or 1 1 3 3: one instruction each.
      constexpr int kBlocks = kIndex < kBlock ? 0xA0 : 0xF5;
      if constexpr (sizeof(T) == 4) {
        block.raw = _mm512_shuffle_f32x4(x.raw.raw, x.raw.raw, kBlocks);
      } else {
        block.raw = _mm512_shuffle_f64x2(x.raw.raw, x.raw.raw, kBlocks);
      }
#else
      const auto other = hn::SwapAdjacentBlocks(x.raw);
      block = kIndex < kBlock ? hn::OddEvenBlocks(other, x.raw) : hn::OddEvenBlocks(x.raw, other);
#endif
    }
    if constexpr (kGroup > 2 && kBlock > 2) {
      return Vec<T>(hn::Broadcast<kIndex % kBlock>(block));
    } else if constexpr (kIndex % 2 == 0) {
      return Vec<T>(hn::DupEven(block));
    } else {
      return Vec<T>(hn::DupOdd(block));
    }
  }
#endif
  static_assert(kGroup >= 1 && kIndex < kGroup);
  return x;
}

}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per target
