// The register tile under every matrix product of the CPU device: convolutions in all three directions and
// matmul differ only in where the rows of A lie, which panels of B they meet, and what follows the sum.
//
// A tile is up to 10 rows by 1 or 2 vectors of columns. It owns some consecutive blocks (of at most 256
// terms) of the blocked chain of each of its elements. A block: acc = +0; for every term in order: acc =
// fma(a[row][term], b[term][column], acc). All lanes are different elements, so neither the vector width nor
// the height of a tile can change a bit. A row is a pointer of its own: pixels of an image need no common
// stride, and a tile may cross the ends of rows and samples. The terms come as runs, offsets that all rows
// share (one run is, for example, the filter row (s, c) of one r), each `step` elements apart.
//
// The blocks' sums are added left to right; where blocks came before, to their total: `initial`, or what lies
// in out
// (`accumulate`).
// With `levels` every block is a leaf of a batch tree instead, block i leaf i, and the tree is a binary
// counter in that memory (tile order, a tile a level): a leaf is added to the levels of its trailing ones,
// the last leaf to all that hold something, low to high. Then, source after source, v = source + v; then v +
// bias; then relu (v < 0 ? 0 : v). Sources are partial sums kept in tile order, like `initial`: row i, vector
// j at (i * vectors + j) * lanes.
#pragma once
#include <cstdint>

namespace isobit::cpu::gemm {

/// Consecutive terms: A's elements at row + offset + i * step, i in [0, length). `skipped` terms before them
/// are left out: they would add fma(+0, b, sum), which changes no sum but -0 when b is finite.
struct Run {
  std::int64_t offset, length, skipped = 0;
};

/// Lines that tiles ask for while they multiply: `lines` of them behind each of some pointers. The cursor
/// moves on from tile to tile.
template <class T>
struct Fetch {
  const T* const* rows = nullptr;
  std::int64_t count = 0, lines = 0;
  std::int64_t shift = 0;  ///< elements, added to every pointer
  std::int64_t row = 0, line = 0;
};

template <class T>
struct Tile {
  const T* const* rows;    ///< of A, one pointer a row of the tile
  std::int64_t shift = 0;  ///< added to every run's offset (the group's first channel)
  std::int64_t step = 1;   ///< between the terms of a run
  const Run* runs;
  const std::int64_t* block_runs;  ///< block i has the runs [block_runs[i], block_runs[i + 1])
  std::int64_t blocks = 1;
  std::int64_t block_terms = 256;  ///< from one block's first term to the next one's
  const T* b;                      ///< [terms][ldb], whole vectors are read: `vectors` of them a term
  std::int64_t ldb;
  T* const* out;  ///< one pointer a row
  std::int64_t out_shift = 0;
  std::int64_t columns;       ///< columns stored, the last vector may be partial
  std::int64_t readable = 0;  ///< lanes of A that exist, where fewer than are stored; 0: as many
  bool accumulate = false;
  bool skips = false;  ///< runs leave terms out: a block's sum of -0 makes the tile give up
  const T* initial = nullptr;
  T* levels = nullptr;  ///< one tile for every bit of blocks - 1
  bool relu = false;
  bool stream = false;      ///< whole panels go to memory past the caches; out and its panels on whole lines
  const T* bias = nullptr;  ///< of the first column; `columns` of them
  const T* const* sources = nullptr;
  std::int64_t source_count = 0;
  Fetch<T>* fetch = nullptr;  ///< what comes after this tile, or null
};

/// The tiles of one vector width.
template <class T>
struct TileSet {
  static constexpr std::int64_t kMaxHeight = 10;
  std::int64_t lanes, vectors;  ///< a full panel of B is vectors * lanes wide
  std::int64_t tallest;
  /// [rows - 1][vectors - 1]. False: gave up, nothing was stored.
  bool (*kernel[kMaxHeight][2])(const Tile<T>&);

  std::int64_t width() const { return lanes * vectors; }
  /// Vectors of the panel that starts at `column` of `columns`.
  std::int64_t vectors_at(std::int64_t column, std::int64_t columns) const {
    const std::int64_t left = (columns - column + lanes - 1) / lanes;
    return left < vectors ? left : vectors;
  }
  /// Rows of the next tile when `rows` (>= 1) are left: the last tiles share them evenly.
  std::int64_t height(std::int64_t rows) const {
    if (rows >= 2 * tallest) return tallest;
    return rows <= tallest ? rows : (rows + 1) / 2;
  }
};

/// The set of the current instruction set for matrices of `columns` columns. T is float or double.
template <class T>
const TileSet<T>& tiles(std::int64_t columns);

/// The set whose columns each have a source of their own: column j of a row lies j elements behind the row's
/// pointer.
template <class T>
const TileSet<T>& depthwise_tiles();

/// The set for B of one to four columns, turned round: the lanes are neighbours in A. A row is a vector, lane
/// l lying l elements behind the row's pointer, and meets the numbers of B, b[j] of a term, each for a vector
/// of sums of its own: `vectors` is the number of columns, in whichever kernel of a height.
template <class T>
const TileSet<T>& turned_tiles(std::int64_t columns);

}  // namespace isobit::cpu::gemm
