// The register tiles of group_gradient.h, once for every instruction set with vectors. AVX-512: 3 x 3 taps of
// 2 channels, two rows of 3 taps of 4 or one of 8, at most 24 sums beside 4 or 8 vectors of dy in 32
// registers; AVX2: up to 12 beside 2 in 16. No twin: the kernels of cuda/kernels/conv_backward_filter.cu
// serve small groups too.
#include "cpu/kernels/group_gradient.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/kernels/group_gradient.cpp"
#include "hwy/foreach_target.h"
#include "cpu/kernels/depthwise_gradient-inl.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {
namespace {

using gemm::GradientSet;

// Under a sanitizer clang takes minutes for eight positions side by side.
[[maybe_unused]] constexpr bool kSanitized = HWY_IS_ASAN != 0 || HWY_IS_TSAN != 0;
#if HWY_TARGET == HWY_AVX3
template <int kGroup>
constexpr int kMostSums = kSanitized ? 3 * kGroup : 24;
template <int kGroup>
constexpr int kWide = kSanitized   ? 1
                      : kGroup > 2 ? 4
                                   : 8;
#elif HWY_TARGET == HWY_AVX2
template <int kGroup>
constexpr int kMostSums = kSanitized ? std::min(3 * kGroup, 12) : 12;
template <int kGroup>
constexpr int kWide = kSanitized ? 1 : 2;
#else
template <int kGroup>
constexpr int kMostSums = 0;
template <int kGroup>
[[maybe_unused]] constexpr int kWide = 1;
#endif

template <class T, int kGroup>
const GradientSet<T>* gradients_of_group([[maybe_unused]] std::int64_t taps,
                                         [[maybe_unused]] std::int64_t step) {
  if constexpr (kGroup * 3 <= kMostSums<kGroup> && kGroup * sizeof(T) <= 32) {
    if (taps == 3 && step == 1) return gradient_set<T, kGroup, 3, 1, kMostSums<kGroup>, kWide<kGroup>>();
    if (taps == 3 && step == 2) return gradient_set<T, kGroup, 3, 2, kMostSums<kGroup>, kWide<kGroup>>();
  }
  return nullptr;
}

template <class T>
const GradientSet<T>* gradients_of(std::int64_t group, std::int64_t taps, std::int64_t step) {
  if (group == 2) return gradients_of_group<T, 2>(taps, step);
  if (group == 4) return gradients_of_group<T, 4>(taps, step);
  if (group == 8) return gradients_of_group<T, 8>(taps, step);
  return nullptr;
}

}  // namespace

const GradientSet<float>* group_gradients_f32(std::int64_t group, std::int64_t taps, std::int64_t step) {
  return gradients_of<float>(group, taps, step);
}
const GradientSet<double>* group_gradients_f64(std::int64_t group, std::int64_t taps, std::int64_t step) {
  return gradients_of<double>(group, taps, step);
}

}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace isobit::cpu {
HWY_EXPORT(group_gradients_f32);
HWY_EXPORT(group_gradients_f64);
}  // namespace isobit::cpu

namespace isobit::cpu::gemm {

template <>
const GradientSet<float>* group_gradients<float>(std::int64_t group, std::int64_t taps, std::int64_t step) {
  return HWY_DYNAMIC_DISPATCH(group_gradients_f32)(group, taps, step);
}
template <>
const GradientSet<double>* group_gradients<double>(std::int64_t group, std::int64_t taps, std::int64_t step) {
  return HWY_DYNAMIC_DISPATCH(group_gradients_f64)(group, taps, step);
}

}  // namespace isobit::cpu::gemm
#endif
