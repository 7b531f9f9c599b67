// How a pass is shared out to tasks: units, which are some whole planes or some rows of one, and, where these
// are too few, parts of a unit's filters. Which it is decides no bit.
#pragma once
#include <algorithm>
#include <array>
#include <cstdint>

namespace isobit::cpu::gemm {

struct PassExtent {
  std::int64_t planes, rows, positions;  ///< rows of a plane, positions of a row
  std::int64_t most_parts;               ///< of a unit: groups, or panels of filters
  std::int64_t tallest;                  ///< tile
};

/// What a task computes: a run of whole planes, or of rows of one plane.
struct Unit {
  std::int64_t plane, planes, row, rows;
};

struct PassSplit {
  std::int64_t planes = 0, rows = 0;            ///< in all, rows of a plane
  std::int64_t plane_units = 1, row_units = 1;  ///< one of them is 1, or the other whole
  std::int64_t parts = 1;

  std::int64_t units() const { return plane_units * row_units; }
  /// Of the largest unit.
  std::int64_t unit_planes() const { return (planes + plane_units - 1) / plane_units; }
  std::int64_t unit_rows() const { return (rows + row_units - 1) / row_units; }
  /// Units differ by one plane or one row at most.
  Unit unit(std::int64_t index) const {
    const std::int64_t p = index / row_units, r = index % row_units;
    const std::int64_t plane = p * planes / plane_units, row = r * rows / row_units;
    return {plane, (p + 1) * planes / plane_units - plane, row, (r + 1) * rows / row_units - row};
  }
};

namespace split_detail {

inline std::int64_t divide_up(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

inline PassSplit complete(const PassExtent& e, std::int64_t plane_units, std::int64_t row_units,
                          std::int64_t threads) {
  PassSplit s{e.planes, e.rows, plane_units, row_units, 1};
  if (threads > 1 && s.units() < 2 * threads)
    s.parts = std::min(divide_up(2 * threads, s.units()), e.most_parts);
  return s;
}

// When the last thread is done, each taking the next task when it is done with one: in rows of tiles, of
// which every tile counts one more for its share of the filter.
inline double time_of(const PassExtent& e, const PassSplit& s, std::int64_t threads) {
  constexpr std::int64_t kThreads = 16, kTasks = 128;
  constexpr double kSlab = 0.05;  // of a row of a tile: what every part of a unit copies and locates anew
  const double share =
      static_cast<double>(divide_up(e.most_parts, s.parts)) / static_cast<double>(e.most_parts);
  const auto cost = [&](std::int64_t rows) {
    const std::int64_t positions = rows * e.positions;
    return share * static_cast<double>(positions + divide_up(positions, e.tallest)) +
           kSlab * static_cast<double>(positions);
  };
  const std::int64_t tasks = s.units() * s.parts;
  if (threads > kThreads || tasks > kTasks)
    return cost(s.unit_planes() * s.unit_rows()) * static_cast<double>(divide_up(tasks, threads));
  std::array<double, kThreads> busy{};
  const auto end = busy.begin() + threads;
  for (std::int64_t task = 0; task < tasks; ++task) {
    const Unit u = s.unit(task / s.parts);
    *std::min_element(busy.begin(), end) += cost(u.planes * u.rows);
  }
  return *std::max_element(busy.begin(), end);
}

}  // namespace split_detail

/// `most_rows`: what a task has memory for; `least_rows`: what is worth a task. About four units for every
/// thread, or another number of them that ends sooner: on two threads 28 rows are four units of seven, not
/// seven of four, one more of which would be left to one of the threads.
inline PassSplit split_pass(const PassExtent& e, std::int64_t least_rows, std::int64_t most_rows,
                            std::int64_t threads) {
  using namespace split_detail;
  most_rows = std::max(least_rows, most_rows);
  std::int64_t rows = most_rows;
  if (threads > 1) rows = std::max(least_rows, std::min(rows, divide_up(e.planes * e.rows, 4 * threads)));
  const bool whole_planes = rows >= e.rows;
  const auto units = [&](std::int64_t count) {
    return whole_planes ? complete(e, count, 1, threads) : complete(e, e.planes, count, threads);
  };
  const std::int64_t planes = divide_up(e.planes, std::max<std::int64_t>(1, e.planes * e.rows / rows));
  PassSplit best = units(whole_planes ? divide_up(e.planes, planes) : divide_up(e.rows, rows));
  if (threads == 1 || best.units() > 16 * threads) return best;
  const std::int64_t fewest =
      whole_planes ? divide_up(e.planes, most_rows / e.rows) : divide_up(e.rows, most_rows);
  double least = time_of(e, best, threads);
  for (std::int64_t count = fewest; whole_planes ? count <= e.planes : count * least_rows <= e.rows;
       ++count) {
    const PassSplit other = units(count);
    if (other.units() > 16 * threads) break;
    const double time = time_of(e, other, threads);
    if (time < 0.98 * least) {
      best = other;
      least = time;
    }
  }
  return best;
}

}  // namespace isobit::cpu::gemm
