// Register tiles (gemm_tile.h) of few terms: at most one block. Where a tile multiplies for a few hundred
// cycles, calling it, walking through its runs and ending it as all the others do would take a quarter of
// them. So one call computes several tiles of the same height, one after the other, and terms are a plain
// list of offsets, one loop.
//
// acc = +0; for every term in order: acc = fma(a[row][term], b[term][column], acc); then acc + bias; then
// relu (v < 0 ? 0 : v). It is what a Tile of one block computes.
#pragma once
#include <cstdint>

#include "cpu/kernels/gemm_tile.h"

namespace isobit::cpu::gemm {

template <class T>
struct ShortTiles {
  const T* const* rows;  ///< of A, one pointer a row; tile after tile
  T* const* out;         ///< likewise
  std::int64_t count = 1;
  std::int64_t shift = 0;     ///< added to every row's pointer
  const std::int64_t* terms;  ///< elements of A behind a row's pointer
  std::int64_t term_count;
  const T* b;  ///< [terms][ldb], whole vectors are read
  std::int64_t ldb;
  std::int64_t out_shift = 0;
  std::int64_t columns;  ///< columns stored, the last vector may be partial
  bool relu = false;
  bool stream = false;      ///< as in Tile
  const T* bias = nullptr;  ///< of the first column
  Fetch<T>* fetch = nullptr;
};

/// The heights and vectors of tiles<T>(columns).
template <class T>
struct ShortTileSet {
  void (*kernel[TileSet<T>::kMaxHeight][2])(const ShortTiles<T>&);
};
template <class T>
const ShortTileSet<T>& short_tiles(std::int64_t columns);

}  // namespace isobit::cpu::gemm
