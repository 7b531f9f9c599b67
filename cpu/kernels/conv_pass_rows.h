// How a pass goes through tiles of few terms that lie in rows of its output (gemm_row_tile.h).
#pragma once
#include <algorithm>
#include <cstdint>
#include <span>

#include "cpu/kernels/conv_pass.h"
#include "cpu/kernels/conv_pass_slab.h"
#include "cpu/kernels/conv_pass_split.h"
#include "cpu/kernels/gemm_panels.h"
#include "cpu/kernels/gemm_row_tile.h"

namespace isobit::cpu::gemm {

/// Null where the positions of a pass of few terms do not lie in rows that are whole tiles, or where tiles
/// should ask for what comes next: pixels of one tap, large filters.
template <class T>
const RowTileSet<T>* row_tiles_for(const Pass& pass) {
  constexpr std::int64_t kMostColumns = 256;
  std::int64_t taps = 1;
  for (const PassAxis& axis : pass.axis) taps *= axis.taps;
  const bool fit = pass.groups == 1 && pass.columns <= kMostColumns && taps > 1;
  return fit && RowTileSet<T>::tiles_of(pass.axis[2].outputs) > 0 ? row_tiles<T>(pass.columns) : nullptr;
}

/// All positions of a unit. `base`: slab.base(); `tiles`: terms, stream and, if any, the bias of column 0.
/// One panel goes through all rows; several share the source in the first-level cache, some tiles at a time.
template <class T>
void run_row_tiles(const Pass& pass, const PassSlab<T>& slab, const Unit& u, const T* base,
                   const RowTileSet<T>& set, std::span<const Panel<T>> panels, RowTiles<T> tiles) {
  constexpr std::int64_t kTogether = 8;
  const PassAxis &depth = pass.axis[0], &height = pass.axis[1], &width = pass.axis[2];
  const std::int64_t pitch = pass.pitch(), all = std::max<std::int64_t>(1, set.tiles_of(width.outputs));
  const std::int64_t least = width.outputs / all,
                     taller = width.outputs % all;  // how many tiles of a row, the first ones, have one more
  const std::int64_t rows = panels.size() == 1 ? u.rows : 1, together = panels.size() == 1 ? all : kTogether;
  const T* const bias = tiles.bias;
  tiles.relu = pass.relu;
  T* const out = static_cast<T*>(pass.out);
  tiles.source_step = width.step * slab.pixel();
  tiles.source_pitch = height.step * slab.row_pitch();
  tiles.out_step = width.place_step * pitch;
  tiles.out_pitch = height.place_step * width.place * pitch;
  for (std::int64_t plane = u.plane; plane < u.plane + u.planes; ++plane) {
    const std::int64_t sample = plane / depth.outputs, o = plane % depth.outputs;
    const std::int64_t d = sample * depth.place + depth.place_first + o * depth.place_step;
    for (std::int64_t p = u.row; p < u.row + u.rows; p += rows) {
      const std::int64_t h = d * height.place + height.place_first + p * height.place_step;
      const T* source = base + slab.first_tap(u, plane, p);
      T* to = out + (h * width.place + width.place_first) * pitch;
      tiles.rows = rows;
      for (std::int64_t tile = 0; tile < all; tile += tiles.count) {
        const std::int64_t tall = tile < taller ? least + 1 : least;
        tiles.count = std::min(together, (tile < taller ? taller : all) - tile);
        tiles.source = source;
        for (const Panel<T>& panel : panels) {
          tiles.out = to + panel.column;
          tiles.b = panel.b;
          tiles.ldb = panel.ldb;
          tiles.columns = panel.columns;
          tiles.bias = bias != nullptr ? bias + panel.column : nullptr;
          set.kernel[tall - set.kLeast][panel.vectors - 1](tiles);
        }
        source += tiles.count * tall * tiles.source_step;
        to += tiles.count * tall * tiles.out_step;
      }
    }
  }
}

}  // namespace isobit::cpu::gemm
