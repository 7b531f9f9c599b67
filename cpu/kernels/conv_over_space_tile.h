// The register tile of conv_over_space: some vectors of consecutive positions by one to twelve columns; with
// one or two columns those of several rows of outputs, which share what they load. For each term a vector of
// the source is loaded and multiplied by one number of the filter for each column: every lane is an element
// of its own, acc = fma(source, filter, acc) from +0 over the terms of a block (at most 256), the blocks'
// sums added in order, the first one taken as it is.
#pragma once
#include <cstdint>

namespace isobit::cpu::gemm {

/// Rows of outputs that a tile may have.
constexpr int kMostSharedRows = 4;

/// Consecutive terms of the same block, `step` apart in the source: those of rows [row, row + rows) of the
/// tile.
struct SpaceRun {
  std::int64_t offset, length;
  std::int64_t filter[kMostSharedRows];  ///< where the numbers [length][columns] of row + i begin, i < rows
  int row, rows;
  int ends;   ///< bit j: a block of row j ends behind them
  int first;  ///< bit j: it is the first of all
};

template <class T>
struct SpaceTile {
  const T* source;    ///< position 0 of the tile; runs' offsets start here
  std::int64_t step;  ///< between terms
  const SpaceRun* runs;
  std::int64_t run_count;
  const T* filter;  ///< where runs' filters start
  T* sums;          ///< row j, column c, position i at (j * columns + c) * sums_pitch + i
  std::int64_t sums_pitch;
  /// Memory that will be read soon: a line for each term is brought nearer, `ahead_step` bytes (0 or a line)
  /// apart.
  const char* ahead;
  std::int64_t ahead_step;
};

template <class T>
struct SpaceTiles {
  static constexpr std::int64_t kMost = 12;
  std::int64_t lanes, most;                    ///< vectors of a tile
  void (*kernel[kMost])(const SpaceTile<T>&);  ///< [vectors - 1]

  /// Vectors of the next tile when `left` (>= 1) are left: the last two share them evenly.
  std::int64_t vectors(std::int64_t left) const {
    if (left >= 2 * most) return most;
    return left <= most ? left : (left + 1) / 2;
  }
};

/// How many rows a tile of so many columns should have.
inline std::int64_t shared_rows(std::int64_t columns) {
  return columns > 2 ? 1 : 4 / columns;
}

/// The tiles of the current instruction set, of shared_rows(columns) rows or of one.
template <class T>
const SpaceTiles<T>& space_tiles(std::int64_t columns, bool several_rows);

}  // namespace isobit::cpu::gemm
