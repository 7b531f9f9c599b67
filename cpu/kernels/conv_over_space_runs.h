// The terms of a phase of conv_over_space in their order: runs of source elements, and the filter packed
// beside them.
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

/// The runs of one tap: its channels, cut where a block ends. `first_term`: of row j. Returns their end.
inline SpaceRun* add_space_runs(const RowTaps& row, const std::int64_t (&first_term)[kMostSharedRows],
                                std::int64_t terms, std::int64_t channels, std::int64_t pitch,
                                std::int64_t offset, SpaceRun* run) {
  for (std::int64_t channel = 0; channel < channels;) {
    SpaceRun next{offset + channel * pitch, channels - channel, 0, 0, 0, 0};
    for (int j = 0; j < kMostSharedRows; ++j) {
      if (row.tap[j] < 0) continue;
      const std::int64_t term = first_term[j] + channel;
      next.length = std::min(next.length, numerics::kBlock - term % numerics::kBlock);
      if (next.rows++ == 0) next.row = j;
      if (term < numerics::kBlock) next.first |= 1 << j;
    }
    channel += next.length;
    for (int j = 0; j < kMostSharedRows; ++j) {
      const std::int64_t end = first_term[j] + channel;
      if (row.tap[j] >= 0 && (end % numerics::kBlock == 0 || end == terms)) next.ends |= 1 << j;
    }
    *run++ = next;
  }
  return run;
}

/// to[channel][column] of one tap
template <class T>
void pack_tap(const Pass& pass, const PassAxes& phase, std::int64_t t, std::int64_t r, std::int64_t s,
              T* to) {
  const std::int64_t tap = ((phase[0].filter_first + t * phase[0].filter_step) * phase[1].filter +
                            phase[1].filter_first + r * phase[1].filter_step) *
                               phase[2].filter +
                           phase[2].filter_first + s * phase[2].filter_step;
  pack_panel(pass.filter.at(tap * pass.tap_stride), pass.channel_stride, pass.column_stride, pass.channels,
             pass.columns, pass.columns, to);
}

/// Returns the end of the runs, of which there are at most plan.shared for every tap and every block.
template <class T>
SpaceRun* plan_space_runs(const Pass& pass, const SpacePlan& plan, const PassAxes& phase, SpaceRun* run,
                          T* filter) {
  const PassAxis &depth = phase[0], &height = phase[1], &width = phase[2];
  const std::int64_t channels = pass.channels, columns = pass.columns;
  const std::int64_t taps = depth.taps * height.taps * width.taps, tap_size = channels * columns;
  const Scratch<T> packed(taps * tap_size);
  for (std::int64_t i = 0; i < taps; ++i)
    pack_tap(pass, phase, i / width.taps / height.taps, i / width.taps % height.taps, i % width.taps,
             packed.data() + i * tap_size);
  for (std::int64_t t = 0; t < depth.taps; ++t) {
    std::int64_t tap[kMostSharedRows];  // of each shared row the next; rows that are not there have none left
    for (std::int64_t j = 0; j < kMostSharedRows; ++j) tap[j] = j < plan.shared ? 0 : height.taps;
    while (*std::min_element(std::begin(tap), std::end(tap)) < height.taps) {
      const RowTaps row = next_row(plan, height, tap);
      for (std::int64_t s = 0; s < width.taps; ++s) {
        const std::int64_t offset =
            plan.offset(depth.tap_first - plan.depth.low + t * depth.tap_step, row.distance,
                        width.tap_first - plan.width.low + s * width.tap_step);
        std::int64_t first_term[kMostSharedRows] = {0, 0, 0, 0};
        const std::int64_t together = std::count_if(row.tap, row.tap + kMostSharedRows,
                                                    [](std::int64_t of_row) { return of_row >= 0; });
        for (std::int64_t j = 0, place = 0; j < plan.shared; ++j) {
          if (row.tap[j] < 0) continue;
          const std::int64_t at = (t * height.taps + row.tap[j]) * width.taps + s;
          first_term[j] = at * channels;
          const T* const from = packed.data() + at * tap_size;
          if (together == 1) {
            std::copy_n(from, tap_size, filter);
          } else {
            for (std::int64_t column = 0; column < columns; ++column)
              for (std::int64_t i = 0; i < channels; ++i)
                filter[(i * together + place) * columns + column] = from[i * columns + column];
          }
          ++place;
        }
        filter += channels * together * columns;
        run =
            add_space_runs(row, first_term, terms_of(pass, phase), channels, plan.channel_pitch, offset, run);
      }
      for (std::int64_t j = 0; j < plan.shared; ++j)
        if (row.tap[j] >= 0) ++tap[j];
    }
  }
  return run;
}

}  // namespace isobit::cpu::gemm
