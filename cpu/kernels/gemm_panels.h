// B as the register tiles read it: panels of `TileSet::width` columns, terms down. A panel lies either where
// the operand itself lies (HWIO filters are [terms][columns] already) or packed in scratch.
#pragma once
#include <algorithm>
#include <cstdint>

#include "cpu/kernels/gemm_pack.h"
#include "cpu/kernels/gemm_tile.h"
#include "cpu/runtime/scratch.h"

namespace isobit::cpu::gemm {

template <class T>
struct Panel {
  const T* b;
  std::int64_t ldb;
  std::int64_t column, columns;  ///< first column in its matrix, columns stored
  int vectors;
  bool packed;
  std::int64_t group = 0;  ///< counted from the first of those that are computed together
};

/// The panels of `columns` columns, without their memory.
template <class T>
void lay_out_panels(const TileSet<T>& tiles, std::int64_t columns, Panel<T>* panels) {
  for (std::int64_t column = 0; column < columns; column += tiles.width(), ++panels) {
    panels->column = column;
    panels->columns = std::min(tiles.width(), columns - column);
    panels->vectors = static_cast<int>(tiles.vectors_at(column, columns));
  }
}

template <class T>
std::int64_t panel_count(const TileSet<T>& tiles, std::int64_t columns) {
  return (columns + tiles.width() - 1) / tiles.width();
}

/// Elements of a packed copy of `columns` columns a term.
template <class T>
std::int64_t packed_columns(const TileSet<T>& tiles, std::int64_t columns) {
  return (columns + tiles.lanes - 1) / tiles.lanes * tiles.lanes;
}

}  // namespace isobit::cpu::gemm
