// The plan of conv_over_space_plan.h, and what it costs beside tiles of columns. No twin: a thread of the
// GPU's tiles has a few columns anyway.
#include "cpu/kernels/conv_over_space_plan.h"

#include <algorithm>

#include "cpu/kernels/conv_over_space_tile.h"
#include "cpu/kernels/gemm_tile.h"
#include "cpu/runtime/processor.h"

namespace isobit::cpu::gemm {
namespace {

constexpr std::int64_t kSlabBytes = 256 << 10;     ///< that a task should have
constexpr std::int64_t kRoomySlabBytes = 1 << 20;  ///< where fewer would be borders of rows for the most part
constexpr std::int64_t kMostSlabBytes = 16 << 20;  ///< that it may have
constexpr std::int64_t kLine = 64;                 ///< bytes of a cache line
constexpr std::int64_t kLeastColumns = 32, kLeastRows = 4;
constexpr std::int64_t kFarthestTap = 1 << 16;

std::int64_t divide_up(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

// The least number of lines, at least so many, at whose distance vectors of any number of channels spread
// evenly over the 64 sets of a first-level cache: near multiples of a simple fraction of 64 they would meet.
std::int64_t spread_lines(std::int64_t lines) {
  for (;; ++lines) {
    const std::int64_t at = lines % 64, distance = std::min(at, 64 - at);
    for (const std::int64_t good : {15, 17, 19, 23, 25, 27})
      if (distance == good) return lines;
  }
}

std::int64_t tap_distance(const PassAxis& axis, std::int64_t low, std::int64_t tap) {
  return axis.tap_first - low + tap * axis.tap_step;
}

// `whole`: every distance has a place of its own. `shared` neighbours among the positions are one place.
SpaceAxis plan_axis(std::span<const PassAxes> phases, std::size_t index, std::int64_t shared, bool whole) {
  SpaceAxis axis;
  const std::int64_t step = phases[0][index].step;
  axis.low = phases[0][index].lowest();
  for (const PassAxes& phase : phases) {
    axis.outputs = std::max(axis.outputs, phase[index].outputs);
    axis.low = std::min(axis.low, phase[index].lowest());
  }
  axis.high = axis.low;
  std::int64_t farthest = 0;
  for (const PassAxes& phase : phases) {
    const PassAxis& a = phase[index];
    axis.high = std::max(axis.high, a.lowest() + a.span(a.outputs) - 1);
    farthest = std::max(farthest, a.lowest() - axis.low + a.span(shared) - 1);
  }
  axis.step = whole ? farthest + 1 : step * shared;
  std::int64_t most = 0;
  for (const PassAxes& phase : phases) most += shared * phase[index].taps;
  axis.remainders.reserve(static_cast<std::size_t>(most));
  for (const PassAxes& phase : phases)
    for (std::int64_t j = 0; j < shared; ++j)
      for (std::int64_t tap = 0; tap < phase[index].taps; ++tap) {
        const std::int64_t distance = tap_distance(phase[index], axis.low, tap) + j * step;
        axis.reach = std::max(axis.reach, distance / axis.step);
        axis.remainders.push_back(distance % axis.step);
      }
  std::sort(axis.remainders.begin(), axis.remainders.end());
  axis.remainders.erase(std::unique(axis.remainders.begin(), axis.remainders.end()), axis.remainders.end());
  return axis;
}

// The box of a task.
void cut(SpacePlan& plan, std::int64_t areas, std::int64_t size, std::int64_t threads) {
  const std::int64_t all_rows = divide_up(plan.height.outputs, plan.shared), reach = plan.height.reach;
  std::int64_t budget = kSlabBytes / size / areas;  // of an area
  const auto rows_of = [&](std::int64_t columns) { return budget / (columns + plan.width.reach) - reach; };
  std::int64_t columns = plan.width.outputs;
  const std::int64_t wanted = std::min(all_rows, std::max(kLeastRows, 3 * reach));
  while (rows_of(columns) < wanted && columns > std::max(kLeastColumns, 4 * plan.width.reach))
    columns = divide_up(columns, 2);
  if (rows_of(columns) < wanted)
    budget = std::min(kRoomySlabBytes / size / areas, (wanted + reach) * (columns + plan.width.reach));
  std::int64_t rows = std::clamp<std::int64_t>(rows_of(columns), 1, all_rows);
  std::int64_t planes = 1;
  if (rows == all_rows && columns == plan.width.outputs)
    planes = std::clamp<std::int64_t>(budget / ((columns + plan.width.reach) * (all_rows + reach)), 1,
                                      plan.all_planes);
  if (threads > 1) {  // several tasks for each
    planes = std::min(planes, divide_up(plan.all_planes, 4 * threads));
    const std::int64_t others = plan.all_planes * divide_up(plan.width.outputs, columns);
    if (others < 4 * threads)
      rows = std::min(rows, std::max({kLeastRows, reach, divide_up(all_rows * others, 4 * threads)}));
  }
  plan.plane_units = divide_up(plan.all_planes, planes);  // evenly, so that no small rest is left
  plan.planes = divide_up(plan.all_planes, plan.plane_units);
  plan.row_units = divide_up(all_rows, rows);
  plan.rows = divide_up(all_rows, plan.row_units);
  plan.column_units = divide_up(plan.width.outputs, columns);
  plan.columns = divide_up(plan.width.outputs, plan.column_units);
}

// The lanes of tiles, every one a column, with which the passes would take as long as with this plan. As
// measured: here an element of the slab costs its transposition.
double lanes_that_take_as_long(const SpacePlan& plan, const Pass& pass, std::span<const PassAxes> phases) {
  constexpr double kMultiply = 0.9, kTransposed = 18;
  double terms = 0, others = 0;
  for (const PassAxes& phase : phases) {
    double positions = static_cast<double>(pass.n), these = static_cast<double>(pass.channels);
    for (const PassAxis& axis : phase) {
      positions *= static_cast<double>(axis.outputs);
      these *= static_cast<double>(axis.taps);
    }
    terms += these;
    others += positions * these;
  }
  const double positions =
      static_cast<double>(plan.positions(plan.planes, plan.rows, plan.columns) * plan.shared);
  const double slab =
      static_cast<double>(plan.depth_pitch) * static_cast<double>(plan.depth.remainders.size());
  return static_cast<double>(plan.units()) *
         (positions * terms * static_cast<double>(pass.columns) * kMultiply + slab * kTransposed) / others;
}

// The lanes that tiles of so many columns take the time of: whole vectors, or half ones where those are
// faster.
double lanes_of_tiles(std::int64_t columns, std::int64_t size) {
  const bool f64 = size == 8;
  const std::int64_t lanes = f64 ? tiles<double>(columns).lanes : tiles<float>(columns).lanes;
  const std::int64_t long_lanes =
      f64 ? space_tiles<double>(1, false).lanes : space_tiles<float>(1, false).lanes;
  constexpr double kOneVector = 1.25;  // a tile of one vector loads more for each multiply-add
  const double of_short = lanes < long_lanes && !halves_long_vectors() ? 2 : kOneVector;
  return static_cast<double>(divide_up(columns, lanes) * lanes) * (columns <= lanes ? of_short : 1);
}

}  // namespace

SpaceAxis::Place SpaceAxis::place(std::int64_t distance) const {
  const auto at = std::lower_bound(remainders.begin(), remainders.end(), distance % step);
  return {at - remainders.begin(), distance / step};
}

std::int64_t SpacePlan::offset(std::int64_t from_depth, std::int64_t from_height,
                               std::int64_t from_width) const {
  const SpaceAxis::Place d = depth.place(from_depth), h = height.place(from_height),
                         w = width.place(from_width);
  return d.remainder * depth_pitch +
         (h.remainder * static_cast<std::int64_t>(width.remainders.size()) + w.remainder) * area +
         h.index * pitch + w.index;
}

SpacePlan plan_over_space(const Pass& pass, std::span<const PassAxes> phases, std::int64_t size,
                          std::int64_t threads) {
  SpacePlan plan;
  const auto refuse = [&](const char* reason) {
    plan.refusal = reason;
    return plan;
  };
  if (pass.groups != 1 || pass.depthwise) return refuse("groups");
  if (pass.columns > kMostSpaceColumns) return refuse("more columns than twelve fill vectors");
  if (phases.empty() || pass.n == 0 || pass.columns == 0 || pass.channels == 0)
    return refuse("nothing to compute");
  for (const PassAxes& phase : phases)
    for (const PassAxis& axis : phase) {
      if (axis.outputs == 0 || axis.taps == 0) return refuse("nothing to compute");
      if (axis.source == 0) return refuse("a source without elements");
      if (axis.span(1) > kFarthestTap || axis.step > kFarthestTap)
        return refuse("taps or positions so far apart share no loads");
    }

  plan.all_planes = pass.n * phases[0][0].outputs;
  for (const PassAxes& phase : phases) plan.all_planes = std::max(plan.all_planes, pass.n * phase[0].outputs);
  std::int64_t rows = 0, taps = 0;
  for (const PassAxes& phase : phases) {
    rows = std::max(rows, phase[1].outputs);
    taps = std::max(taps, phase[1].taps);
  }
  plan.shared = shared_rows(pass.columns);
  if (rows < plan.shared || taps == 1) plan.shared = 1;
  plan.depth = plan_axis(phases, 0, 1, true);
  plan.height = plan_axis(phases, 1, plan.shared, false);
  plan.width = plan_axis(phases, 2, 1, false);

  const std::int64_t pieces =
      static_cast<std::int64_t>(plan.height.remainders.size() * plan.width.remainders.size());
  const std::int64_t depths = static_cast<std::int64_t>(plan.depth.remainders.size());
  if (static_cast<double>(pieces * depths) * static_cast<double>(pass.channels * size) > kMostSlabBytes)
    return refuse("so many channels that a task has no room for them");
  cut(plan, pieces * depths * pass.channels, size, threads);
  plan.pitch = plan.columns + plan.width.reach;
  plan.plane_rows = plan.rows + plan.height.reach;
  plan.area = plan.planes * plan.plane_rows * plan.pitch;
  plan.channel_pitch = spread_lines(divide_up(pieces * plan.area * size, kLine)) * kLine / size;
  plan.depth_pitch = pass.channels * plan.channel_pitch;
  if (depths * plan.depth_pitch * size > kMostSlabBytes)
    return refuse("so many channels that a task has no room for them");
  plan.lanes = lanes_that_take_as_long(plan, pass, phases);
  return plan;
}

const SpacePlan& last_plan_over_space(const Pass& pass, std::span<const PassAxes> phases, std::int64_t size,
                                      std::int64_t threads) {
  struct Last {
    std::array<std::int64_t, 7> of{};
    std::vector<PassAxes> phases;
    SpacePlan plan;
  };
  thread_local std::array<Last, 2> lasts;
  thread_local std::int64_t number = 0;
  Last& last = lasts[threads > 1 ? 1 : 0];
  const std::array<std::int64_t, 7> of{
      pass.n, pass.groups, pass.depthwise ? 1 : 0, pass.channels, pass.columns, size, threads};
  if (last.of == of && std::ranges::equal(last.phases, phases)) return last.plan;
  last.of = {};
  last.plan = plan_over_space(pass, phases, size, threads);
  last.plan.number = ++number;
  last.phases.assign(phases.begin(), phases.end());
  last.of = of;
  return last.plan;
}

const char* refuse_over_space(const Pass& pass, std::span<const PassAxes> phases) {
  constexpr double kTapsLeftOut = 0.85;  // tiles of columns leave out taps that meet nothing but border
  const std::int64_t size = pass.dtype == DType::f64 ? 8 : 4;
  const SpacePlan& plan = last_plan_over_space(pass, phases, size, 1);
  if (plan.refusal == nullptr && plan.lanes >= kTapsLeftOut * lanes_of_tiles(pass.columns, size))
    return "lanes that are columns waste less";
  return plan.refusal;
}

std::int64_t columns_over_space(const Pass& pass, std::span<const PassAxes> phases) {
  constexpr double kSerialWork = 1 << 19;  // multiply-adds that are not worth a second plan
  constexpr double kWorth = 0.93;
  if (pass.groups != 1 || pass.depthwise) return 0;
  double work =
      static_cast<double>(pass.n) * static_cast<double>(pass.columns) * static_cast<double>(pass.channels);
  double positions = 0;
  for (const PassAxes& phase : phases) {
    double these = 1;
    for (const PassAxis& axis : phase)
      these *= static_cast<double>(axis.outputs) * static_cast<double>(axis.taps);
    positions += these;
  }
  if (work * positions < kSerialWork) return 0;
  const std::int64_t size = pass.dtype == DType::f64 ? 8 : 4;
  std::int64_t best = 0;
  double least = kWorth * lanes_of_tiles(pass.columns, size);
  for (std::int64_t count = 1; count <= kMostSpaceColumns && count < pass.columns; ++count) {
    const double others = lanes_of_tiles(pass.columns - count, size);
    if (others >= least) continue;
    const SpacePlan plan = plan_over_space(pass.some_columns(pass.columns - count, count), phases, size, 1);
    if (plan.refusal != nullptr || others + plan.lanes >= least) continue;
    best = count;
    least = others + plan.lanes;
  }
  return best;
}

}  // namespace isobit::cpu::gemm
