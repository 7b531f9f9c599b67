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
// registers. A kernel takes kVectors vectors of channels at a time: two give twice as many chains, which
// hides the latency of an addition, and read a pixel in longer runs.
template <class T, int kGroup, int kTaps, int kStep, int kRows, int kVectors, int kWide>
struct GradientTile {
  using V = Vec<T>;
  static constexpr int kCount = kRows * kTaps * kGroup;  ///< of a vector
  using Sums = V[kVectors * kCount];
  static constexpr std::int64_t kLanes = V::size;

  // The rows of x that a run reads, at a vector of channels.
  struct Rows {
    const T* from[kRows];
    const std::int64_t* offsets[kRows];
  };

  /// Where sum kIndex lies in a buffer; `size` is a vector's.
  template <int kIndex>
  static HWY_INLINE std::int64_t place(std::int64_t size) {
    return kIndex / kCount * size + kIndex % kCount * kLanes;
  }
  template <int kIndex>
  static HWY_INLINE void clear(Sums& sums) {
    if constexpr (kIndex < kVectors * kCount) {
      sums[kIndex] = V(T{0});
      clear<kIndex + 1>(sums);
    }
  }
  template <int kIndex>
  static HWY_INLINE void load_sums(const T* from, std::int64_t size, Sums& sums) {
    if constexpr (kIndex < kVectors * kCount) {
      sums[kIndex] = load<T>(from + place<kIndex>(size));
      load_sums<kIndex + 1>(from, size, sums);
    }
  }
  template <int kIndex>
  static HWY_INLINE void add_to(const T* total, std::int64_t size, Sums& sums) {
    if constexpr (kIndex < kVectors * kCount) {
      sums[kIndex] = load<T>(total + place<kIndex>(size)) + sums[kIndex];
      add_to<kIndex + 1>(total, size, sums);
    }
  }
  template <int kIndex>
  static HWY_INLINE void store_sums(const Sums& sums, std::int64_t size, T* to) {
    if constexpr (kIndex < kVectors * kCount) {
      store(sums[kIndex], to + place<kIndex>(size));
      store_sums<kIndex + 1>(sums, size, to);
    }
  }

  // dy of kWidth positions: [position][vector].
  template <int kIndex, int kLoads>
  static HWY_INLINE void load_dy(const T* dy, std::int64_t step, V (&to)[kLoads]) {
    if constexpr (kIndex < kLoads) {
      to[kIndex] = load<T>(dy + kIndex % kVectors * kLanes);
      load_dy<kIndex + 1>(kIndex % kVectors == kVectors - 1 ? dy + step : dy, step, to);
    }
  }

  // Channel kIndex of a column, to the sums of one row of taps.
  template <int kVector, int kRow, int kColumn, int kIndex, int kTap, int kLoads>
  static HWY_INLINE void add(V x, const V (&dy)[kLoads], Sums& sums) {
    if constexpr (kTap < kTaps) {
      constexpr int kFrom = kColumn - kTap;
      if constexpr (kFrom >= 0 && kFrom % kStep == 0 && kFrom / kStep < kLoads / kVectors) {
        V& sum = sums[kVector * kCount + (kRow * kTaps + kTap) * kGroup + kIndex];
        sum = fma(x, dy[kFrom / kStep * kVectors + kVector], sum);
      }
      add<kVector, kRow, kColumn, kIndex, kTap + 1>(x, dy, sums);
    }
  }

  template <int kVector, int kRow, int kColumn, int kIndex, int kLoads>
  static HWY_INLINE void add_channels(V x, const V (&dy)[kLoads], Sums& sums) {
    if constexpr (kIndex < kGroup) {
      add<kVector, kRow, kColumn, kIndex, 0>(spread<kGroup, kIndex>(x), dy, sums);
      add_channels<kVector, kRow, kColumn, kIndex + 1>(x, dy, sums);
    }
  }

  // A vector that meets several of dy: g++ would load it for each of them, and loads would take as long as
  // the sums of two vectors.
  static HWY_INLINE V loaded_once(const T* from) {
    V v = load<T>(from);
#if HWY_TARGET == HWY_AVX3 && HWY_COMPILER_GCC_ACTUAL
    if constexpr (kVectors > 1) asm("" : "+v"(v.raw));
#endif
    return v;
  }

