// The strips of small groups (group_strip.h), once for every instruction set with vectors. 8 outputs, or 7,
// because the maps of common networks are multiples of seven wide. The vectors of a row of the filter stay in
// registers where these suffice; else they are read from the first-level cache.
//
// A column meets three outputs, so three chains run side by side: for 8 channels each is 8 multiply-adds
// long, and the next column's wait behind them. With AVX-512 the outputs of a strip therefore lie in parts
// that are walked together, all at the same column of theirs: as many more chains, and a vector of the filter
// is loaded once for all parts. (AVX2 has too few registers for that.)
#include "cpu/kernels/group_strip.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/kernels/group_strip.cpp"
#include "hwy/foreach_target.h"
#include "cpu/kernels/spread-inl.h"
#include "cpu/kernels/strip-inl.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {
namespace {

using gemm::StripSet;

#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2

using gemm::Strip;

constexpr int kRegisters = HWY_TARGET == HWY_AVX3 ? 32 : 16;

template <class T, int kGroup, int kTaps, int kStep, int kWidth, bool kEdge>
struct GroupKernel {
  using V = Vec<T>;
  using Outputs = StripSums<T, 1, kWidth>;
  using Sums = typename Outputs::Sums;
  using Row = StripRow<T, kEdge>;
  static constexpr std::int64_t kLanes = V::size;
  static constexpr int kParts = HWY_TARGET == HWY_AVX3 && kGroup == 8 ? std::min(kWidth, 3) : 1;
  using Columns = V[kParts];  // one of each part
  static constexpr bool kHeld = kTaps * kGroup + kWidth + 3 * kParts <= kRegisters;

  // The first output of a part; the longer ones come first.
  static constexpr int first_of(int part) {
    return part * (kWidth / kParts) + std::min(part, kWidth % kParts);
  }
  static constexpr int size_of(int part) { return first_of(part + 1) - first_of(part); }
  static constexpr int columns_of(int part) { return (size_of(part) - 1) * kStep + kTaps; }

  template <int kColumn, int kPart>
  static HWY_INLINE void load_columns(const Row& row, Columns& x) {
    if constexpr (kPart < kParts) {
      if constexpr (kColumn < columns_of(kPart))
        x[kPart] = row.template at_and_ask<first_of(kPart) * kStep + kColumn>();
      load_columns<kColumn, kPart + 1>(row, x);
    }
  }

  template <int kColumn, int kIndex, int kPart>
  static HWY_INLINE void spread_columns(const Columns& x, Columns& elements) {
    if constexpr (kPart < kParts) {
      if constexpr (kColumn < columns_of(kPart)) elements[kPart] = spread<kGroup, kIndex>(x[kPart]);
      spread_columns<kColumn, kIndex, kPart + 1>(x, elements);
    }
  }

  template <int kOutput, int kPart>
  static HWY_INLINE void add_parts(const Columns& elements, V w, Sums& sums) {
    if constexpr (kPart < kParts) {
      if constexpr (kOutput < size_of(kPart)) {
        V& sum = sums[first_of(kPart) + kOutput];
        sum = fma(elements[kPart], w, sum);
      }
      add_parts<kOutput, kPart + 1>(elements, w, sums);
    }
  }

  // Channel kIndex of column kColumn of each part, to the sums that read it.
  template <int kColumn, int kIndex, int kTap>
  static HWY_INLINE void add(const Columns& elements, const T* filter, Sums& sums) {
    if constexpr (kTap < kTaps) {
      constexpr int kFrom = kColumn - kTap;
      if constexpr (kFrom >= 0 && kFrom % kStep == 0 && kFrom / kStep < size_of(0)) {
        V w = load<T>(filter + (kTap * kGroup + kIndex) * kLanes);
#if HWY_TARGET == HWY_AVX3
        // g++ would load it again for every sum that it meets.
        if constexpr (kParts > 1) asm("" : "+v"(w.raw.raw));
#endif
        add_parts<kFrom / kStep, 0>(elements, w, sums);
      }
      add<kColumn, kIndex, kTap + 1>(elements, filter, sums);
    }
  }

  template <int kColumn, int kIndex>
  static HWY_INLINE void add_channels(const Columns& x, const T* filter, Sums& sums) {
    if constexpr (kIndex < kGroup) {
      Columns elements;
      spread_columns<kColumn, kIndex, 0>(x, elements);
      add<kColumn, kIndex, 0>(elements, filter, sums);
      add_channels<kColumn, kIndex + 1>(x, filter, sums);
    }
  }

