// What the rows of a pass's A point into: the source as it lies, or a slab, the part of it that a task reads,
// copied with its border. A slab of small groups holds one after the other: a group's few channels lie
// together, not as far apart as all channels of the source, whose pitch, often a power of two, would send
// every position to the same few sets of the first-level cache.
#pragma once
#include <cstdint>

#include "cpu/kernels/conv_border.h"
#include "cpu/kernels/conv_pass.h"
#include "cpu/kernels/conv_pass_split.h"

namespace isobit::cpu::gemm {

template <class T>
class PassSlab {
 public:
  explicit PassSlab(const Pass& pass)
      : pass_(pass),
        channels_(pass.depthwise ? pass.columns : pass.groups * pass.channels),
        split_(pass.groups > 1),
        used_(size_of(pass.source.dtype) != sizeof(T) || pass.axis[0].leaves() || pass.axis[1].leaves() ||
              pass.axis[2].leaves() || (split_ && pass.channels * std::int64_t{sizeof(T)} < kLine)) {}

  bool used() const { return used_; }
  /// Channels of the whole source.
  std::int64_t channels() const { return channels_; }
  /// Bytes for a row of outputs, about.
  std::int64_t row_bytes() const {
    const PassAxis &depth = pass_.axis[0], &height = pass_.axis[1], &width = pass_.axis[2];
    if (!used_) return 0;
    return std::max<std::int64_t>(depth.taps, 1) * height.step * width.span(width.outputs) * channels_ *
           std::int64_t{sizeof(T)};
  }

  /// For units of so many planes and rows.
  void plan(std::int64_t planes, std::int64_t rows) {
    const PassAxis &depth = pass_.axis[0], &height = pass_.axis[1], &width = pass_.axis[2];
    pixel_ = used_ && split_ ? pass_.channels : channels_;
    group_pitch_ = pass_.channels;
    if (used_) {
      row_pitch_ = width.span(width.outputs) * pixel_;
      tap_pitch_ = height.span(rows) * row_pitch_;
      plane_pitch_ = depth.taps * tap_pitch_;
      if (split_) group_pitch_ = planes * plane_pitch_;
    } else {
      row_pitch_ = width.source * pixel_;
      tap_pitch_ = height.source * row_pitch_ * depth.tap_step;
    }
  }
  /// Elements between neighbours.
  std::int64_t pixel() const { return pixel_; }
  std::int64_t row_pitch() const { return row_pitch_; }
  std::int64_t tap_pitch() const { return tap_pitch_; }
  std::int64_t group_pitch() const { return group_pitch_; }
  std::int64_t elements(const Unit& u, std::int64_t groups) const {
    if (!used_) return 0;
    return split_ ? groups * group_pitch_ : u.planes * plane_pitch_;
  }
  /// Where the rows of A of the groups from `first` on begin.
  const T* base(const T* slab, std::int64_t first) const {
    return used_ ? slab : pass_.source.template as<T>() + first * pass_.channels;
  }

  /// The input rows of a unit with their border: for every group, plane, tap of the depth, row: [width,
  /// channels].
  void fill(const Unit& u, std::int64_t first, std::int64_t groups, T* to) const {
    const PassAxis &depth = pass_.axis[0], &height = pass_.axis[1], &width = pass_.axis[2];
    const Bordered<T> whole = bordered<T>(pass_, channels_);
    const BorderedGroups<T> split{whole, first, groups, pass_.channels};
    for (std::int64_t plane = u.plane; plane < u.plane + u.planes; ++plane)
      for (std::int64_t t = 0; t < depth.taps; ++t, to += tap_pitch_) {
        const std::int64_t sample = plane / depth.outputs,
                           d = plane % depth.outputs * depth.step + depth.tap_first + t * depth.tap_step,
                           h = u.row * height.step + height.lowest(), rows = height.span(u.rows),
                           columns = width.span(width.outputs);
        if (split_) {
          split.widen_plane(sample, d, h, rows, width.lowest(), columns, to, group_pitch_);
        } else {
          whole.widen_plane(sample, d, h, rows, width.lowest(), columns, to);
        }
      }
  }

  /// The first tap of position (plane, p, 0) of a unit, counted from base().
  std::int64_t first_tap(const Unit& u, std::int64_t plane, std::int64_t p) const {
    const PassAxis &depth = pass_.axis[0], &height = pass_.axis[1], &width = pass_.axis[2];
    if (used_)
      return (plane - u.plane) * plane_pitch_ +
             ((p - u.row) * height.step + height.tap_first - height.lowest()) * row_pitch_ +
             (width.tap_first - width.lowest()) * pixel_;
    const std::int64_t sample = plane / depth.outputs, o = plane % depth.outputs;
    return (((sample * depth.source + o * depth.step + depth.tap_first) * height.source + p * height.step +
             height.tap_first) *
                width.source +
            width.tap_first) *
           pixel_;
  }

 private:
  static constexpr std::int64_t kLine = 64;  ///< bytes; narrower groups are always brought together

  const Pass& pass_;
  const std::int64_t channels_;
  const bool split_, used_;
  std::int64_t pixel_ = 0, row_pitch_ = 0, tap_pitch_ = 0, plane_pitch_ = 0, group_pitch_ = 0;
};

}  // namespace isobit::cpu::gemm
