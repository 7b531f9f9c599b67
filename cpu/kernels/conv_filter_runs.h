// The runs of conv_backward_filter: which elements of x meet the positions of dy, for one tap or for all.
#pragma once
#include <algorithm>
#include <cstdint>

#include "core/geometry.h"
#include "cpu/kernels/gemm_tile.h"

namespace isobit::cpu::kernels {

/// Input coordinates that `outputs` neighbours span, and whether any tap lies outside the input.
inline std::int64_t span(const AxisGeometry& axis, std::int64_t outputs) {
  return (outputs - 1) * axis.stride + (axis.filter - 1) * axis.dilation + 1;
}
inline bool leaves_input(const AxisGeometry& axis) {
  return axis.pad_before > 0 || span(axis, axis.out) - axis.pad_before > axis.in;
}

/// Whether what lies outside x is zeros, whose products change no sum but -0.
inline bool zero_border(const ConvGeometry& g) {
  bool zeros = g.pad_value == 0;
  for (const AxisGeometry& axis : g.axis) zeros = zeros && axis.mode == PadMode::constant;
  return zeros;
}

/// The outputs [first, end) of an axis whose tap lies inside x, and the share of all taps that do.
inline std::int64_t first_inside(const AxisGeometry& axis, std::int64_t tap) {
  const std::int64_t before = axis.pad_before - tap * axis.dilation;
  return before <= 0 ? 0 : std::min(axis.out, (before + axis.stride - 1) / axis.stride);
}
inline std::int64_t end_inside(const AxisGeometry& axis, std::int64_t tap) {
  const std::int64_t room = axis.in - 1 + axis.pad_before - tap * axis.dilation;
  return room < 0 ? 0 : std::min(axis.out, room / axis.stride + 1);
}
inline double share_inside(const AxisGeometry& axis) {
  double inside = 0;
  for (std::int64_t tap = 0; tap < axis.filter; ++tap)
    inside += static_cast<double>(std::max<std::int64_t>(0, end_inside(axis, tap) - first_inside(axis, tap)));
  return inside / static_cast<double>(axis.filter * axis.out);
}
/// What of dy one tap meets inside x.
struct Inside {
  std::int64_t p_begin, p_end, q_begin, q_end;
};
inline Inside tap_inside(const ConvGeometry& g, std::int64_t tap) {
  const AxisGeometry &height = g.axis[1], &width = g.axis[2];
  const std::int64_t s = tap % width.filter, r = tap / width.filter % height.filter;
  return {first_inside(height, r), end_inside(height, r), first_inside(width, s), end_inside(width, s)};
}

/// A pointer a row of dw, of which there are `channels` a tap: base (x or a slab, at output position (0, 0,
/// 0), of the row's group) at the row's tap and channel; `pixel` elements lie between neighbouring positions
/// of x.
template <class T>
void locate_rows(const ConvGeometry& g, const T* base, std::int64_t tap_pitch, std::int64_t row_pitch,
                 std::int64_t pixel, std::int64_t channels, std::int64_t row_begin, std::int64_t row_end,
                 const T** rows) {
  const std::int64_t tap = row_begin / channels;
  std::int64_t c = row_begin % channels, s = tap % g.axis[2].filter,
               r = tap / g.axis[2].filter % g.axis[1].filter, t = tap / (g.axis[2].filter * g.axis[1].filter);
  for (std::int64_t row = row_begin; row < row_end; c = 0) {
    const T* const at =
        base + t * tap_pitch + r * g.axis[1].dilation * row_pitch + s * g.axis[2].dilation * pixel;
    for (; c < channels && row < row_end; ++c, ++row) *rows++ = at + c;
    if (++s == g.axis[2].filter) {
      s = 0;
      if (++r == g.axis[1].filter) {
        r = 0;
        ++t;
      }
    }
  }
}

/// Where the rows of A point: into a slab that begins with a plane (sample, o) and a row of x and has
/// plane_pitch elements a plane, or, with a depth, into x itself. Elements between neighbouring rows and
/// pixels.
struct RunOrigin {
  std::int64_t plane, row, plane_pitch, depth, row_pitch, pixel;
};

/// The runs of positions [begin, end) of a leaf, block by block of `block_terms`: rows of q, joined where
/// they touch; counted from runs[0], the first is runs[count].
inline void plan_runs(const ConvGeometry& g, const RunOrigin& origin, std::int64_t begin, std::int64_t end,
                      std::int64_t block_terms, const Inside& inside, std::int64_t count, gemm::Run* runs,
                      std::int64_t* block_runs) {
  const AxisGeometry &depth = g.axis[0], &height = g.axis[1], &width = g.axis[2];
  const std::int64_t step = width.stride * origin.pixel, row_pitch = origin.row_pitch;
  std::int64_t block = 0, next = begin;  // `next`: the position behind the last run
  std::int64_t q = begin % width.out, p = begin / width.out % height.out;
  std::int64_t plane = begin / (width.out * height.out) - origin.plane;
  block_runs[0] = count;
  for (std::int64_t at = begin; at < end;) {
    if (at == begin + (block + 1) * block_terms) {
      block_runs[++block] = count;
      next = at;
    }
    const std::int64_t length = std::min({width.out - q, end - at, begin + (block + 1) * block_terms - at});
    const std::int64_t first = std::max(q, inside.q_begin), last = std::min(q + length, inside.q_end);
    if (inside.p_begin <= p && p < inside.p_end && first < last) {
      std::int64_t offset = first * step + (p * height.stride - origin.row) * row_pitch;
      if (origin.depth == 0) {
        offset += plane * origin.plane_pitch;
      } else {
        offset +=
            (plane / depth.out * origin.depth + plane % depth.out * depth.stride) * height.in * row_pitch;
      }
      const std::int64_t start = at + first - q;
      if (count > block_runs[block] && next == start &&
          runs[count - 1].offset + runs[count - 1].length * step == offset) {
        runs[count - 1].length += last - first;
      } else {
        runs[count++] = {offset, last - first, start - next};
      }
      next = at + last - q;
    }
    at += length;
    q += length;
    if (q == width.out) {
      q = 0;
      if (++p == height.out) {
        p = 0;
        ++plane;
      }
    }
  }
  block_runs[block + 1] = count;
}

}  // namespace isobit::cpu::kernels
