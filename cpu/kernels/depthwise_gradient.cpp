// The register tiles of depthwise_gradient.h, once for every instruction set. AVX-512: up to 3 rows of 5
// taps, 15 sums beside 8 vectors of dy in 32 registers, or
// of two vectors of channels 3 of 3, 18 sums beside 5 pixels of dy; AVX2: 3 x 3 or 2 x 5 beside 4 in 16.
#include "cpu/kernels/depthwise_gradient.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/kernels/depthwise_gradient.cpp"
#include "hwy/foreach_target.h"
#include "cpu/kernels/depthwise_gradient-inl.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {
namespace {

using gemm::GradientSet;

// Under a sanitizer clang takes minutes for eight positions side by side.
[[maybe_unused]] constexpr bool kSanitized = HWY_IS_ASAN != 0 || HWY_IS_TSAN != 0;
#if HWY_TARGET == HWY_AVX3
constexpr int kWide = kSanitized ? 2 : 8, kMostTaps = 15, kPairWide = kSanitized ? 1 : 5;
#elif HWY_TARGET == HWY_AVX2
constexpr int kWide = kSanitized ? 2 : 4, kMostTaps = 10, kPairWide = 0;
#else
constexpr int kWide = 1, kMostTaps = 10, kPairWide = 0;
#endif

template <class T>
const GradientSet<T>* gradients_of(std::int64_t taps, std::int64_t step) {
  if (step == 1) {
    if (taps == 3) return gradient_set<T, 1, 3, 1, kMostTaps, kWide, kPairWide>();
    if (taps == 5) return gradient_set<T, 1, 5, 1, kMostTaps, kWide>();
  } else if (step == 2) {
    if (taps == 3) return gradient_set<T, 1, 3, 2, kMostTaps, kWide, kPairWide>();
    if (taps == 5) return gradient_set<T, 1, 5, 2, kMostTaps, kWide>();
  }
  return nullptr;
}

}  // namespace

const GradientSet<float>* gradients_f32(std::int64_t taps, std::int64_t step) {
  return gradients_of<float>(taps, step);
}
const GradientSet<double>* gradients_f64(std::int64_t taps, std::int64_t step) {
  return gradients_of<double>(taps, step);
}

}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace isobit::cpu {
HWY_EXPORT(gradients_f32);
HWY_EXPORT(gradients_f64);
}  // namespace isobit::cpu

namespace isobit::cpu::gemm {

template <>
const GradientSet<float>* gradients<float>(std::int64_t taps, std::int64_t step) {
  return HWY_DYNAMIC_DISPATCH(gradients_f32)(taps, step);
}
template <>
const GradientSet<double>* gradients<double>(std::int64_t taps, std::int64_t step) {
  return HWY_DYNAMIC_DISPATCH(gradients_f64)(taps, step);
}

}  // namespace isobit::cpu::gemm
#endif
