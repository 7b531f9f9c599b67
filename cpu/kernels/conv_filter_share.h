// How conv_backward_filter shares the filters out to its tiles. Lanes that are filters waste most of a vector
// that holds one to four of them; where there are enough input channels, those are the lanes of tiles turned
// round (gemm_tile.h).
#pragma once
#include <algorithm>
#include <array>
#include <cstdint>

#include "core/geometry.h"
#include "cpu/kernels/conv_filter_ahead.h"
#include "cpu/kernels/gemm_panels.h"
#include "cpu/kernels/gemm_tile.h"

namespace isobit::cpu::kernels {

/// What the lanes of a tile are. Depthwise, a filter and its channel are one.
enum class FilterLanes { filters, depthwise, channels };

/// Filters [first, first + count) of every group; with lanes that are channels one to four, of one group.
struct FilterShare {
  FilterLanes lanes;
  std::int64_t first, count;
};

/// What a task owns of dw: groups, rows, panels.
struct FilterPart {
  std::int64_t group_begin, group_end, row_begin, row_end, panel_begin, panel_end;
};

/// Of `groups`, how many a task takes: small ones are neighbours in a cache line of x and of dy.
inline std::int64_t groups_together(const ConvGeometry& g, std::int64_t groups, std::int64_t threads) {
  constexpr std::int64_t kChannels = 64;
  const std::int64_t count =
      std::clamp<std::int64_t>(kChannels / std::max(g.c_per_group(), g.k_per_group()), 1, groups);
  return threads == 1 ? count : std::clamp<std::int64_t>(groups / (2 * threads), 1, count);
}

constexpr std::int64_t kChunkElements = 128 << 10;  ///< of dw, a task

/// Columns of a task: of few rows more, for every chunk of columns reads all of x.
inline std::int64_t chunk_columns(std::int64_t rows) {
  constexpr std::int64_t kLeast = 128, kMost = 256;
  return std::clamp(kChunkElements / std::max<std::int64_t>(rows, 1), kLeast, kMost);
}

/// As few more row chunks than `chunks`, of at most `most`, as keep all threads busy to the end: every task
/// copies its part of x and dy anew. `others`: tasks of a row chunk.
inline std::int64_t busy_row_chunks(std::int64_t chunks, std::int64_t most, std::int64_t others,
                                    std::int64_t threads) {
  const auto busy = [&](std::int64_t tasks) {
    const std::int64_t turns = (tasks + threads - 1) / threads;
    return static_cast<double>(tasks) / static_cast<double>(turns * threads);
  };
  std::int64_t best = chunks;
  for (std::int64_t count = chunks + 1; count <= std::min(most, chunks + threads); ++count)
    if (busy(others * count) > busy(others * best) + 0.05) best = count;
  return best;
}

/// What it works in.
template <class T>
struct FilterWork {
  FilterPart part;
  std::int64_t columns;  ///< of a row of the buffers, whole vectors
  const T* const* rows;
  T* dy;
  gemm::Run* runs;
  std::int64_t* block_runs;
  std::int64_t first_tap, lists, list_size;
  std::int64_t step;  ///< blocks that a tile goes through at a time
  T* levels;          ///< of leaves that go together, or null
  T* buffers;         ///< of every group: the leaf's total, then the levels of the tree
  std::int64_t buffer_size, buffers_of_group, dy_of_group;
  std::array<std::int64_t, 5> planned{-1};  ///< what the lists hold: leaf, begin, end, plane, row
  gemm::Panel<T>* panels;
  bool pack_dy;
  FilterAhead<T>* ahead;
};

/// The panels of tiles turned round: `columns` channels by `filters`.
template <class T>
void lay_out_turned(const gemm::TileSet<T>& tiles, std::int64_t columns, std::int64_t filters,
                    gemm::Panel<T>* panels) {
  for (std::int64_t column = 0; column < columns; column += tiles.lanes, ++panels) {
    panels->column = column;
    panels->columns = std::min(tiles.lanes, columns - column);
    panels->vectors = static_cast<int>(filters);
  }
}

/// A tile's sums [tap][filter][lane] to dw, where the tap's channel 0 of the panel and first filter is `to`.
template <class T>
void store_turned(const T* sums, std::int64_t lanes, std::int64_t taps, const gemm::Panel<T>& panel,
                  std::int64_t filters, T* to, std::int64_t tap_pitch) {
  for (std::int64_t tap = 0; tap < taps; ++tap, to += tap_pitch)
    for (std::int64_t j = 0; j < panel.vectors; ++j, sums += lanes)
      for (std::int64_t c = 0; c < panel.columns; ++c) to[c * filters + j] = sums[c];
}

constexpr std::int64_t kMostTurned = 4;  ///< filters of a share
constexpr std::int64_t turned_shares(std::int64_t filters) {
  return (filters + kMostTurned - 1) / kMostTurned;
}

/// How many of the last filters of the only group, if any, tiles turned round should take, in shares of at
/// most four. As measured: a lane of half a vector costs more than one of a whole one, and each share reads x
/// for itself.
template <class T>
std::int64_t turned_filters(const ConvGeometry& g) {
  constexpr double kSerialWork = 1 << 19;  ///< multiply-adds that are not worth two shares
  constexpr double kHalfVector = 1.35, kShare = 0.85, kWorth = 0.95;
  constexpr std::int64_t kHalf = 32 / std::int64_t{sizeof(T)};
  const double channels = static_cast<double>(g.c);
  if (g.groups != 1 || g.c == 0) return 0;
  if (static_cast<double>(g.n * g.positions()) * static_cast<double>(g.terms() * g.k) < kSerialWork) return 0;
  const auto round_up = [](std::int64_t count, std::int64_t lanes) {
    const std::int64_t whole = (count + lanes - 1) / lanes * lanes;
    return static_cast<double>(whole);
  };
  const auto lanes_of_tiles = [&](std::int64_t columns) {
    if (columns == 0) return 0.0;
    return round_up(columns, gemm::tiles<T>(columns).lanes) * (columns <= kHalf ? kHalfVector : 1);
  };
  const double waste = round_up(g.c, gemm::turned_tiles<T>(1).lanes) / channels;
  std::int64_t best = 0;
  double least = kWorth * lanes_of_tiles(g.k);
  for (std::int64_t count = 1; count <= std::min(3 * kMostTurned, g.k); ++count) {
    const double turned = static_cast<double>(count) + kShare * static_cast<double>(turned_shares(count));
    const double cost = lanes_of_tiles(g.k - count) + waste * turned;
    if (cost >= least) continue;
    best = count;
    least = cost;
  }
  return best;
}

}  // namespace isobit::cpu::kernels
