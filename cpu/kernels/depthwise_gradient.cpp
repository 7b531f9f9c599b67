// The register tiles of depthwise_gradient.h, once for every instruction set. AVX-512: up to 3 rows of 5
// taps, 15 sums beside 8 vectors of dy in 32 registers; AVX2: 3 x 3 or 2 x 5 beside 4 in 16.
#include "cpu/kernels/depthwise_gradient.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/kernels/depthwise_gradient.cpp"
#include "hwy/foreach_target.h"
#include "cpu/kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {
namespace {

using gemm::Gradient;
using gemm::GradientRun;
using gemm::GradientSet;

// Under a sanitizer clang takes minutes for eight positions side by side.
[[maybe_unused]] constexpr bool kSanitized = HWY_IS_ASAN != 0 || HWY_IS_TSAN != 0;
#if HWY_TARGET == HWY_AVX3
constexpr int kWide = kSanitized ? 2 : 8, kMostTaps = 15;
#elif HWY_TARGET == HWY_AVX2
constexpr int kWide = kSanitized ? 2 : 4, kMostTaps = 10;
#else
constexpr int kWide = 1, kMostTaps = 10;
#endif

// Every array is indexed by constants only (the recursion on template arguments), so that it lives in
// registers.
template <class T, int kTaps, int kStep, int kRows>
struct GradientKernel {
  using V = Vec<T>;
  using Sums = V[kRows * kTaps];
  static constexpr std::int64_t kLanes = V::size;

  // The rows of x that a run reads, at a vector of channels.
  struct Rows {
    const T* from[kRows];
    const std::int64_t* offsets[kRows];
  };

  template <int kIndex>
  static HWY_INLINE void clear(Sums& sums) {
    if constexpr (kIndex < kRows * kTaps) {
      sums[kIndex] = V(T{0});
      clear<kIndex + 1>(sums);
    }
  }
  template <int kIndex>
  static HWY_INLINE void load_sums(const T* from, Sums& sums) {
    if constexpr (kIndex < kRows * kTaps) {
      sums[kIndex] = load<T>(from + kIndex * kLanes);
      load_sums<kIndex + 1>(from, sums);
    }
  }
  template <int kIndex>
  static HWY_INLINE void add_to(const T* total, Sums& sums) {
    if constexpr (kIndex < kRows * kTaps) {
      sums[kIndex] = load<T>(total + kIndex * kLanes) + sums[kIndex];
      add_to<kIndex + 1>(total, sums);
    }
  }
  template <int kIndex>
  static HWY_INLINE void store_sums(const Sums& sums, T* to) {
    if constexpr (kIndex < kRows * kTaps) {
      store(sums[kIndex], to + kIndex * kLanes);
      store_sums<kIndex + 1>(sums, to);
    }
  }

  template <int kIndex, int kWidth>
  static HWY_INLINE void load_dy(const T* dy, std::int64_t step, V (&to)[kWidth]) {
    if constexpr (kIndex < kWidth) {
      to[kIndex] = load<T>(dy);
      load_dy<kIndex + 1>(dy + step, step, to);
    }
  }

  // An element of x, to the sums of one row of taps.
  template <int kRow, int kColumn, int kTap, int kWidth>
  static HWY_INLINE void add(V x, const V (&dy)[kWidth], Sums& sums) {
    if constexpr (kTap < kTaps) {
      constexpr int kFrom = kColumn - kTap;
      if constexpr (kFrom >= 0 && kFrom % kStep == 0 && kFrom / kStep < kWidth) {
        V& sum = sums[kRow * kTaps + kTap];
        sum = fma(x, dy[kFrom / kStep], sum);
      }
      add<kRow, kColumn, kTap + 1>(x, dy, sums);
    }
  }

  // A column of all rows; `at` is where it lies, or where its offset stands.
  template <bool kEdge, int kRow, int kColumn, int kWidth>
  static HWY_INLINE void add_rows(const Rows& rows, std::int64_t at, const T* border, const V (&dy)[kWidth],
                                  Sums& sums) {
    if constexpr (kRow < kRows) {
      const T* from = rows.from[kRow];
      if constexpr (kEdge) {
        const std::int64_t offset = rows.offsets[kRow][at];
        from = offset < 0 ? border : from + offset;
      } else {
        from += at;
      }
      add<kRow, kColumn, 0>(load<T>(from), dy, sums);
      add_rows<kEdge, kRow + 1, kColumn>(rows, at, border, dy, sums);
    }
  }

