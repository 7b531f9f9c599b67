// The kernel of depthwise_gradient.h, for groups of one channel and of a few.
#if defined(ISOBIT_CPU_KERNELS_DEPTHWISE_GRADIENT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ISOBIT_CPU_KERNELS_DEPTHWISE_GRADIENT_INL_H_
#undef ISOBIT_CPU_KERNELS_DEPTHWISE_GRADIENT_INL_H_
#else
#define ISOBIT_CPU_KERNELS_DEPTHWISE_GRADIENT_INL_H_
#endif

#include <algorithm>

#include "cpu/kernels/depthwise_gradient.h"
#include "cpu/kernels/spread-inl.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {
namespace {

// Every array is indexed by constants only (the recursion on template arguments), so that it lives in
// registers.
template <class T, int kGroup, int kTaps, int kStep, int kRows, int kWide>
struct GradientKernel {
  using V = Vec<T>;
  static constexpr int kCount = kRows * kTaps * kGroup;
  using Sums = V[kCount];
  static constexpr std::int64_t kLanes = V::size;

  // The rows of x that a run reads, at a vector of channels.
  struct Rows {
    const T* from[kRows];
    const std::int64_t* offsets[kRows];
  };

  template <int kIndex>
  static HWY_INLINE void clear(Sums& sums) {
    if constexpr (kIndex < kCount) {
      sums[kIndex] = V(T{0});
      clear<kIndex + 1>(sums);
    }
  }
  template <int kIndex>
  static HWY_INLINE void load_sums(const T* from, Sums& sums) {
    if constexpr (kIndex < kCount) {
      sums[kIndex] = load<T>(from + kIndex * kLanes);
      load_sums<kIndex + 1>(from, sums);
    }
  }
  template <int kIndex>
  static HWY_INLINE void add_to(const T* total, Sums& sums) {
    if constexpr (kIndex < kCount) {
      sums[kIndex] = load<T>(total + kIndex * kLanes) + sums[kIndex];
      add_to<kIndex + 1>(total, sums);
    }
  }
  template <int kIndex>
  static HWY_INLINE void store_sums(const Sums& sums, T* to) {
    if constexpr (kIndex < kCount) {
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

  // Channel kIndex of a column, to the sums of one row of taps.
  template <int kRow, int kColumn, int kIndex, int kTap, int kWidth>
  static HWY_INLINE void add(V x, const V (&dy)[kWidth], Sums& sums) {
    if constexpr (kTap < kTaps) {
      constexpr int kFrom = kColumn - kTap;
      if constexpr (kFrom >= 0 && kFrom % kStep == 0 && kFrom / kStep < kWidth) {
        V& sum = sums[(kRow * kTaps + kTap) * kGroup + kIndex];
        sum = fma(x, dy[kFrom / kStep], sum);
      }
      add<kRow, kColumn, kIndex, kTap + 1>(x, dy, sums);
    }
  }

  template <int kRow, int kColumn, int kIndex, int kWidth>
  static HWY_INLINE void add_channels(V x, const V (&dy)[kWidth], Sums& sums) {
    if constexpr (kIndex < kGroup) {
      add<kRow, kColumn, kIndex, 0>(spread<kGroup, kIndex>(x), dy, sums);
      add_channels<kRow, kColumn, kIndex + 1>(x, dy, sums);
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
      add_channels<kRow, kColumn, 0>(load<T>(from), dy, sums);
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
  static HWY_INLINE const T* positions(const gemm::Gradient<T>& g, const Rows& rows, std::int64_t q,
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
  static HWY_INLINE void set_rows(const gemm::Gradient<T>& g, std::int64_t run, std::int64_t channel,
                                  Rows& rows) {
    if constexpr (kRow < kRows) {
      const std::int64_t index = run * g.tap_rows + g.first_row + kRow;
      rows.from[kRow] = g.rows[index] + channel;
      rows.offsets[kRow] = g.offsets[index];
      set_rows<kRow + 1>(g, run, channel, rows);
    }
  }

  static HWY_NOINLINE void run(const gemm::Gradient<T>& g) {
    const std::int64_t last = g.channels - kLanes, size = g.tap_rows * kTaps * kGroup * kLanes;
    std::int64_t at = g.first_row * kTaps * kGroup * kLanes;
    for (std::int64_t v = g.first_vector; v < g.first_vector + g.vectors; ++v, at += size) {
      const std::int64_t channel = std::min(v * kLanes, last);
      Sums sums;
      if (g.start != nullptr) {
        load_sums<0>(g.start + at, sums);
      } else {
        clear<0>(sums);
      }
      for (std::int64_t i = 0; i < g.count; ++i) {
        const gemm::GradientRun<T>& run = g.runs[i];
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

/// Kernels of at most kMostSums sums.
template <class T, int kGroup, int kTaps, int kStep, int kMostSums, int kWide>
const gemm::GradientSet<T>* gradient_set() {
  constexpr int kMost = std::clamp(kMostSums / (kTaps * kGroup), 1, gemm::GradientSet<T>::kMostRows);
  static constexpr gemm::GradientSet<T> all{
      std::int64_t{Vec<T>::size},
      kMost,
      {GradientKernel<T, kGroup, kTaps, kStep, 1, kWide>::run,
       GradientKernel<T, kGroup, kTaps, kStep, std::min(kMost, 2), kWide>::run,
       GradientKernel<T, kGroup, kTaps, kStep, kMost, kWide>::run}};
  return &all;
}

}  // namespace
}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per target
