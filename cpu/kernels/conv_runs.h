// The runs of a pass (gemm_tile.h): which source elements the terms of a position are. Positions whose border
// is the same form a class and share their runs. Taps in the border can be left out: fma(+0, w, sum) is sum
// for every finite w and every sum but -0, so a tile that leaves terms out gives up when a block's sum is -0,
// and is computed with all taps.
#pragma once
#include <algorithm>
#include <cstdint>
#include <span>

#include "core/numerics/order.h"
#include "cpu/kernels/conv_pass.h"
#include "cpu/kernels/gemm_tile.h"

namespace isobit::cpu::gemm {

/// Positions [begin, end) of an axis whose taps [tap_begin, tap_end) lie inside the source.
struct AxisClass {
  std::int64_t begin, end, tap_begin, tap_end;
};

/// Elements between neighbouring taps of the depth, rows and columns of what the rows of A point into.
struct RunPitches {
  std::int64_t tap, row, column;
};

/// The classes of an axis; classes[] has room for 2 * taps + 1. 0: there are more.
inline std::int64_t classify(const PassAxis& axis, AxisClass* classes) {
  std::int64_t count = 0;
  for (std::int64_t i = 0; i < axis.outputs; ++i) {
    std::int64_t begin = 0, end = axis.taps;
    const auto inside = [&](std::int64_t tap) {
      const std::int64_t at = i * axis.step + axis.tap_first + tap * axis.tap_step;
      return 0 <= at && at < axis.source;
    };
    while (begin < end && !inside(begin)) ++begin;
    while (begin < end && !inside(end - 1)) --end;
    if (begin == end) begin = end = 0;
    if (count > 0 && classes[count - 1].tap_begin == begin && classes[count - 1].tap_end == end) {
      ++classes[count - 1].end;
    } else if (count == 2 * axis.taps + 1) {
      return 0;
    } else {
      classes[count++] = {i, i + 1, begin, end};
    }
  }
  return count;
}

/// What tiles of a task's positions cost, in rows: every tile counts one more for its share of B, and one of
/// few sums waits for each multiply-add.
template <class T>
double tile_cost(const TileSet<T>& tiles, std::int64_t positions) {
  constexpr std::int64_t kSums = 8;  // that keep two units busy
  double cost = 0;
  for (std::int64_t height = 0; positions > 0; positions -= height) {
    height = tiles.height(positions);
    cost += static_cast<double>(std::max(height, kSums / tiles.vectors) + 1);
  }
  return cost;
}

/// What the tasks of so many planes and rows cost when every class leaves its border out.
template <class T>
double cost_of_classes(const TileSet<T>& tiles, std::span<const AxisClass> rows,
                       std::span<const AxisClass> columns, std::int64_t unit_planes, std::int64_t unit_rows) {
  double cost = 0;
  for (const AxisClass& row : rows)
    for (const AxisClass& column : columns) {
      const std::int64_t high = row.end - row.begin, wide = column.end - column.begin,
                         high_of_unit = std::min(high, unit_rows);
      cost +=
          tile_cost(tiles, unit_planes * high_of_unit * wide) *
          static_cast<double>(high * (row.tap_end - row.tap_begin) * (column.tap_end - column.tap_begin)) /
          static_cast<double>(high_of_unit);
    }
  return cost;
}

/// Runs of a block: block_runs[b] .. block_runs[b + 1], counted from runs[0]. Taps that touch in memory
// share a run.
inline void plan_runs(const Pass& pass, const RunPitches& pitches, const AxisClass& row,
                      const AxisClass& column, std::int64_t first, Run* runs, std::int64_t* block_runs) {
  const PassAxis &depth = pass.axis[0], &height = pass.axis[1], &width = pass.axis[2];
  std::int64_t count = first, term = 0, next = 0;  // `next`: the term behind the last run
  std::int64_t block = 0;
  block_runs[0] = count;
  for (std::int64_t t = 0; t < depth.taps; ++t)
    for (std::int64_t r = 0; r < height.taps; ++r)
      for (std::int64_t s = 0; s < width.taps; ++s) {
        const bool taken =
            row.tap_begin <= r && r < row.tap_end && column.tap_begin <= s && s < column.tap_end;
        std::int64_t offset =
            t * pitches.tap + r * height.tap_step * pitches.row + s * width.tap_step * pitches.column;
        for (std::int64_t left = pass.channels; left > 0;) {
          if (term == (block + 1) * numerics::kBlock) {
            block_runs[++block] = count;
            next = term;
          }
          const std::int64_t length = std::min(left, (block + 1) * numerics::kBlock - term);
          if (taken && count > block_runs[block] && next == term &&
              runs[count - 1].offset + runs[count - 1].length == offset) {
            runs[count - 1].length += length;
          } else if (taken) {
            runs[count++] = {offset, length, term - next};
          }
          term += length;
          if (taken) next = term;
          offset += length;
          left -= length;
        }
      }
  block_runs[block + 1] = count;
}

/// The terms of runs that leave none out, one by one.
inline void list_terms(const Run* runs, std::int64_t count, std::int64_t* terms) {
  for (const Run* run = runs; run != runs + count; ++run)
    for (std::int64_t i = 0; i < run->length; ++i) *terms++ = run->offset + i;
}

}  // namespace isobit::cpu::gemm