  template <bool kEdge, int kColumn, int kWidth>
  static HWY_INLINE void add_columns(const Rows& rows, std::int64_t at, std::int64_t step, const T* border,
                                     const V (&dy)[kWidth], Sums& sums) {
    if constexpr (kColumn < (kWidth - 1) * kStep + kTaps) {
      add_rows<kEdge, 0, kColumn>(rows, at, border, dy, sums);
      add_columns<kEdge, kColumn + 1>(rows, at + step, step, border, dy, sums);
    }
  }

  // Positions [q, end) of a run; dy is q's.
  template <bool kEdge>
  static HWY_INLINE const T* positions(const Gradient<T>& g, const Rows& rows, std::int64_t q,
                                       std::int64_t end, const T* dy, Sums& sums) {
    const std::int64_t step = kEdge ? 1 : g.channels, pitch = g.channels;
    std::int64_t at = q * kStep;
    if constexpr (!kEdge) at = (at + g.first_column) * g.channels;
    for (; q + kWide <= end; q += kWide, at += kWide * kStep * step, dy += kWide * pitch) {
      V loaded[kWide];
      load_dy<0>(dy, pitch, loaded);
      add_columns<kEdge, 0>(rows, at, step, g.border, loaded, sums);
    }
    for (; q < end; ++q, at += kStep * step, dy += pitch) {
      const V loaded[1] = {load<T>(dy)};
      add_columns<kEdge, 0>(rows, at, step, g.border, loaded, sums);
    }
    return dy;
  }

  template <int kRow>
  static HWY_INLINE void set_rows(const Gradient<T>& g, std::int64_t run, std::int64_t channel, Rows& rows) {
    if constexpr (kRow < kRows) {
      const std::int64_t index = run * g.tap_rows + g.first_row + kRow;
      rows.from[kRow] = g.rows[index] + channel;
      rows.offsets[kRow] = g.offsets[index];
      set_rows<kRow + 1>(g, run, channel, rows);
    }
  }

  static HWY_NOINLINE void run(const Gradient<T>& g) {
    const std::int64_t last = g.channels - kLanes, size = g.tap_rows * kTaps * kLanes;
    std::int64_t at = g.first_row * kTaps * kLanes;
    for (std::int64_t v = g.first_vector; v < g.first_vector + g.vectors; ++v, at += size) {
      const std::int64_t channel = std::min(v * kLanes, last);
      Sums sums;
      if (g.start != nullptr) {
        load_sums<0>(g.start + at, sums);
      } else {
        clear<0>(sums);
      }
      for (std::int64_t i = 0; i < g.count; ++i) {
        const GradientRun<T>& run = g.runs[i];
        const std::int64_t begin = std::clamp(run.whole ? g.inside_begin : run.end, run.first, run.end);
        const std::int64_t end = std::clamp(run.whole ? g.inside_end : run.end, begin, run.end);
        Rows rows;
        set_rows<0>(g, i, channel, rows);
        const T* dy = run.dy + channel;
        dy = positions<true>(g, rows, run.first, begin, dy, sums);
        dy = positions<false>(g, rows, begin, end, dy, sums);
        positions<true>(g, rows, end, run.end, dy, sums);
      }
      if (g.total != nullptr) add_to<0>(g.total + at, sums);
      store_sums<0>(sums, g.sums + at);
    }
  }
};

template <class T, int kTaps, int kStep>
const GradientSet<T>* set() {
  constexpr int kMost = std::clamp(kMostTaps / kTaps, 1, GradientSet<T>::kMostRows);
  static constexpr GradientSet<T> all{
      std::int64_t{Vec<T>::size},
      kMost,
      {GradientKernel<T, kTaps, kStep, 1>::run, GradientKernel<T, kTaps, kStep, std::min(kMost, 2)>::run,
       GradientKernel<T, kTaps, kStep, kMost>::run}};
  return &all;
}

template <class T>
const GradientSet<T>* gradients_of(std::int64_t taps, std::int64_t step) {
  if (step == 1) {
    if (taps == 3) return set<T, 3, 1>();
    if (taps == 5) return set<T, 5, 1>();
  } else if (step == 2) {
    if (taps == 3) return set<T, 3, 2>();
    if (taps == 5) return set<T, 5, 2>();
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
