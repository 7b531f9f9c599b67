// The strips of depthwise convolution (depthwise_strip.h), once for every instruction set. AVX-512: two rows
// of 8 outputs, 16 sums beside two rows of the filter in 32 registers; AVX2: one row of 8 in 16. Seven,
// because the maps of common networks are multiples of seven wide.
#include "cpu/kernels/depthwise_strip.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/kernels/depthwise_strip.cpp"
#include "hwy/foreach_target.h"
#include "cpu/kernels/strip-inl.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {
namespace {

using gemm::Strip;
using gemm::StripSet;

// Every array is indexed by constants only (the recursion on template arguments), so that it lives in
// registers.
template <class T, int kTaps, int kStep, int kWidth, int kRows, bool kEdge>
struct StripKernel {
  using V = Vec<T>;
  using Taps = V[kTaps];
  using Outputs = StripSums<T, kRows, kWidth>;
  using Sums = typename Outputs::Sums;
  using Row = StripRow<T, kEdge>;
  static constexpr std::int64_t kLanes = V::size;
  static constexpr int kColumns = (kWidth - 1) * kStep + kTaps;

  template <int kTap>
  static HWY_INLINE void load_taps(const T* filter, Taps& taps) {
    if constexpr (kTap < kTaps) {
      taps[kTap] = load<T>(filter + kTap * kLanes);
      load_taps<kTap + 1>(filter, taps);
    }
  }

  // The element of column kColumn, to the sums of output row kRow that read it.
  template <int kRow, int kColumn, int kTap>
  static HWY_INLINE void add(V x, const Taps& taps, Sums& sums) {
    if constexpr (kTap < kTaps) {
      constexpr int kFrom = kColumn - kTap;
      if constexpr (kFrom >= 0 && kFrom % kStep == 0 && kFrom / kStep < kWidth) {
        V& sum = sums[kRow * kWidth + kFrom / kStep];
        sum = fma(x, taps[kTap], sum);
      }
      add<kRow, kColumn, kTap + 1>(x, taps, sums);
    }
  }

  // A row of the source, to the sums of the first row (by `upper`) and of the second (by `lower`).
  template <bool kUpper, bool kLower, int kColumn>
  static HWY_INLINE void add_row(const Row& row, const Taps& upper, const Taps& lower, Sums& sums) {
    if constexpr (kColumn < kColumns) {
      const V x = row.template at<kColumn>();
      if constexpr (kUpper) add<0, kColumn, 0>(x, upper, sums);
      if constexpr (kLower) add<kRows - 1, kColumn, 0>(x, lower, sums);
      add_row<kUpper, kLower, kColumn + 1>(row, upper, lower, sums);
    }
  }

