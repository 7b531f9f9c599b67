// Panels, groups and transposition of gemm_pack.h, which move memory. No twin: CUDA packs in
// cuda/kernels/gemm_slab.cuh.
#include "cpu/kernels/gemm_pack.h"

#include <algorithm>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/kernels/gemm_pack.cpp"
#include "hwy/foreach_target.h"
#include "cpu/kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {

// to[i * to_stride + j] = from[j * from_stride + i] for i < rows, j < columns. Squares of 8 (f32) or 4 (f64)
// in registers where the target has 256 bits.
template <class T>
HWY_INLINE void transpose_plain(const T* from, std::int64_t from_stride, std::int64_t rows,
                                std::int64_t columns, T* to, std::int64_t to_stride) {
  for (std::int64_t i = 0; i < rows; ++i)
    for (std::int64_t j = 0; j < columns; ++j) to[i * to_stride + j] = from[j * from_stride + i];
}

#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
HWY_INLINE void transpose_square(const float* from, std::int64_t from_stride, float* to,
                                 std::int64_t to_stride) {
  constexpr hn::CappedTag<float, 8> d;
  constexpr hn::RepartitionToWide<decltype(d)> wide;
  using V = hn::Vec<decltype(d)>;
  V row[8], pair[8], quad[8];
  for (int i = 0; i < 8; ++i) row[i] = hn::LoadU(d, from + i * from_stride);
  for (int i = 0; i < 4; ++i) {
    pair[2 * i] = hn::InterleaveLower(d, row[2 * i], row[2 * i + 1]);
    pair[2 * i + 1] = hn::InterleaveUpper(d, row[2 * i], row[2 * i + 1]);
  }
  for (int i = 0; i < 2; ++i) {
    for (int j = 0; j < 2; ++j) {
      const auto a = hn::BitCast(wide, pair[4 * i + j]), b = hn::BitCast(wide, pair[4 * i + 2 + j]);
      quad[4 * i + 2 * j] = hn::BitCast(d, hn::InterleaveLower(wide, a, b));
      quad[4 * i + 2 * j + 1] = hn::BitCast(d, hn::InterleaveUpper(wide, a, b));
    }
  }
  for (int i = 0; i < 4; ++i) {
    hn::StoreU(hn::ConcatLowerLower(d, quad[4 + i], quad[i]), d, to + i * to_stride);
    hn::StoreU(hn::ConcatUpperUpper(d, quad[4 + i], quad[i]), d, to + (4 + i) * to_stride);
  }
}

HWY_INLINE void transpose_square(const double* from, std::int64_t from_stride, double* to,
                                 std::int64_t to_stride) {
  constexpr hn::CappedTag<double, 4> d;
  using V = hn::Vec<decltype(d)>;
  V row[4], pair[4];
  for (int i = 0; i < 4; ++i) row[i] = hn::LoadU(d, from + i * from_stride);
  for (int i = 0; i < 2; ++i) {
    pair[2 * i] = hn::InterleaveLower(d, row[2 * i], row[2 * i + 1]);
    pair[2 * i + 1] = hn::InterleaveUpper(d, row[2 * i], row[2 * i + 1]);
  }
  for (int i = 0; i < 2; ++i) {
    hn::StoreU(hn::ConcatLowerLower(d, pair[2 + i], pair[i]), d, to + i * to_stride);
    hn::StoreU(hn::ConcatUpperUpper(d, pair[2 + i], pair[i]), d, to + (2 + i) * to_stride);
  }
}