  template <int kVector, int kRow, int kColumn, int kLoads>
  static HWY_INLINE void add_vectors(const T* from, std::int64_t next, const V (&dy)[kLoads], Sums& sums) {
    if constexpr (kVector < kVectors) {
      const V x = loaded_once(from);
      add_channels<kVector, kRow, kColumn, 0>(x, dy, sums);
      add_vectors<kVector + 1, kRow, kColumn>(from + next, next, dy, sums);
    }
  }

  // A column of all rows; `at` is where it lies, or where its offset stands.
  template <bool kEdge, int kRow, int kColumn, int kLoads>
  static HWY_INLINE void add_rows(const Rows& rows, std::int64_t at, const T* border, const V (&dy)[kLoads],
                                  Sums& sums) {
    if constexpr (kRow < kRows) {
      const T* from = rows.from[kRow];
      std::int64_t next = kLanes;
      if constexpr (kEdge) {
        const std::int64_t offset = rows.offsets[kRow][at];
        next = offset < 0 ? 0 : kLanes;
        from = offset < 0 ? border : from + offset;
      } else {
        from += at;
      }
      add_vectors<0, kRow, kColumn>(from, next, dy, sums);
      add_rows<kEdge, kRow + 1, kColumn>(rows, at, border, dy, sums);
    }
  }