  template <int kColumn>
  static HWY_INLINE void add_row(const Row& row, const T* filter, Sums& sums) {
    if constexpr (kColumn < columns_of(0)) {
      // Vectors that do not fit the registers are to be operands in memory, not loaded ahead and spilled.
      if constexpr (!kHeld) asm("" : "+r"(filter));
      Columns x;
      load_columns<kColumn, 0>(row, x);
      add_channels<kColumn, 0>(x, filter, sums);
      add_row<kColumn + 1>(row, filter, sums);
    }
  }

  static HWY_NOINLINE void run(const Strip<T>& strip) {
    const T* filter = strip.filter;
    const std::int64_t last = strip.channels - kLanes, rows = strip.planes * strip.row_taps;
    for (std::int64_t v = strip.first_vector; v < strip.first_vector + strip.vectors; ++v) {
      const std::int64_t channel = std::min(v * kLanes, last);
      Sums sums;
      Outputs::template clear<0>(sums);
      for (std::int64_t r = 0; r < rows; ++r, filter += kTaps * kGroup * kLanes)
        add_row<0>(
            Row{strip.rows[r] + channel, strip.column_step, kEdge ? strip.offsets[r] : nullptr, strip.border},
            filter, sums);
      Outputs::finish(strip, channel, sums);
    }
  }
};

// Under a sanitizer clang takes minutes for eight outputs side by side.
[[maybe_unused]] constexpr bool kSanitized = HWY_IS_ASAN != 0 || HWY_IS_TSAN != 0;
constexpr int kWide = kSanitized ? 2 : 8, kHalf = kSanitized ? 2 : 7, kNarrow = kSanitized ? 1 : 3;

template <class T, int kGroup, int kTaps, int kStep>
const StripSet<T>* set() {
  static constexpr StripSet<T> all{std::int64_t{Vec<T>::size},
                                   1,
                                   {kWide, kHalf, kNarrow, 1},
                                   {{{GroupKernel<T, kGroup, kTaps, kStep, kWide, false>::run,
                                      GroupKernel<T, kGroup, kTaps, kStep, kWide, true>::run}},
                                    {{GroupKernel<T, kGroup, kTaps, kStep, kHalf, false>::run,
                                      GroupKernel<T, kGroup, kTaps, kStep, kHalf, true>::run}},
                                    {{nullptr, GroupKernel<T, kGroup, kTaps, kStep, kNarrow, true>::run}},
                                    {{nullptr, GroupKernel<T, kGroup, kTaps, kStep, 1, true>::run}}}};
  return &all;
}

template <class T, int kGroup>
const StripSet<T>* strips_of_group(std::int64_t taps, std::int64_t step) {
  if (step == 1) {
    if (taps == 1) return set<T, kGroup, 1, 1>();
    if (taps == 2) return set<T, kGroup, 2, 1>();
    if (taps == 3) return set<T, kGroup, 3, 1>();
  } else if (step == 2 && taps == 3) {
    return set<T, kGroup, 3, 2>();
  }
  return nullptr;
}

template <class T>
const StripSet<T>* strips_of(std::int64_t group, std::int64_t taps, std::int64_t step) {
  if (group == 2) return strips_of_group<T, 2>(taps, step);
  if (group == 4) return strips_of_group<T, 4>(taps, step);
  if constexpr (sizeof(T) == 4) {
    if (group == 8) return strips_of_group<T, 8>(taps, step);
  }
  return nullptr;
}

#else

template <class T>
const StripSet<T>* strips_of(std::int64_t, std::int64_t, std::int64_t) {
  return nullptr;
}

#endif

}  // namespace

const StripSet<float>* group_strips_f32(std::int64_t group, std::int64_t taps, std::int64_t step) {
  return strips_of<float>(group, taps, step);
}
const StripSet<double>* group_strips_f64(std::int64_t group, std::int64_t taps, std::int64_t step) {
  return strips_of<double>(group, taps, step);
}

}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace isobit::cpu {
HWY_EXPORT(group_strips_f32);
HWY_EXPORT(group_strips_f64);
}  // namespace isobit::cpu

namespace isobit::cpu::gemm {

template <>
const StripSet<float>* group_strips<float>(std::int64_t group, std::int64_t taps, std::int64_t step) {
  return HWY_DYNAMIC_DISPATCH(group_strips_f32)(group, taps, step);
}
template <>
const StripSet<double>* group_strips<double>(std::int64_t group, std::int64_t taps, std::int64_t step) {
  return HWY_DYNAMIC_DISPATCH(group_strips_f64)(group, taps, step);
}

}  // namespace isobit::cpu::gemm
#endif