template <class T>
HWY_INLINE void transpose(const T* from, std::int64_t from_stride, std::int64_t rows, std::int64_t columns,
                          T* to, std::int64_t to_stride) {
  constexpr std::int64_t kSide = 32 / sizeof(T);
  if (rows < kSide || columns < kSide)
    return transpose_plain(from, from_stride, rows, columns, to, to_stride);
  // The last square of a row or column overlaps the one before it.
  for (std::int64_t j = 0; j < columns; j += kSide) {
    const std::int64_t column = std::min(j, columns - kSide);
    for (std::int64_t i = 0; i < rows; i += kSide) {
      const std::int64_t row = std::min(i, rows - kSide);
      transpose_square(from + column * from_stride + row, from_stride, to + row * to_stride + column,
                       to_stride);
    }
  }
}
#else
template <class T>
HWY_INLINE void transpose(const T* from, std::int64_t from_stride, std::int64_t rows, std::int64_t columns,
                          T* to, std::int64_t to_stride) {
  transpose_plain(from, from_stride, rows, columns, to, to_stride);
}
#endif

// Groups of kChannels, a pixel after the other. What the next pixels hold is on its way meanwhile: their
// distance is more than the processor guesses.
template <std::int64_t kChannels, class T>
HWY_INLINE void split_groups_of(const T* from, std::int64_t pitch, std::int64_t pixels, std::int64_t groups,
                                T* to, std::int64_t to_pitch, std::int64_t group_pitch) {
  constexpr hn::CappedTag<T, kChannels> d;
  constexpr std::int64_t lanes = hn::MaxLanes(d), kAhead = 8;
  const std::uintptr_t distance = static_cast<std::uintptr_t>(kAhead * pitch) * sizeof(T),
                       bytes = static_cast<std::uintptr_t>(groups * kChannels) * sizeof(T);
  for (std::int64_t pixel = 0; pixel < pixels; ++pixel, from += pitch, to += to_pitch) {
    // Behind the last pixel lies the next row's first, or nothing, which a prefetch may point to.
    const std::uintptr_t ahead = reinterpret_cast<std::uintptr_t>(from) + distance;
    for (std::uintptr_t at = 0; at < bytes; at += 64)
      __builtin_prefetch(reinterpret_cast<const void*>(ahead + at));
    for (std::int64_t group = 0; group < groups; ++group)
      for (std::int64_t i = 0; i < kChannels; i += lanes)
        hn::StoreU(hn::LoadU(d, from + group * kChannels + i), d, to + group * group_pitch + i);
  }
}
template <class T>
HWY_INLINE bool split_groups(const T* from, std::int64_t pitch, std::int64_t pixels, std::int64_t groups,
                             std::int64_t channels, T* to, std::int64_t to_pitch, std::int64_t group_pitch) {
  switch (channels) {
    case 4:
      split_groups_of<4>(from, pitch, pixels, groups, to, to_pitch, group_pitch);
      return true;
    case 8:
      split_groups_of<8>(from, pitch, pixels, groups, to, to_pitch, group_pitch);
      return true;
    case 16:
      split_groups_of<16>(from, pitch, pixels, groups, to, to_pitch, group_pitch);
      return true;
    case 32:
      split_groups_of<32>(from, pitch, pixels, groups, to, to_pitch, group_pitch);
      return true;
    default:
      return false;
  }
}
bool split_groups_f32(const float* from, std::int64_t pitch, std::int64_t pixels, std::int64_t groups,
                      std::int64_t channels, float* to, std::int64_t to_pitch, std::int64_t group_pitch) {
  return split_groups(from, pitch, pixels, groups, channels, to, to_pitch, group_pitch);
}
bool split_groups_f64(const double* from, std::int64_t pitch, std::int64_t pixels, std::int64_t groups,
                      std::int64_t channels, double* to, std::int64_t to_pitch, std::int64_t group_pitch) {
  return split_groups(from, pitch, pixels, groups, channels, to, to_pitch, group_pitch);
}

