// Register tiles of few terms (gemm_short_tile.h) whose positions are neighbours in a row of the output: even
// distances apart in A and in what they store. Then a tile needs one address of each instead of one a
// position, and is limited by its registers alone: with AVX-512 14 positions by 2 vectors, 28 of the 32. One
// call goes through the tiles of several rows.
//
// acc = +0; for every term in order: acc = fma(a[position][term], b[term][column], acc); then acc + bias;
// then relu (v < 0 ? 0 : v). It is what a ShortTile computes.
#pragma once
#include <cstdint>

#include "cpu/kernels/gemm_tile.h"

namespace isobit::cpu::gemm {

template <class T>
struct RowTiles {
  const T* source = nullptr;      ///< of the first position of the first tile
  T* out = nullptr;               ///< likewise, the panel's first column
  std::int64_t count = 1;         ///< tiles of a row
  std::int64_t rows = 1;          ///< of the output
  std::int64_t source_step = 0;   ///< elements between neighbouring positions
  std::int64_t source_pitch = 0;  ///< and between rows
  std::int64_t out_step = 0, out_pitch = 0;
  const std::int64_t* terms = nullptr;  ///< elements of A behind a position's address
  std::int64_t term_count = 0;
  const T* b = nullptr;  ///< [terms][ldb], whole vectors are read
  std::int64_t ldb = 0;
  std::int64_t columns = 0;  ///< columns stored, the last vector may be partial
  bool relu = false;
  bool stream = false;      ///< as in Tile
  const T* bias = nullptr;  ///< of the first column
};

/// Panels are as wide as those of tiles<T>(columns).
template <class T>
struct RowTileSet {
  static constexpr std::int64_t kLeast = 10, kMost = 14;  ///< positions of a tile
  void (*kernel[kMost - kLeast + 1][2])(const RowTiles<T>&);

  /// Tiles for a row of so many positions, which share them evenly; 0: they would be shorter than the least.
  static std::int64_t tiles_of(std::int64_t positions) {
    const std::int64_t count = (positions + kMost - 1) / kMost;
    return count * kLeast <= positions ? count : 0;
  }
};
/// Null where the instruction set has too few registers for them to be worth it, or a half vector is enough.
template <class T>
const RowTileSet<T>* row_tiles(std::int64_t columns);

}  // namespace isobit::cpu::gemm
