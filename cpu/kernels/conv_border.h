// Copies of a convolution's source with what lies outside of it: zeros or a value, or the elements that the
// padding mode maps there (core/numerics/pad_index.h).
#pragma once
#include <algorithm>
#include <cstdint>

#include "core/numerics/casts.h"
#include "core/numerics/half.h"
#include "core/numerics/pad_index.h"
#include "core/typed.h"
#include "cpu/kernels/conv_pass.h"
#include "cpu/kernels/gemm_pack.h"

namespace isobit::cpu::gemm {

/// One axis of a source, as far as a copy needs it.
struct BorderAxis {
  std::int64_t extent = 1;
  PadMode mode = PadMode::constant;

  /// The element that a coordinate reads, -1: the value.
  std::int64_t at(std::int64_t coordinate) const { return numerics::pad_source(mode, coordinate, extent); }
};

/// The value of a border as the elements of a tensor hold it.
inline double stored(double value, DType dtype) {
  if (value == 0) return value;  // of either sign, in every type
  double rounded = value;
  with_dtype(dtype,
             [&](auto type) { rounded = numerics::cast<double>(numerics::cast<decltype(type)>(value)); });
  return rounded;
}

/// to[count][pitch], of which `channels` are written = coordinates first, first + 1, ... of `row`, a row of
/// `axis`.
template <class T>
void widen_row(Source row, const BorderAxis& axis, std::int64_t channels, std::int64_t pitch, T value,
               std::int64_t first, std::int64_t count, T* to) {
  const std::int64_t begin = std::clamp<std::int64_t>(-first, 0, count);
  const std::int64_t end = std::clamp<std::int64_t>(axis.extent - first, begin, count);
  const auto border = [&](std::int64_t i, std::int64_t stop) {
    if (axis.mode == PadMode::constant) {
      std::fill(to + i * pitch, to + stop * pitch, value);
      return;
    }
    for (; i < stop; ++i) widen(row.at(axis.at(first + i) * channels), to + i * pitch, channels);
  };
  border(0, begin);
  if (pitch == channels) {
    if (end > begin)
      widen(row.at((first + begin) * channels), to + begin * channels, (end - begin) * channels);
  } else {
    for (std::int64_t i = begin; i < end; ++i)
      widen(row.at((first + i) * channels), to + i * pitch, channels);
  }
  border(end, count);
}

/// What is copied: a source [n, d, h, w, channels] with its border.
template <class T>
struct Bordered {
  Source source;
  BorderAxis depth, height, width;
  std::int64_t channels = 0;
  T value = 0;
  std::int64_t gap = 0;  ///< elements between the pixels of the copy

  /// to[rows][columns][channels + gap] = coordinates (d, h ..., w ...) of a sample.
  void widen_plane(std::int64_t sample, std::int64_t d, std::int64_t h, std::int64_t rows, std::int64_t w,
                   std::int64_t columns, T* to) const {
    const std::int64_t pitch = columns * (channels + gap), plane = depth.at(d);
    for (std::int64_t i = 0; i < rows; ++i, to += pitch) {
      const std::int64_t row = plane < 0 ? -1 : height.at(h + i);
      if (row < 0) {
        std::fill(to, to + pitch, value);
      } else {
        const std::int64_t from = ((sample * depth.extent + plane) * height.extent + row) * width.extent;
        widen_row(source.at(from * channels), width, channels, channels + gap, value, w, columns, to);
      }
    }
  }
};

/// Bordered for groups that lie apart, so that what one group reads of a source with many lies together.
template <class T>
struct BorderedGroups {
  Bordered<T> whole;
  std::int64_t first = 0, groups = 1;  ///< that are copied
  std::int64_t channels = 0;           ///< of one group

  /// to[group][rows][columns][channels + gap], neighbouring groups group_pitch elements apart.
  void widen_plane(std::int64_t sample, std::int64_t d, std::int64_t h, std::int64_t rows, std::int64_t w,
                   std::int64_t columns, T* to, std::int64_t group_pitch) const {
    const std::int64_t plane = whole.depth.at(d);
    for (std::int64_t i = 0; i < rows; ++i, to += columns * pixel()) {
      const std::int64_t row = plane < 0 ? -1 : whole.height.at(h + i);
      if (row < 0) {
        fill(columns, to, group_pitch);
      } else {
        const std::int64_t from =
            ((sample * whole.depth.extent + plane) * whole.height.extent + row) * whole.width.extent;
        widen_row(whole.source.at(from * whole.channels + first * channels), w, columns, to, group_pitch);
      }
    }
  }

 private:
  std::int64_t pixel() const { return channels + whole.gap; }

  void fill(std::int64_t columns, T* to, std::int64_t group_pitch) const {
    for (std::int64_t group = 0; group < groups; ++group)
      std::fill_n(to + group * group_pitch, columns * pixel(), whole.value);
  }

  // `row` begins at the first group's first channel.
  void widen_row(Source row, std::int64_t w, std::int64_t columns, T* to, std::int64_t group_pitch) const {
    const BorderAxis& axis = whole.width;
    const std::int64_t begin = std::clamp<std::int64_t>(-w, 0, columns);
    const std::int64_t end = std::clamp<std::int64_t>(axis.extent - w, begin, columns);
    const auto border = [&](std::int64_t i, std::int64_t stop) {
      if (axis.mode == PadMode::constant) return fill(stop - i, to + i * pixel(), group_pitch);
      for (; i < stop; ++i)
        split_groups(row.at(axis.at(w + i) * whole.channels), whole.channels, 1, groups, channels,
                     to + i * pixel(), pixel(), group_pitch);
    };
    border(0, begin);
    if (end > begin)
      split_groups(row.at((w + begin) * whole.channels), whole.channels, end - begin, groups, channels,
                   to + begin * pixel(), pixel(), group_pitch);
    border(end, columns);
  }
};

/// The source of a pass.
template <class T>
Bordered<T> bordered(const Pass& pass, std::int64_t channels) {
  const auto axis = [&](std::size_t i) { return BorderAxis{pass.axis[i].source, pass.axis[i].mode}; };
  return {pass.source, axis(0), axis(1), axis(2), channels, static_cast<T>(pass.border), 0};
}

}  // namespace isobit::cpu::gemm
