// How conv_over_space cuts a problem: which part of the source a task brings into the order of the lanes, and
// where the terms of a position lie in it.
//
// A task owns a box of positions, the same for all phases. Its slab holds, for every depth that a tap reads
// and every source channel, an area: planes x lane rows x pitch. Neighbouring positions of a row are
// neighbours in it, so where positions are `step` apart in the source there is an area for every remainder of
// the coordinate modulo step (of rows and of columns). A tap is then one offset for all positions of the
// task, across the ends of rows and planes: the lanes that fall between are computed and not stored.
//
// With shared rows a lane row is several rows of outputs, which read the same source row at different taps.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "cpu/kernels/conv_over_space.h"

namespace isobit::cpu::gemm {

struct SpaceAxis {
  std::int64_t outputs = 0;  ///< the most of any phase
  std::int64_t low = 0;      ///< the lowest coordinate that a tap of position 0 reads, in any phase
  std::int64_t high = 0;     ///< the highest coordinate that a tap of any position reads
  std::int64_t step = 1;     ///< between positions that are neighbours in the slab
  std::int64_t reach = 0;    ///< places that a tap may lie behind its position's
  std::vector<std::int64_t> remainders;  ///< of (coordinate - low) modulo step, ascending

  /// Where a tap lies that reads `distance` from low at position 0.
  struct Place {
    std::int64_t remainder, index;
  };
  Place place(std::int64_t distance) const;
};

struct SpacePlan {
  const char* refusal = nullptr;
  double lanes = 0;  ///< of tiles whose lanes are columns, which would take as long
  SpaceAxis depth, height, width;
  std::int64_t shared = 1;                         ///< rows of outputs in a lane row
  std::int64_t planes = 1, rows = 1, columns = 1;  ///< of a task: planes (n, depth), lane rows, columns
  std::int64_t pitch = 0, plane_rows = 0, area = 0, channel_pitch = 0, depth_pitch = 0;
  std::int64_t all_planes = 0, plane_units = 0, row_units = 0, column_units = 0;
  std::int64_t number = 0;  ///< which one of this thread's it is, by last_plan_over_space

  std::int64_t units() const { return plane_units * row_units * column_units; }
  /// From the first position of a task to behind its last one, of so many planes, lane rows and columns.
  std::int64_t positions(std::int64_t some_planes, std::int64_t some_rows, std::int64_t some_columns) const {
    return ((some_planes - 1) * plane_rows + some_rows - 1) * pitch + some_columns;
  }
  /// Of a tap, from its position.
  std::int64_t offset(std::int64_t from_depth, std::int64_t from_height, std::int64_t from_width) const;
};

/// `size`: bytes of the type computed in; `threads`: that tasks should suffice for.
SpacePlan plan_over_space(const Pass& pass, std::span<const PassAxes> phases, std::int64_t size,
                          std::int64_t threads);
/// The same, kept for this thread until it asks for another (of one thread, of several): who asks whether to
/// run asks again to run, and a layer asks again with the next sample.
const SpacePlan& last_plan_over_space(const Pass& pass, std::span<const PassAxes> phases, std::int64_t size,
                                      std::int64_t threads);

}  // namespace isobit::cpu::gemm