// A vector of addresses at a time: one each would count beside tiles of few terms.
void put_addresses(std::uintptr_t first, std::uintptr_t step, std::int64_t count, std::uintptr_t* to) {
  constexpr hn::CappedTag<std::uint64_t, 8> d;
  constexpr std::int64_t lanes = hn::MaxLanes(d);
  static_assert(sizeof(std::uintptr_t) == sizeof(std::uint64_t));
  std::uint64_t start[static_cast<std::size_t>(lanes)];
  std::uint64_t* const from = start;
  for (std::int64_t i = 0; i < lanes; ++i) from[i] = first + static_cast<std::uint64_t>(i) * step;
  auto addresses = hn::LoadU(d, from);
  const auto next = hn::Set(d, static_cast<std::uint64_t>(lanes) * step);
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes, addresses = hn::Add(addresses, next))
    hn::StoreU(addresses, d, reinterpret_cast<std::uint64_t*>(to + i));
  for (; i < count; ++i) to[i] = first + static_cast<std::uint64_t>(i) * step;
}

void transpose_f32(const float* from, std::int64_t from_stride, std::int64_t rows, std::int64_t columns,
                   float* to, std::int64_t to_stride) {
  transpose(from, from_stride, rows, columns, to, to_stride);
}
void transpose_f64(const double* from, std::int64_t from_stride, std::int64_t rows, std::int64_t columns,
                   double* to, std::int64_t to_stride) {
  transpose(from, from_stride, rows, columns, to, to_stride);
}

}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace isobit::cpu {
HWY_EXPORT(split_groups_f32);
HWY_EXPORT(split_groups_f64);
HWY_EXPORT(put_addresses);
HWY_EXPORT(transpose_f32);
HWY_EXPORT(transpose_f64);
}  // namespace isobit::cpu