  template <bool kEdge, int kColumn, int kLoads>
  static HWY_INLINE void add_columns(const Rows& rows, std::int64_t at, std::int64_t step, const T* border,
                                     const V (&dy)[kLoads], Sums& sums) {
    if constexpr (kColumn < (kLoads / kVectors - 1) * kStep + kTaps) {
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
      V loaded[kWide * kVectors];
      load_dy<0>(dy, pitch, loaded);
      add_columns<kEdge, 0>(rows, at, step, g.border, loaded, sums);
    }
    for (; q < end; ++q, at += kStep * step, dy += pitch) {
      V loaded[kVectors];
      load_dy<0>(dy, pitch, loaded);
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

  // Columns [first, end) of a row of x, the border's among them, to the ring: where `offsets` leads, those
  // inside as they lie.
  static HWY_INLINE void pack(const gemm::Gradient<T>& g, const T* from, const std::int64_t* offsets,
                              std::int64_t first, std::int64_t end, T* to) {
    constexpr std::int64_t kPixel = kVectors * kLanes;
    const auto by_table = [&](std::int64_t begin, std::int64_t stop) HWY_ATTR {
      for (std::int64_t u = begin; u < stop; ++u) {
        const std::int64_t offset = offsets[u], next = offset < 0 ? 0 : kLanes;
        const T* const at = offset < 0 ? g.border : from + offset;
        for (int v = 0; v < kVectors; ++v) store(load<T>(at + v * next), to + u * kPixel + v * kLanes);
      }
    };
    const std::int64_t inside = -g.first_column, begin = std::clamp(inside, first, end),
                       stop = offsets[inside] < 0 ? begin : std::clamp(inside + g.columns, begin, end);
    by_table(first, begin);
    const T* at = from + (begin - inside) * g.channels;
    for (std::int64_t u = begin; u < stop; ++u, at += g.channels)
      for (int v = 0; v < kVectors; ++v) store(load<T>(at + v * kLanes), to + u * kPixel + v * kLanes);
    by_table(stop, end);
  }

  template <int kRow>
  static HWY_INLINE void pack_rows(const gemm::Gradient<T>& g, std::int64_t run, std::int64_t channel,
                                   Rows& rows) {
    if constexpr (kRow < kRows) {
      const std::int64_t index = run * g.tap_rows + g.first_row + kRow;
      const gemm::GradientSlot& slot = g.slots[index];
      T* const to = g.ring + slot.index * g.ring_columns * kVectors * kLanes;
      if (slot.fresh)
        pack(g, g.rows[index] + channel, g.offsets[index], g.runs[run].first * kStep,
             (g.runs[run].end - 1) * kStep + kTaps, to);
      rows.from[kRow] = to;
      pack_rows<kRow + 1>(g, run, channel, rows);
    }
  }

  // Positions [first, end) of a run whose rows of x were packed.
  static HWY_INLINE void packed_positions(const gemm::Gradient<T>& g, const Rows& rows, std::int64_t q,
                                          std::int64_t end, const T* dy, Sums& sums) {
    constexpr std::int64_t kPixel = kVectors * kLanes;
    const std::int64_t pitch = g.channels;
    std::int64_t at = q * kStep * kPixel;
    for (; q + kWide <= end; q += kWide, at += kWide * kStep * kPixel, dy += kWide * pitch) {
      V loaded[kWide * kVectors];
      load_dy<0>(dy, pitch, loaded);
      add_columns<false, 0>(rows, at, kPixel, g.border, loaded, sums);
    }
    for (; q < end; ++q, at += kStep * kPixel, dy += pitch) {
      V loaded[kVectors];
      load_dy<0>(dy, pitch, loaded);
      add_columns<false, 0>(rows, at, kPixel, g.border, loaded, sums);
    }
  }

  /// kVectors vectors from `channel` on, whose sums lie at `at` in the buffers.
  template <bool kPacked>
  static HWY_INLINE void run(const gemm::Gradient<T>& g, std::int64_t channel, std::int64_t at) {
    const std::int64_t size = g.tap_rows * kTaps * kGroup * kLanes;
    Sums sums;
    if (g.start != nullptr) {
      load_sums<0>(g.start + at, size, sums);
    } else {
      clear<0>(sums);
    }
    for (std::int64_t i = 0; i < g.count; ++i) {
      const gemm::GradientRun<T>& run = g.runs[i];
      const T* dy = run.dy + channel;
      Rows rows;
      if constexpr (kPacked) {
        pack_rows<0>(g, i, channel, rows);
        packed_positions(g, rows, run.first, run.end, dy, sums);
      } else {
        const std::int64_t begin = std::clamp(run.whole ? g.inside_begin : run.end, run.first, run.end);
        const std::int64_t end = std::clamp(run.whole ? g.inside_end : run.end, begin, run.end);
        set_rows<0>(g, i, channel, rows);
        dy = positions<true>(g, rows, run.first, begin, dy, sums);
        dy = positions<false>(g, rows, begin, end, dy, sums);
        positions<true>(g, rows, end, run.end, dy, sums);
      }
    }
    if (g.total != nullptr) add_to<0>(g.total + at, size, sums);
    store_sums<0>(sums, size, g.sums + at);
  }
};

/// Vectors by twos while two fit, the last ones singly: the last may overlap the one before.
template <class T, int kGroup, int kTaps, int kStep, int kRows, int kWide, int kPairWide>
struct GradientKernel {
  static HWY_NOINLINE void run(const gemm::Gradient<T>& g) {
    constexpr std::int64_t kLanes = Vec<T>::size;
    const std::int64_t last = g.channels - kLanes, size = g.tap_rows * kTaps * kGroup * kLanes,
                       end = g.first_vector + g.vectors;
    std::int64_t at = g.first_row * kTaps * kGroup * kLanes, v = g.first_vector;
    if constexpr (kPairWide > 0) {
      for (; v + 2 <= end && (v + 2) * kLanes <= g.channels; v += 2, at += 2 * size) {
        using Pair = GradientTile<T, kGroup, kTaps, kStep, kRows, 2, kPairWide>;
        g.ring != nullptr ? Pair::template run<true>(g, v * kLanes, at)
                          : Pair::template run<false>(g, v * kLanes, at);
      }
    }
    for (; v < end; ++v, at += size)
      GradientTile<T, kGroup, kTaps, kStep, kRows, 1, kWide>::template run<false>(
          g, std::min(v * kLanes, last), at);
  }
};

/// Kernels of at most kMostSums sums.
template <class T, int kGroup, int kTaps, int kStep, int kMostSums, int kWide, int kPairWide = 0>
const gemm::GradientSet<T>* gradient_set() {
  constexpr int kMost = std::clamp(kMostSums / (kTaps * kGroup), 1, gemm::GradientSet<T>::kMostRows);
  static constexpr gemm::GradientSet<T> all{
      std::int64_t{Vec<T>::size},
      kMost,
      (kPairWide > 0),
      {GradientKernel<T, kGroup, kTaps, kStep, 1, kWide, kPairWide>::run,
       GradientKernel<T, kGroup, kTaps, kStep, std::min(kMost, 2), kWide, kPairWide>::run,
       GradientKernel<T, kGroup, kTaps, kStep, kMost, kWide, kPairWide>::run}};
  return &all;
}

}  // namespace
}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per target
