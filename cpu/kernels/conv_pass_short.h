// How a pass goes through tiles of few terms (gemm_short_tile.h): some of them, whose part of the source
// stays in the first-level cache, for one panel of the filter after the other.
#pragma once
#include <algorithm>
#include <cstdint>

#include "cpu/kernels/gemm_panels.h"
#include "cpu/kernels/gemm_short_tile.h"

namespace isobit::cpu::gemm {

/// How many tiles go together when `positions` (>= 1) are left: all of the same height, leaving at least that
/// many positions, as TileSet::height has it, or none.
template <class T>
std::int64_t short_tiles_together(const TileSet<T>& tiles, std::int64_t positions, std::int64_t terms) {
  constexpr std::int64_t kBytes = 20 << 10, kMost = 8;
  const std::int64_t height = tiles.height(positions), all = positions / height;
  const std::int64_t most =
      std::clamp<std::int64_t>(kBytes / (height * terms * std::int64_t{sizeof(T)} + 1), 1, kMost);
  if (positions % height == 0) return std::min(most, all);
  return positions < 2 * height ? 1 : std::min(most, all - 1);
}

/// All `positions`, rows and out being those of the first. `fresh`: lines of the source that a position reads
/// and that have not been read before, asked for a few tiles ahead; 0: none. `filter`: what is asked for
/// afterwards, or null. place(panel, &tiles) sets what depends on the panel: out_shift, shift, bias.
template <class T, class Panels, class Place>
void run_short_tiles(const TileSet<T>& heights, const ShortTileSet<T>& set, std::int64_t positions,
                     const Panels& panels, std::int64_t fresh, Fetch<T>* filter, ShortTiles<T> tiles,
                     const Place& place) {
  Fetch<T> source;
  source.lines = fresh;
  source.shift = fresh > 0 ? tiles.terms[0] : 0;
  while (positions > 0) {
    const std::int64_t height = heights.height(positions);
    tiles.count = short_tiles_together(heights, positions, tiles.term_count);
    const std::int64_t rows = tiles.count * height;
    positions -= rows;
    source.row = source.line = 0;
    source.rows = tiles.rows + rows;
    source.count = fresh > 0 ? std::min(rows, positions) : 0;
    for (const Panel<T>& panel : panels) {
      tiles.fetch = source.row < source.count ? &source : filter;
      tiles.b = panel.b;
      tiles.ldb = panel.ldb;
      tiles.columns = panel.columns;
      place(panel, &tiles);
      set.kernel[height - 1][panel.vectors - 1](tiles);
    }
    tiles.rows += rows;
    tiles.out += rows;
  }
}

}  // namespace isobit::cpu::gemm