namespace isobit::cpu::gemm {

void put_addresses(std::uintptr_t first, std::uintptr_t step, std::int64_t count, std::uintptr_t* to) {
  HWY_DYNAMIC_DISPATCH(put_addresses)(first, step, count, to);
}

void transpose(const float* from, std::int64_t from_stride, std::int64_t rows, std::int64_t columns,
               float* to, std::int64_t to_stride) {
  HWY_DYNAMIC_DISPATCH(transpose_f32)(from, from_stride, rows, columns, to, to_stride);
}
void transpose(const double* from, std::int64_t from_stride, std::int64_t rows, std::int64_t columns,
               double* to, std::int64_t to_stride) {
  HWY_DYNAMIC_DISPATCH(transpose_f64)(from, from_stride, rows, columns, to, to_stride);
}

namespace {

// Element (row, column) at row + column * column_stride. Half-width elements go through a small widened
// strip.
template <class T>
void pack_transposed(Source from, std::int64_t column_stride, std::int64_t rows, std::int64_t columns,
                     std::int64_t width, T* to) {
  if (size_of(from.dtype) == sizeof(T))
    return transpose(from.as<T>(), column_stride, rows, columns, to, width);
  constexpr std::int64_t kColumns = 16, kRows = 64;
  T strip[kColumns * kRows];
  for (std::int64_t column = 0; column < columns; column += kColumns) {
    const std::int64_t wide = std::min(kColumns, columns - column);
    for (std::int64_t row = 0; row < rows; row += kRows) {
      const std::int64_t high = std::min(kRows, rows - row);
      for (std::int64_t j = 0; j < wide; ++j)
        widen(from.at(row + (column + j) * column_stride), strip + j * kRows, high);
      transpose(strip, kRows, high, wide, to + row * width + column, width);
    }
  }
}

// Rows of a few cache lines: too short for a call each.
template <class T>
void copy_rows(const T* from, std::int64_t row_stride, std::int64_t rows, std::int64_t columns,
               std::int64_t width, T* to) {
  for (std::int64_t row = 0; row < rows; ++row, from += row_stride, to += width) {
    copy_few(from, to, columns);
    for (std::int64_t j = columns; j < width; ++j) to[j] = T(0);
  }
}

// Whether there is a loop for groups of so many channels.
bool split_known(const float* from, std::int64_t pitch, std::int64_t pixels, std::int64_t groups,
                 std::int64_t channels, float* to, std::int64_t to_pitch, std::int64_t group_pitch) {
  return HWY_DYNAMIC_DISPATCH(split_groups_f32)(from, pitch, pixels, groups, channels, to, to_pitch,
                                                group_pitch);
}
bool split_known(const double* from, std::int64_t pitch, std::int64_t pixels, std::int64_t groups,
                 std::int64_t channels, double* to, std::int64_t to_pitch, std::int64_t group_pitch) {
  return HWY_DYNAMIC_DISPATCH(split_groups_f64)(from, pitch, pixels, groups, channels, to, to_pitch,
                                                group_pitch);
}

}  // namespace

template <class T>
void pack_panel(Source from, std::int64_t row_stride, std::int64_t column_stride, std::int64_t rows,
                std::int64_t columns, std::int64_t width, T* to) {
  // An operand without elements may have no address to step from.
  if (columns == 0) std::fill(to, to + rows * width, T(0));
  if (rows == 0 || columns == 0) return;
  if (column_stride == 1 && size_of(from.dtype) == sizeof(T)) {
    if (columns < width || !split_known(from.as<T>(), row_stride, rows, 1, columns, to, width, 0))
      copy_rows(from.as<T>(), row_stride, rows, columns, width, to);
    return;
  }
  if (columns < width)
    for (std::int64_t row = 0; row < rows; ++row)
      std::fill(to + row * width + columns, to + (row + 1) * width, T(0));
  if (column_stride == 1) {
    if constexpr (sizeof(T) == sizeof(float)) widen_rows(from, row_stride, rows, columns, to, width);
  } else if (row_stride == 1) {
    pack_transposed(from, column_stride, rows, columns, width, to);
  } else {
    for (std::int64_t row = 0; row < rows; ++row)
      for (std::int64_t column = 0; column < columns; ++column)
        widen(from.at(row * row_stride + column * column_stride), to + row * width + column, 1);
  }
}

template <class T>
void split_groups(Source from, std::int64_t pitch, std::int64_t pixels, std::int64_t groups,
                  std::int64_t channels, T* to, std::int64_t to_pitch, std::int64_t group_pitch) {
  if (channels == 0) return;
  if (size_of(from.dtype) == sizeof(T)) {
    if (split_known(from.as<T>(), pitch, pixels, groups, channels, to, to_pitch, group_pitch)) return;
    for (std::int64_t group = 0; group < groups; ++group)
      for (std::int64_t pixel = 0; pixel < pixels; ++pixel)
        copy_few(from.as<T>() + pixel * pitch + group * channels, to + group * group_pitch + pixel * to_pitch,
                 channels);
    return;
  }
  constexpr std::int64_t kStrip = 512;  // elements that are widened at a time
  T strip[kStrip];
  const std::int64_t most = kStrip / channels;
  for (std::int64_t pixel = 0; pixel < pixels; ++pixel) {
    const Source row = from.at(pixel * pitch);
    T* const place = to + pixel * to_pitch;
    if (most < 2) {
      for (std::int64_t group = 0; group < groups; ++group)
        widen(row.at(group * channels), place + group * group_pitch, channels);
      continue;
    }
    for (std::int64_t first = 0; first < groups; first += most) {
      const std::int64_t count = std::min(most, groups - first);
      widen(row.at(first * channels), strip, count * channels);
      for (std::int64_t i = 0; i < count; ++i)
        copy_few(strip + i * channels, place + (first + i) * group_pitch, channels);
    }
  }
}

template void split_groups(Source, std::int64_t, std::int64_t, std::int64_t, std::int64_t, float*,
                           std::int64_t, std::int64_t);
template void split_groups(Source, std::int64_t, std::int64_t, std::int64_t, std::int64_t, double*,
                           std::int64_t, std::int64_t);
template void pack_panel(Source, std::int64_t, std::int64_t, std::int64_t, std::int64_t, std::int64_t,
                         float*);
template void pack_panel(Source, std::int64_t, std::int64_t, std::int64_t, std::int64_t, std::int64_t,
                         double*);

}  // namespace isobit::cpu::gemm
#endif
