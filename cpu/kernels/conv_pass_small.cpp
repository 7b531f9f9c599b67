// A pass (conv_pass.h) of so little work that planning it would take as long as computing it: one thread, no
// tasks, no classes of borders, every tile through all its blocks at once. Loops, outermost first: group,
// panel of up to two vectors of filters, tile of positions.
//
// Where taps leave the source, or it is f16 or bf16, all of it is copied once into a box with its border. The
// filter is read as it lies wherever its terms follow each other: a partial vector of columns then reads the
// beginning of the next term, in lanes that are never stored, and for the sake of the last term the filter is
// copied, with a vector of zeros behind it.
//
// No twin: what it saves is the plan of a pass (conv_pass.cpp), and the GPU's kernels have none.
#include <algorithm>
#include <array>
#include <optional>

#include "core/numerics/order.h"
#include "cpu/kernels/conv_border.h"
#include "cpu/kernels/conv_pass.h"
#include "cpu/kernels/conv_runs.h"
#include "cpu/kernels/gemm_panels.h"
#include "cpu/runtime/scratch.h"

namespace isobit::cpu::gemm {
namespace {

constexpr double kFilter = 1 << 14;  // elements that stay in the first-level cache
constexpr std::size_t kMostBlocks = static_cast<std::size_t>(kFilter) / numerics::kBlock;

// What the rows of A point into: the source itself, or its copy.
struct Box {
  bool copied = false;
  std::array<std::int64_t, 3> origin{}, extent{};           ///< in the source's coordinates
  std::int64_t column = 0, row = 0, plane = 0, sample = 0;  ///< elements between neighbours

