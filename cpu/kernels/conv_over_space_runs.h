// The terms of a phase of conv_over_space in their order: runs of source elements and of the filter's
// numbers.
#pragma once
#include <algorithm>
#include <cstdint>

#include "core/numerics/order.h"
#include "cpu/kernels/conv_over_space_plan.h"
#include "cpu/kernels/conv_over_space_tile.h"
#include "cpu/runtime/scratch.h"

namespace isobit::cpu::gemm {

/// Of an element.
inline std::int64_t terms_of(const Pass& pass, const PassAxes& phase) {
  return phase[0].taps * phase[1].taps * phase[2].taps * pass.channels;
}

/// The rows of a lane row that read one row of the source: row j at its tap tap[j], -1 if it does not.
struct RowTaps {
  std::int64_t distance, tap[kMostSharedRows];
};

/// The next row of the source, in the order of the taps; tap[j] is the next tap of row j.
inline RowTaps next_row(const SpacePlan& plan, const PassAxis& axis,
                        const std::int64_t (&tap)[kMostSharedRows]) {
  constexpr RowTaps kNone{0, {-1, -1, -1, -1}};
  RowTaps next = kNone;
  bool found = false;
  for (std::int64_t j = 0; j < plan.shared; ++j) {
    if (tap[j] == axis.taps) continue;
    const std::int64_t at = axis.tap_first - plan.height.low + tap[j] * axis.tap_step + j * axis.step;
    const bool earlier = !found || (axis.tap_step < 0 ? at > next.distance : at < next.distance);
    if (earlier) {
      next = kNone;
      next.distance = at;
    }
    // Rows that are not neighbours come one after the other.
    if (earlier || (at == next.distance && next.tap[j - 1] >= 0)) next.tap[j] = tap[j];
    found = true;
  }
  return next;
}

/// What the tiles read of a phase's filter: tap i of the phase has its numbers [channel][column] at at(i).
template <class T>
struct SpaceFilter {
  const T* data;
  std::int64_t tap, row, depth, first;  ///< strides of the three axes of taps, and where the first one lies

  std::int64_t at(std::int64_t t, std::int64_t r, std::int64_t s) const {
    return first + t * depth + r * row + s * tap;
  }
};

/// The filter as it lies, if its numbers are those of one column after the other; otherwise `room`, of
/// terms_of(phase) * columns elements, with the numbers in that order.
template <class T>
SpaceFilter<T> space_filter(const Pass& pass, const PassAxes& phase, T* room) {
  const PassAxis &depth = phase[0], &height = phase[1], &width = phase[2];
  const std::int64_t row = width.filter * pass.tap_stride, plane = height.filter * row;
  const SpaceFilter<T> given{
      nullptr, width.filter_step * pass.tap_stride, height.filter_step * row, depth.filter_step * plane,
      depth.filter_first * plane + height.filter_first * row + width.filter_first * pass.tap_stride};
  if (pass.columns == 1 && pass.channel_stride == 1 && size_of(pass.filter.dtype) == sizeof(T)) {
    SpaceFilter<T> filter = given;
    filter.data = pass.filter.template as<T>();
    return filter;
  }
  const std::int64_t size = pass.channels * pass.columns, rows = width.taps * size;
  const SpaceFilter<T> packed{room, size, rows, height.taps * rows, 0};
  for (std::int64_t t = 0; t < depth.taps; ++t)
    for (std::int64_t r = 0; r < height.taps; ++r)
      for (std::int64_t s = 0; s < width.taps; ++s)
        pack_panel(pass.filter.at(given.at(t, r, s)), pass.channel_stride, pass.column_stride, pass.channels,
                   pass.columns, pass.columns, room + packed.at(t, r, s));
  return packed;
}

/// The runs of one tap: its channels, cut where a block ends. Of row j: `first_term`, and `first_number` in
/// the filter. Returns their end.
inline SpaceRun* add_space_runs(const RowTaps& row, const std::int64_t (&first_term)[kMostSharedRows],
                                const std::int64_t (&first_number)[kMostSharedRows], std::int64_t terms,
                                const Pass& pass, std::int64_t pitch, std::int64_t offset, SpaceRun* run) {
  for (std::int64_t channel = 0; channel < pass.channels;) {
    SpaceRun& next = *run++;  // in place: a copy would wait for its parts to be stored
    next = {offset + channel * pitch, pass.channels - channel, {0, 0, 0, 0}, 0, 0, 0, 0};
    for (int j = 0; j < kMostSharedRows; ++j) {
      if (row.tap[j] < 0) continue;
      const std::int64_t term = first_term[j] + channel;
      next.length = std::min(next.length, numerics::kBlock - term % numerics::kBlock);
      if (next.rows == 0) next.row = j;
      next.filter[next.rows++] = first_number[j] + channel * pass.columns;
      if (term < numerics::kBlock) next.first |= 1 << j;
    }
    channel += next.length;
    for (int j = 0; j < kMostSharedRows; ++j) {
      const std::int64_t end = first_term[j] + channel;
      if (row.tap[j] >= 0 && (end % numerics::kBlock == 0 || end == terms)) next.ends |= 1 << j;
    }
  }
  return run;
}

/// Returns the end of the runs, of which there are at most plan.shared for every tap and every block.
template <class T>
SpaceRun* plan_space_runs(const Pass& pass, const SpacePlan& plan, const PassAxes& phase,
                          const SpaceFilter<T>& filter, SpaceRun* run) {
  const PassAxis &depth = phase[0], &height = phase[1], &width = phase[2];
  const std::int64_t terms = terms_of(pass, phase);
  const Scratch<std::int64_t> along_row(width.taps);
  for (std::int64_t s = 0; s < width.taps; ++s)
    along_row[s] = plan.offset(0, 0, width.tap_first - plan.width.low + s * width.tap_step);
  for (std::int64_t t = 0; t < depth.taps; ++t) {
    std::int64_t tap[kMostSharedRows];  // of each shared row the next; rows that are not there have none left
    for (std::int64_t j = 0; j < kMostSharedRows; ++j) tap[j] = j < plan.shared ? 0 : height.taps;
    while (*std::min_element(std::begin(tap), std::end(tap)) < height.taps) {
      const RowTaps row = next_row(plan, height, tap);
      const std::int64_t first_of_row =
          plan.offset(depth.tap_first - plan.depth.low + t * depth.tap_step, row.distance, 0);
      for (std::int64_t s = 0; s < width.taps; ++s) {
        std::int64_t first_term[kMostSharedRows] = {0, 0, 0, 0}, first_number[kMostSharedRows] = {0, 0, 0, 0};
        for (std::int64_t j = 0; j < plan.shared; ++j) {
          if (row.tap[j] < 0) continue;
          first_term[j] = ((t * height.taps + row.tap[j]) * width.taps + s) * pass.channels;
          first_number[j] = filter.at(t, row.tap[j], s);
        }
        run = add_space_runs(row, first_term, first_number, terms, pass, plan.channel_pitch,
                             first_of_row + along_row[s], run);
      }
      for (std::int64_t j = 0; j < plan.shared; ++j)
        if (row.tap[j] >= 0) ++tap[j];
    }
  }
  return run;
}

}  // namespace isobit::cpu::gemm
