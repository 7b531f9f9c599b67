// The positions of a task of a pass in the order in which it goes through them: class after class
// (conv_runs.h), and where they lie in the output.
#pragma once
#include <algorithm>
#include <cstdint>
#include <span>

#include "cpu/kernels/conv_pass.h"
#include "cpu/kernels/conv_pass_split.h"
#include "cpu/kernels/conv_runs.h"

namespace isobit::cpu::gemm {

class PassPlaces {
 public:
  explicit PassPlaces(const Pass& of) : pass(of) {}

  const Pass& pass;
  const AxisClass *rows = nullptr, *columns = nullptr;
  std::int64_t row_classes = 1, column_classes = 1;

  /// Positions with the same border share a run list that leaves out the taps in it, where that saves time:
  /// the positions of a task are sorted by class. Whether that is so; if not, all are of one class. The
  /// memory has room for 2 * taps + 1 classes of an axis.
  template <class T>
  bool plan(const TileSet<T>& tiles, const PassSplit& split, bool wanted, AxisClass* of_rows,
            AxisClass* of_columns) {
    constexpr std::int64_t kSkipChannels = 8;  // from here on a tap is worth leaving out
    const PassAxis &height = pass.axis[1], &width = pass.axis[2];
    rows = of_rows;
    columns = of_columns;
    if (wanted && pass.channels >= kSkipChannels && pass.zero_border() &&
        (height.leaves() || width.leaves())) {
      row_classes = classify(height, of_rows);
      column_classes = classify(width, of_columns);
      if (classes() > 0 && worth_leaving_out(tiles, split, of_columns)) return true;
    }
    of_rows[0] = whole(height);
    of_columns[0] = whole(width);
    row_classes = column_classes = 1;
    return false;
  }

  std::int64_t classes() const { return row_classes * column_classes; }
  const AxisClass& column_class(std::int64_t index) const { return columns[index % column_classes]; }
  /// How many positions of a unit belong to a class.
  std::int64_t positions(const Unit& u, std::int64_t index) const {
    const AxisClass &row = rows[index / column_classes], &column = column_class(index);
    const std::int64_t high = std::min(row.end, u.row + u.rows) - std::max(row.begin, u.row);
    return u.planes * std::max<std::int64_t>(high, 0) * (column.end - column.begin);
  }

  /// fn(i, plane, p, q_begin, q_end) for the positions of a unit; i counts positions.
  template <class Fn>
  void for_each_segment(const Unit& u, const Fn& fn) const {
    std::int64_t i = 0;
    for (std::int64_t a = 0; a < row_classes; ++a) {
      const std::int64_t begin = std::max(rows[a].begin, u.row), end = std::min(rows[a].end, u.row + u.rows);
      for (std::int64_t b = 0; b < column_classes; ++b)
        for (std::int64_t plane = u.plane; plane < u.plane + u.planes; ++plane)
          for (std::int64_t p = begin; p < end; ++p) {
            fn(i, plane, p, columns[b].begin, columns[b].end);
            i += columns[b].end - columns[b].begin;
          }
    }
  }

  /// fn(i, count, element, step): the first channel of the unit's position i and of count - 1 behind it in
  /// the output, `step` elements apart.
  template <class Fn>
  void for_each_stretch(const Unit& u, const Fn& fn) const {
    const PassAxis &depth = pass.axis[0], &height = pass.axis[1], &width = pass.axis[2];
    const std::int64_t pitch = pass.pitch(), step = width.place_step * pitch;
    for_each_segment(
        u, [&](std::int64_t i, std::int64_t plane, std::int64_t p, std::int64_t q, std::int64_t end) {
          const std::int64_t sample = plane / depth.outputs, o = plane % depth.outputs;
          const std::int64_t d = sample * depth.place + depth.place_first + o * depth.place_step;
          const std::int64_t h = d * height.place + height.place_first + p * height.place_step;
          fn(i, end - q, (h * width.place + width.place_first) * pitch + q * step, step);
        });
  }
  /// fn(i, element) for every position.
  template <class Fn>
  void for_each_place(const Unit& u, const Fn& fn) const {
    for_each_stretch(u, [&](std::int64_t i, std::int64_t count, std::int64_t element, std::int64_t step) {
      for (; count > 0; --count, element += step) fn(i++, element);
    });
  }

 private:
  static AxisClass whole(const PassAxis& axis) { return {0, axis.outputs, 0, axis.taps}; }

  // Where the corners of small images would fill no tile, only rows have classes.
  template <class T>
  bool worth_leaving_out(const TileSet<T>& tiles, const PassSplit& split, AxisClass* of_columns) {
    using Classes = std::span<const AxisClass>;
    const AxisClass all_rows = whole(pass.axis[1]), all_columns = whole(pass.axis[2]);
    const Classes by_row(rows, static_cast<std::size_t>(row_classes)),
        by_column(columns, static_cast<std::size_t>(column_classes)), row(&all_rows, 1),
        column(&all_columns, 1);
    const auto cost = [&](Classes some_rows, Classes some_columns) {
      return cost_of_classes(tiles, some_rows, some_columns, split.unit_planes(), split.unit_rows());
    };
    const double both = cost(by_row, by_column), by_rows = cost(by_row, column);
    if (by_rows < both) {
      of_columns[0] = all_columns;
      column_classes = 1;
    }
    return std::min(both, by_rows) < 0.97 * cost(row, column);
  }
};

}  // namespace isobit::cpu::gemm