  Box(const Pass& pass, bool widened) : copied(widened) {
    for (const PassAxis& axis : pass.axis) copied = copied || axis.leaves();
    for (std::size_t i = 0; i < 3; ++i) {
      const PassAxis& axis = pass.axis[i];
      origin[i] = copied ? axis.lowest() : 0;
      extent[i] = copied ? axis.span(axis.outputs) : axis.source;
    }
    column = pass.depthwise ? pass.columns : pass.groups * pass.channels;
    row = extent[2] * column;
    plane = extent[1] * row;
    sample = extent[0] * plane;
  }
};

// The box of a source whose type is T, with the value of its border around it.
template <class T>
void copy_box(const Pass& pass, const Box& box, T* to) {
  const T value = static_cast<T>(pass.border);
  const T* const source = pass.source.template as<T>();
  const auto inside = [&](std::size_t axis, std::int64_t i) {
    const std::int64_t at = box.origin[axis] + i;
    return 0 <= at && at < pass.axis[axis].source;
  };
  const std::int64_t left = std::clamp<std::int64_t>(-box.origin[2], 0, box.extent[2]);
  const std::int64_t right =
      std::clamp<std::int64_t>(pass.axis[2].source - box.origin[2], left, box.extent[2]);
  const std::int64_t before = left * box.column, inner = (right - left) * box.column,
                     behind = (box.extent[2] - right) * box.column;
  for (std::int64_t n = 0; n < pass.n; ++n)
    for (std::int64_t d = 0; d < box.extent[0]; ++d) {
      const std::int64_t plane =
          ((n * pass.axis[0].source + box.origin[0] + d) * pass.axis[1].source + box.origin[1]) *
          pass.axis[2].source;
      for (std::int64_t h = 0; h < box.extent[1]; ++h, to += box.row) {
        if (inner == 0 || !inside(0, d) || !inside(1, h)) {
          fill_few(value, to, box.row);
          continue;
        }
        fill_few(value, to, before);
        copy_few(source + (plane + h * pass.axis[2].source + box.origin[2] + left) * box.column, to + before,
                 inner);
        fill_few(value, to + before + inner, behind);
      }
    }
}

template <class T>
void fill_box(const Pass& pass, const Box& box, T* to) {
  bool plain = size_of(pass.source.dtype) == sizeof(T);
  for (const PassAxis& axis : pass.axis) plain = plain && axis.mode == PadMode::constant;
  if (plain) return copy_box(pass, box, to);
  const Bordered<T> source = bordered<T>(pass, box.column);
  for (std::int64_t n = 0; n < pass.n; ++n)
    for (std::int64_t i = 0; i < box.extent[0]; ++i, to += box.plane)
      source.widen_plane(n, box.origin[0] + i, box.origin[1], box.extent[1], box.origin[2], box.extent[2],
                         to);
}

// B as [groups][terms][width].
template <class T>
void pack_filters(const Pass& pass, std::int64_t width, T* to) {
  const PassAxis &depth = pass.axis[0], &height = pass.axis[1], &column = pass.axis[2];
  for (std::int64_t group = 0; group < pass.groups; ++group)
    for (std::int64_t t = 0; t < depth.taps; ++t)
      for (std::int64_t r = 0; r < height.taps; ++r)
        for (std::int64_t s = 0; s < column.taps; ++s, to += pass.channels * width) {
          const std::int64_t tap = ((depth.filter_first + t * depth.filter_step) * height.filter +
                                    height.filter_first + r * height.filter_step) *
                                       column.filter +
                                   column.filter_first + s * column.filter_step;
          pack_panel(pass.filter.at(tap * pass.tap_stride + group * pass.group_stride), pass.channel_stride,
                     pass.column_stride, pass.channels, pass.columns, width, to);
        }
}

// fn(i, n, o, p, place) for every row of positions: i counts positions, place is that of the first one in the
// output.
template <class Fn>
void for_each_row(const Pass& pass, const Fn& fn) {
  const PassAxis depth = pass.axis[0], height = pass.axis[1], width = pass.axis[2];
  std::int64_t i = 0;
  for (std::int64_t n = 0; n < pass.n; ++n)
    for (std::int64_t o = 0; o < depth.outputs; ++o)
      for (std::int64_t p = 0; p < height.outputs; ++p, i += width.outputs) {
        const std::int64_t d = n * depth.place + depth.place_first + o * depth.place_step;
        const std::int64_t h = d * height.place + height.place_first + p * height.place_step;
        fn(i, n, o, p, h * width.place + width.place_first);
      }
}

}  // namespace

template <class T>
void run_small_pass(const Pass& pass) {
  const PassAxis depth = pass.axis[0], height = pass.axis[1], width = pass.axis[2];
  const TileSet<T>& tiles = pass.depthwise ? depthwise_tiles<T>() : gemm::tiles<T>(pass.columns);
  const std::int64_t taps = depth.taps * height.taps * width.taps, terms = taps * pass.channels;
  const std::int64_t out_channels = pass.groups * pass.columns;
  const bool half = size_of(pass.dtype) != sizeof(T);

  const Box box(pass, size_of(pass.source.dtype) != sizeof(T));
  const Scratch<T> copy(box.copied ? pass.n * box.sample : 0);
  if (box.copied) fill_box(pass, box, copy.data());
  const T* const source = box.copied ? copy.data() : pass.source.template as<T>();

  bool in_order = pass.column_stride == 1 && pass.tap_stride == pass.channels * pass.channel_stride;
  for (const PassAxis& axis : pass.axis)
    in_order = in_order && axis.taps == axis.filter && axis.filter_first == 0;
  const std::int64_t whole_vectors = packed_columns(tiles, pass.columns);
  const bool in_place = in_order && pass.columns == whole_vectors && size_of(pass.filter.dtype) == sizeof(T);
  const std::int64_t ldb = in_order ? pass.channel_stride : whole_vectors;
  const std::int64_t group_stride = in_order ? pass.group_stride : terms * ldb;
  const std::int64_t size = in_order ? terms * ldb : pass.groups * group_stride;
  std::optional<Scratch<T>> packed;
  if (!in_place) packed.emplace(size + tiles.lanes);
  const T* const b = in_place ? pass.filter.template as<T>() : packed->data();
  if (!in_order) {
    pack_filters(pass, ldb, packed->data());
  } else if (!in_place) {
    widen(pass.filter, packed->data(), size);
    std::fill_n(packed->data() + size, tiles.lanes, T(0));
  }

  const std::int64_t blocks = std::max<std::int64_t>(1, numerics::block_count(terms));
  const Scratch<Run> runs(taps + blocks);
  std::array<std::int64_t, kMostBlocks + 1> block_runs;
  plan_runs(pass, {depth.tap_step * box.plane, box.row, box.column}, {0, 0, 0, height.taps},
            {0, 0, 0, width.taps}, 0, runs.data(), block_runs.data());

  const std::int64_t positions = pass.n * depth.outputs * height.outputs * width.outputs;
  const Scratch<const T*> rows(positions);
  const Scratch<T*> outs(positions);
  const T* const first = source + (depth.tap_first - box.origin[0]) * box.plane +
                         (height.tap_first - box.origin[1]) * box.row +
                         (width.tap_first - box.origin[2]) * box.column;
  std::optional<Scratch<T>> halves;  // the sums of f16 and bf16, and their bias
  if (half) halves.emplace((positions + 1) * out_channels);
  T* const sums = half ? halves->data() : nullptr;
  for_each_row(pass, [&](std::int64_t i, std::int64_t n, std::int64_t o, std::int64_t p, std::int64_t place) {
    const T* row = first + n * box.sample + o * depth.step * box.plane + p * height.step * box.row;
    T* out = half ? sums + i * out_channels : static_cast<T*>(pass.out) + place * out_channels;
    const std::int64_t row_step = width.step * box.column;
    const std::int64_t out_step = half ? out_channels : width.place_step * out_channels;
    const T** const to_rows = rows.data() + i;
    T** const to_outs = outs.data() + i;
    for (std::int64_t q = 0; q < width.outputs; ++q) {
      to_rows[q] = row + q * row_step;
      to_outs[q] = out + q * out_step;
    }
  });

  const T* bias = pass.bias.template as<T>();
  if (bias != nullptr && half) {
    T* const widened = sums + positions * out_channels;
    widen(pass.bias, widened, out_channels);
    bias = widened;
  }

  Tile<T> tile;
  tile.runs = runs.data();
  tile.block_runs = block_runs.data();
  tile.blocks = blocks;
  tile.ldb = ldb;
  tile.relu = pass.relu;
  for (std::int64_t group = 0; group < pass.groups; ++group)
    for (std::int64_t column = 0; column < pass.columns; column += tiles.width()) {
      tile.b = b + group * group_stride + column;
      tile.columns = std::min(tiles.width(), pass.columns - column);
      tile.out_shift = group * pass.columns + column;
      tile.shift = pass.depthwise ? column : group * pass.channels;
      tile.bias = bias != nullptr ? bias + tile.out_shift : nullptr;
      const std::int64_t vectors = tile.columns > tiles.lanes ? tiles.vectors : 1;
      for (std::int64_t i = 0; i < positions;) {
        const std::int64_t tall = tiles.height(positions - i);
        tile.rows = rows.data() + i;
        tile.out = outs.data() + i;
        tiles.kernel[tall - 1][vectors - 1](tile);
        i += tall;
      }
    }

  if (!half) return;
  const std::int64_t neighbours =
      width.place_step == 1 ? width.outputs : 1;  // that lie together in the output
  for_each_row(pass, [&](std::int64_t i, std::int64_t, std::int64_t, std::int64_t, std::int64_t place) {
    for (std::int64_t q = 0; q < width.outputs; q += neighbours)
      narrow(
          sums + (i + q) * out_channels,
          static_cast<char*>(pass.out) + (place + q * width.place_step) * out_channels * size_of(pass.dtype),
          pass.dtype, neighbours * out_channels);
  });
}
template void run_small_pass<float>(const Pass&);
template void run_small_pass<double>(const Pass&);

const char* refuse_small(double positions, double filter, double source) {
  constexpr double kWork = 1 << 19;  // multiply-adds; from here on threads share a pass
  constexpr double kSource = 1 << 15;
  if (positions * filter == 0) return "nothing to compute";
  if (positions * filter >= kWork) return "so much work is worth a plan";
  if (filter > kFilter) return "so large a filter is read block by block";
  if (source > kSource) return "so large a source is read part by part";
  return nullptr;
}

}  // namespace isobit::cpu::gemm