  static HWY_NOINLINE void run(const Strip<T>& strip) {
    const T* filter = strip.filter;
    const std::int64_t last = strip.channels - kLanes, row_taps = strip.row_taps, planes = strip.planes;
    for (std::int64_t v = strip.first_vector; v < strip.first_vector + strip.vectors; ++v) {
      const std::int64_t channel = std::min(v * kLanes, last);
      const T* const* from = strip.rows;
      const std::int64_t* const* offsets = strip.offsets;
      Sums sums;
      Outputs::template clear<0>(sums);
      for (std::int64_t plane = 0; plane < planes; ++plane) {
        Taps upper, lower;
        const auto next = [&]() HWY_ATTR {
          return Row{*from++ + channel, strip.column_step, kEdge ? *offsets++ : nullptr, strip.border};
        };
        load_taps<0>(filter, upper);
        add_row<true, false, 0>(next(), upper, upper, sums);
        for (std::int64_t r = 1; r < row_taps; ++r) {
          if constexpr (kRows > 1) load_taps<0>(filter, lower);
          filter += kTaps * kLanes;
          load_taps<0>(filter, upper);
          add_row<true, (kRows > 1), 0>(next(), upper, lower, sums);
        }
        if constexpr (kRows > 1) {
          load_taps<0>(filter, lower);
          add_row<false, true, 0>(next(), lower, lower, sums);
        }
        filter += kTaps * kLanes;
      }
      Outputs::finish(strip, channel, sums);
    }
  }
};

// Under a sanitizer clang takes minutes for eight outputs side by side.
[[maybe_unused]] constexpr bool kSanitized = HWY_IS_ASAN != 0 || HWY_IS_TSAN != 0;
#if HWY_TARGET == HWY_AVX3
constexpr int kMostRows = 2, kWide = kSanitized ? 4 : 8, kHalf = kSanitized ? 3 : 7,
              kNarrow = kSanitized ? 2 : 3;
#elif HWY_TARGET == HWY_AVX2
constexpr int kMostRows = 1, kWide = kSanitized ? 4 : 8, kHalf = kSanitized ? 3 : 7,
              kNarrow = kSanitized ? 2 : 3;
#else
constexpr int kMostRows = 1, kWide = 1, kHalf = 1, kNarrow = 1;
#endif

template <class T, int kTaps, int kStep>
const StripSet<T>* set() {
  constexpr int kRows = kStep == 1 ? kMostRows : 1;
  static constexpr StripSet<T> all{std::int64_t{Vec<T>::size},
                                   kRows,
                                   {kWide, kHalf, kNarrow, 1},
                                   {{{StripKernel<T, kTaps, kStep, kWide, 1, false>::run,
                                      StripKernel<T, kTaps, kStep, kWide, 1, true>::run},
                                     {StripKernel<T, kTaps, kStep, kWide, kRows, false>::run,
                                      StripKernel<T, kTaps, kStep, kWide, kRows, true>::run}},
                                    {{StripKernel<T, kTaps, kStep, kHalf, 1, false>::run,
                                      StripKernel<T, kTaps, kStep, kHalf, 1, true>::run},
                                     {StripKernel<T, kTaps, kStep, kHalf, kRows, false>::run,
                                      StripKernel<T, kTaps, kStep, kHalf, kRows, true>::run}},
                                    {{nullptr, StripKernel<T, kTaps, kStep, kNarrow, 1, true>::run},
                                     {nullptr, StripKernel<T, kTaps, kStep, kNarrow, kRows, true>::run}},
                                    {{nullptr, StripKernel<T, kTaps, kStep, 1, 1, true>::run},
                                     {nullptr, StripKernel<T, kTaps, kStep, 1, kRows, true>::run}}}};
  return &all;
}

template <class T>
const StripSet<T>* strips_of(std::int64_t taps, std::int64_t step) {
  if (step == 1) {
    if (taps == 1) return set<T, 1, 1>();
    if (taps == 2) return set<T, 2, 1>();
    if (taps == 3) return set<T, 3, 1>();
    if (taps == 5) return set<T, 5, 1>();
  } else if (step == 2) {
    if (taps == 3) return set<T, 3, 2>();
    if (taps == 5) return set<T, 5, 2>();
  }
  return nullptr;
}

}  // namespace

const StripSet<float>* strips_f32(std::int64_t taps, std::int64_t step) {
  return strips_of<float>(taps, step);
}
const StripSet<double>* strips_f64(std::int64_t taps, std::int64_t step) {
  return strips_of<double>(taps, step);
}

}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace isobit::cpu {
HWY_EXPORT(strips_f32);
HWY_EXPORT(strips_f64);
}  // namespace isobit::cpu

namespace isobit::cpu::gemm {

template <>
const StripSet<float>* strips<float>(std::int64_t taps, std::int64_t step) {
  return HWY_DYNAMIC_DISPATCH(strips_f32)(taps, step);
}
template <>
const StripSet<double>* strips<double>(std::int64_t taps, std::int64_t step) {
  return HWY_DYNAMIC_DISPATCH(strips_f64)(taps, step);
}
void flush_strips() {
  hwy::FlushStream();
}

}  // namespace isobit::cpu::gemm
#endif
