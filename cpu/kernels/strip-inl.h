// What the kernels of strips (depthwise_strip.cpp, group_strip.cpp) have in common: how a column is reached,
// and what becomes of the sums. Sums are indexed by constants only (the recursion on template arguments), so
// that they live in registers.
#if defined(ISOBIT_CPU_KERNELS_STRIP_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ISOBIT_CPU_KERNELS_STRIP_INL_H_
#undef ISOBIT_CPU_KERNELS_STRIP_INL_H_
#else
#define ISOBIT_CPU_KERNELS_STRIP_INL_H_
#endif

#include "cpu/kernels/depthwise_strip.h"
#include "cpu/kernels/simd-inl.h"
#include "hwy/cache_control.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {

/// What a row of the source is reached by, at a vector of channels.
template <class T, bool kEdge>
struct StripRow {
  const T* from;
  std::int64_t step;
  const std::int64_t* offsets;
  const T* border;

  template <int kColumn>
  HWY_INLINE const T* place() const {
    if constexpr (kEdge) {
      const std::int64_t offset = offsets[kColumn];
      return offset < 0 ? border : from + offset;
    } else {
      return from + kColumn * step;
    }
  }
  template <int kColumn>
  HWY_INLINE Vec<T> at() const {
    return load<T>(place<kColumn>());
  }
  /// The same where the pixel's next vector is wanted soon.
  template <int kColumn>
  HWY_INLINE Vec<T> at_and_ask() const {
    const T* const from_here = place<kColumn>();
    hwy::Prefetch(from_here + Vec<T>::size);
    return load<T>(from_here);
  }
};

template <bool kStream, class T>
HWY_INLINE void put_output(Vec<T> sum, T* out) {
  if constexpr (kStream) {
    hn::Stream(sum.raw, Tag<T>(), out);
  } else {
    store(sum, out);
  }
}

/// What follows the sums of a strip: bias, relu.
template <class T>
HWY_NOINLINE void finish_outputs(const gemm::Strip<T>& strip, std::int64_t channel, const T* sums,
                                 std::int64_t rows, std::int64_t width) {
  using V = Vec<T>;
  const V bias = strip.bias != nullptr ? load<T>(strip.bias + channel) : V(T{0}), zero(T{0});
  for (std::int64_t row = 0; row < rows; ++row) {
    T* out = strip.out[row] + channel;
    for (std::int64_t q = 0; q < width; ++q, out += strip.out_step, sums += V::size) {
      V sum = load<T>(sums);
      if (strip.bias != nullptr) sum += bias;
      if (strip.relu) sum = select(sum < zero, zero, sum);
      if (strip.stream) {
        put_output<true>(sum, out);
      } else {
        put_output<false>(sum, out);
      }
    }
  }
}

/// The sums of kRows rows of kWidth outputs.
template <class T, int kRows, int kWidth>
struct StripSums {
  using V = Vec<T>;
  using Sums = V[kRows * kWidth];

  template <int kIndex>
  static HWY_INLINE void clear(Sums& sums) {
    if constexpr (kIndex < kRows * kWidth) {
      sums[kIndex] = V(T{0});
      clear<kIndex + 1>(sums);
    }
  }

  /// Bias and relu follow; then the sums are stored.
  static HWY_INLINE void finish(const gemm::Strip<T>& strip, std::int64_t channel, const Sums& sums) {
    if (strip.bias != nullptr || strip.relu) {
      alignas(64) T spilled[kRows * kWidth * V::size];
      spill<0>(sums, spilled);
      finish_outputs<T>(strip, channel, spilled, kRows, kWidth);
    } else if (strip.stream) {
      store_all<true, 0>(strip, channel, sums);
    } else {
      store_all<false, 0>(strip, channel, sums);
    }
  }

 private:
  template <bool kStream, int kIndex>
  static HWY_INLINE void store_all(const gemm::Strip<T>& strip, std::int64_t channel, const Sums& sums) {
    if constexpr (kIndex < kRows * kWidth) {
      put_output<kStream>(sums[kIndex],
                          strip.out[kIndex / kWidth] + channel + kIndex % kWidth * strip.out_step);
      store_all<kStream, kIndex + 1>(strip, channel, sums);
    }
  }

  template <int kIndex>
  static HWY_INLINE void spill(const Sums& sums, T* to) {
    if constexpr (kIndex < kRows * kWidth) {
      store(sums[kIndex], to + kIndex * V::size);
      spill<kIndex + 1>(sums, to);
    }
  }
};

}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per target
