// The inverse of the index map of padding (core/numerics/pad_index.h): which padded coordinates read an
// element. For the gradients of padding, which add them up.
#pragma once
#include "core/numerics/pad_index.h"

namespace isobit::numerics {

/// The padded coordinates of one axis that read one element, ascending: first, first + gap[0], first + gap[0]
/// + gap[1], first + 2 gap[0] + gap[1], ..., the two gaps by turns, below end.
template <class I>
struct PadImages {
  I first, end, gap[2];

  HOST_DEVICE bool empty() const { return first >= end; }
};

/// Those of `element` of an axis of `extent` >= 1 elements whose padded coordinates are [0, out); coordinate
/// u reads what pad_source(mode, u - before, extent) says.
template <class I>
HOST_DEVICE inline PadImages<I> pad_images(PadMode mode, I element, I extent, I before, I out) {
  if (mode == PadMode::constant || mode == PadMode::replicate) {
    // A run: the element's own coordinate, and all beyond it where it is an edge that repeats.
    I first = element + before, last = first;
    if (mode == PadMode::replicate && element == 0) first = 0;
    if (mode == PadMode::replicate && element == extent - 1) last = out - 1;
    return {first < 0 ? 0 : first, last < out ? last + 1 : out, {1, 1}};
  }
  // Each of the two places of the element in a period of the padded axis, in every period.
  const I period = mode == PadMode::circular    ? extent
                   : mode == PadMode::symmetric ? 2 * extent
                   : extent == 1                ? 1
                                                : 2 * extent - 2;
  const I mirrored = mode == PadMode::circular ? element : (mode == PadMode::symmetric ? -1 : 0) - element;
  I a = (element + before) % period, b = (mirrored + before) % period;
  if (a < 0) a += period;
  if (b < 0) b += period;
  if (a == b) return {a, out, {period, period}};
  if (b < a) {
    const I larger = a;
    a = b;
    b = larger;
  }
  return {a, out, {b - a, period - (b - a)}};
}

/// The elements of an axis that are read through their own coordinate and no other one, as far as they are
/// neighbours: [begin, end).
template <class I>
struct PadInterior {
  I begin, end;
};
template <class I>
HOST_DEVICE inline PadInterior<I> pad_interior(PadMode mode, I extent, I before, I out) {
  const I after = out - before - extent;
  // Those whose own coordinate is not cropped away...
  PadInterior<I> range{before < 0 ? -before : 0, after < 0 ? extent + after : extent};
  // ... without those that a coordinate before the axis reads, too, or one behind it.
  if (mode != PadMode::constant && before > 0) {
    if (mode == PadMode::circular) {
      const I first = before < extent ? extent - before : 0;
      if (first < range.end) range.end = first;
    } else {
      const I behind = mode == PadMode::replicate ? 1 : mode == PadMode::reflect ? before + 1 : before;
      if (behind > range.begin) range.begin = behind;
    }
  }
  if (mode != PadMode::constant && after > 0) {
    if (mode == PadMode::circular) {
      if (after > range.begin) range.begin = after;
    } else {
      const I last = mode == PadMode::replicate ? extent - 1
                     : mode == PadMode::reflect ? extent - 1 - after
                                                : extent - after;
      if (last < range.end) range.end = last;
    }
  }
  if (range.begin > extent) range.begin = extent;
  if (range.end < range.begin) range.end = range.begin;
  return range;
}

}  // namespace isobit::numerics
