// conv_backward_filter as an implicit GEMM: rows are the filter's (t, r, s, c), terms the output positions
// (n, o, p, q), columns the filters k. A row is a pointer to x at its own tap and channel; the terms are runs
// along q, stride * channels elements apart, that all rows share; dy is the matrix B as it lies.
//
// Order: a leaf of the batch tree is leaf_samples(positions) samples; in a leaf the blocked chain over (n, o,
// p, q), its running total in a buffer of the task. The tree is a binary counter: when leaf i is done it is
// added to the sums of levels 0, 1, ... for the trailing ones of i and stored at the next level; the last
// leaf is added to all levels that hold something, low to high, and goes to dw. All of it happens as the last
// block of a leaf leaves the registers, so that a leaf costs about one load and one store. Where a leaf is
// one block, a power of two of leaves goes together (FilterSlab): they are the blocks of one tile, which
// joins them by the same tree, and then count as one leaf; so they are called below.
//
// A task owns a range of rows and columns of dw, of one group or of some small ones, and walks all samples;
// buffers are in tile order. Loops: leaf, segment (blocks whose part of x fits a slab of about 256 KB, copied
// there with its border of zeros where taps leave the input, x is f16 or bf16 or groups are small), group,
// block of 256 positions, tile of up to 10 rows, panel of filters.
#include "cpu/kernels/conv_backward_filter.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "core/numerics/order.h"
#include "cpu/kernels/conv_filter_ahead.h"
#include "cpu/kernels/conv_filter_share.h"
#include "cpu/kernels/conv_filter_slab.h"
#include "cpu/kernels/conv_forward.h"
#include "cpu/kernels/gemm_panels.h"
#include "cpu/runtime/thread_pool.h"

namespace isobit::cpu::kernels {
namespace {

using gemm::Panel;
using gemm::Run;
using gemm::Source;
using gemm::Tile;
using gemm::TileSet;

constexpr std::int64_t kSkipChannels = 8;
constexpr std::int64_t kPackedRows = 100;  ///< of a task: from here on packing dy pays
constexpr double kSerialWork = 1 << 19;    ///< multiply-adds that are not worth waking a thread

std::int64_t divide_up(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

template <class T>
class FilterGradient {
 public:
  FilterGradient(const ConvGeometry& g, ConstView x, ConstView dy, T* dw, const FilterShare& share)
      : g_(g),
        x_{x.data, x.dtype},
        dy_{dy.data, dy.dtype},
        dw_(dw),
        share_(share),
        depthwise_(share.lanes == FilterLanes::depthwise),
        turned_(share.lanes == FilterLanes::channels),
        groups_(depthwise_ ? 1 : g.groups),
        columns_(turned_ ? g.c : share.count),
        depth_(turned_ ? share.count : 1),
        channels_(turned_ ? 1 : g.c_per_group()),
        tiles_(depthwise_ ? gemm::depthwise_tiles<T>()
               : turned_  ? gemm::turned_tiles<T>(share.count)
                          : gemm::tiles<T>(columns_)),
        panel_columns_(turned_ ? tiles_.lanes : tiles_.width()),
        rows_(turned_ ? g.terms() / g.c : g.terms()),
        positions_(g.positions()),
        panels_(divide_up(columns_, panel_columns_)),
        task_groups_(groups_together(g, groups_, work() < kSerialWork ? 1 : thread_count())),
        group_tasks_(divide_up(groups_, task_groups_)),
        slab_(g, x_, task_groups_, depthwise_ ? g.c : g.c_per_group(),
              turned_ || (!depthwise_ && rows_ >= kPackedRows),
              depthwise_ || g.groups > 1 ? 0 : std::min(share.count, chunk_columns(rows_))),
        leaves_(divide_up(g.n, slab_.leaf_samples())) {
    plan_tasks();
    skips_ = worth_skipping() && gemm::all_finite(dy_, g.y_size());
  }

  void run() const {
    parallel_for(group_tasks_ * row_chunks_ * column_chunks_, [&](std::int64_t task) {
      const std::int64_t group = task / (row_chunks_ * column_chunks_);
      const std::int64_t row_chunk = task / column_chunks_ % row_chunks_,
                         column_chunk = task % column_chunks_;
      run_task({group * groups_ / group_tasks_, (group + 1) * groups_ / group_tasks_,
                row_chunk * rows_ / row_chunks_, (row_chunk + 1) * rows_ / row_chunks_,
                column_chunk * panels_ / column_chunks_, (column_chunk + 1) * panels_ / column_chunks_});
    });
  }

 private:
  using Part = FilterPart;
  using Work = FilterWork<T>;

  double work() const {
    return static_cast<double>(g_.n * positions_) *
           static_cast<double>(rows_ * columns_ * depth_ * (depthwise_ ? 1 : g_.groups));
  }

  // Positions whose tap lies in the border are left out of the runs (gemm::Run) where there are enough of
  // them, and enough channels that a tile holds one tap.
  bool worth_skipping() const {
    return !turned_ && slab_.used() && zero_border(g_) && work() >= kSerialWork &&
           g_.c_per_group() >= kSkipChannels && share_inside(g_.axis[1]) * share_inside(g_.axis[2]) < 0.95;
  }

  // Whether sums go from registers to dw with no buffers between, and all of dy, packed, stays in a cache.
  bool at_once() const {
    constexpr std::int64_t kBytes = 512 << 10;
    const std::int64_t terms = slab_.leaf_terms(0);
    return !turned_ && !depthwise_ && groups_ == 1 && leaves_ == 1 && terms <= slab_.block_terms() &&
           terms * columns_ * std::int64_t{sizeof(T)} <= kBytes;
  }

  void plan_tasks() {
    const std::int64_t threads = work() < kSerialWork ? 1 : thread_count();
    const std::int64_t tiles = divide_up(rows_, tiles_.tallest);
    if (at_once()) {
      if (threads > 1) column_chunks_ = std::min(panels_, 2 * threads);
    } else {
      column_chunks_ = turned_ ? 1 : std::min(panels_, divide_up(columns_, chunk_columns(rows_)));
      const std::int64_t chunk_columns = divide_up(columns_, column_chunks_);
      row_chunks_ = std::clamp<std::int64_t>(rows_ * chunk_columns / kChunkElements, 1, tiles);
    }
    if (threads == 1) return;
    const std::int64_t others = group_tasks_ * column_chunks_;
    row_chunks_ = busy_row_chunks(row_chunks_, tiles, others, threads);
    if (others * row_chunks_ < threads)
      column_chunks_ = std::min(panels_, divide_up(threads, group_tasks_ * row_chunks_));
  }

  void run_task(const Part& part) const {
    const std::int64_t k = columns_, terms = slab_.leaf_terms(0);
    const std::int64_t row_count = part.row_end - part.row_begin, groups = part.group_end - part.group_begin;
    const std::int64_t first_column = part.panel_begin * panel_columns_;
    Work work;
    work.part = part;
    work.columns =
        gemm::packed_columns(tiles_, std::min(part.panel_end * panel_columns_, k) - first_column) * depth_;
    const std::int64_t dy_columns = turned_ ? depth_ : work.columns;
    work.pack_dy =
        size_of(dy_.dtype) != sizeof(T) || groups_ > 1 ||
        (turned_ ? g_.k > depth_ : g_.k % tiles_.lanes != 0 || (panels_ > 1 && row_count >= kPackedRows));

    const Scratch<Panel<T>> panels(panels_);
    if (turned_) {
      lay_out_turned(tiles_, columns_, depth_, panels.data());
    } else {
      gemm::lay_out_panels(tiles_, k, panels.data());
    }
    const Scratch<const T*> rows(row_count);
    const Scratch<T> slab(slab_.elements(groups));
    work.dy_of_group = work.pack_dy ? std::min(slab_.blocks() * slab_.block_terms(), terms) * dy_columns : 0;
    const Scratch<T> dy(groups * work.dy_of_group);
    const std::int64_t block_terms = slab_.block_terms(), together = slab_.leaves_together();
    work.step = together > 1 ? slab_.blocks()
                             : std::clamp<std::int64_t>(
                                   kPanelBytes / (block_terms * dy_columns * std::int64_t{sizeof(T)}), 1,
                                   slab_.blocks());
    const Scratch<T> level_sums(std::bit_width(static_cast<std::uint64_t>(together - 1)) *
                                TileSet<T>::kMaxHeight * tiles_.width());
    work.levels = together > 1 ? level_sums.data() : nullptr;
    // A list of runs for every tap of the task, and one for all of them.
    work.first_tap = part.row_begin / channels_;
    work.lists = skips_ ? (part.row_end - 1) / channels_ - work.first_tap + 2 : 1;
    work.list_size = divide_up(std::min(work.step * block_terms, terms), g_.axis[2].out) + work.step + 2;
    const Scratch<Run> runs(work.lists * work.list_size);
    const Scratch<std::int64_t> block_runs(work.lists * (work.step + 1));
    work.buffer_size = at_once() ? 0 : row_count * work.columns;
    const std::int64_t levels = leaves_ > 1 ? std::bit_width(static_cast<std::uint64_t>(leaves_ - 1)) : 0;
    work.buffers_of_group = work.buffer_size * (levels + 1);
    const Scratch<T> buffers(groups * work.buffers_of_group);
    slab_.locate(slab.data(), part.group_begin, channels_, part.row_begin, part.row_end, rows.data());
    work.rows = rows.data();
    work.dy = dy.data();
    work.runs = runs.data();
    work.block_runs = block_runs.data();
    work.buffers = buffers.data();
    work.panels = panels.data() + part.panel_begin;
    FilterAhead<T> ahead(g_, x_, dy_, share_.first + first_column, std::min(work.columns, k - first_column),
                         work.pack_dy || depthwise_ || turned_ ? 0 : work.step * block_terms);
    work.ahead = &ahead;

    for (std::int64_t leaf = 0; leaf < leaves_; ++leaf) {
      const std::int64_t count = slab_.leaf_terms(leaf), step = slab_.blocks() * block_terms;
      for (std::int64_t begin = 0; begin < count; begin += step) {
        const Segment s = slab_.segment(begin, std::min(begin + step, count));
        if (slab_.used()) slab_.fill(leaf, s, part.group_begin, groups, slab.data());
        const std::int64_t element = (leaf * slab_.leaf_samples() * positions_ + begin) * g_.k + share_.first;
        if (work.pack_dy) pack_dy(work, element, s.end - begin);
        for (std::int64_t group = part.group_begin; group < part.group_end; ++group) {
          find_panels(work, group, element, s.end - begin);
          for (std::int64_t at = begin; at < s.end; at += work.step * block_terms)
            run_blocks(work, group, leaf, s, at, std::min(at + work.step * block_terms, s.end), count);
        }
      }
    }
  }

  // `count` positions of dy from an element on: groups, panels.
  void pack_dy(const Work& work, std::int64_t element, std::int64_t count) const {
    const Part& part = work.part;
    if (turned_) return gemm::pack_panel(dy_.at(element), g_.k, 1, count, depth_, depth_, work.dy);
    if (panels_ == 1 && columns_ % tiles_.lanes == 0)
      return gemm::split_groups(dy_.at(element + part.group_begin * columns_), g_.k, count,
                                part.group_end - part.group_begin, columns_, work.dy, columns_,
                                work.dy_of_group);
    constexpr std::int64_t kTogether = 32;  // dy is read about as it lies in memory, whatever the panels
    for (std::int64_t group = part.group_begin; group < part.group_end; ++group)
      for (std::int64_t at = 0; at < count; at += kTogether) {
        T* to = work.dy + (group - part.group_begin) * work.dy_of_group;
        for (std::int64_t j = 0; j < part.panel_end - part.panel_begin; ++j) {
          const Panel<T>& panel = work.panels[j];
          const std::int64_t width = panel.vectors * tiles_.lanes;
          gemm::pack_panel(dy_.at(element + at * g_.k + group * columns_ + panel.column), g_.k, 1,
                           std::min(kTogether, count - at), panel.columns, width, to + at * width);
          to += count * width;
        }
      }
  }

  void find_panels(const Work& work, std::int64_t group, std::int64_t element, std::int64_t count) const {
    const Part& part = work.part;
    const T* packed = work.dy + (group - part.group_begin) * work.dy_of_group;
    for (std::int64_t j = 0; j < part.panel_end - part.panel_begin; ++j) {
      Panel<T>& panel = work.panels[j];
      if (turned_) {
        panel.ldb = work.pack_dy ? depth_ : g_.k;
        panel.b = work.pack_dy ? packed : dy_.at(element).template as<T>();
        continue;
      }
      const std::int64_t width = panel.vectors * tiles_.lanes;
      panel.ldb = work.pack_dy ? width : g_.k;
      panel.b = work.pack_dy ? packed : dy_.at(element + group * columns_ + panel.column).template as<T>();
      packed += count * width;
    }
  }

  void run_blocks(Work& work, std::int64_t group, std::int64_t leaf, const Segment& segment,
                  std::int64_t begin, std::int64_t end, std::int64_t leaf_end) const {
    const Part& part = work.part;
    const bool last_block = end == leaf_end, last_leaf = leaf + 1 == leaves_;
    const T* sources[66];
    T* outs[TileSet<T>::kMaxHeight];
    Tile<T> tile;
    tile.runs = work.runs;
    tile.block_terms = slab_.block_terms();
    tile.blocks = divide_up(end - begin, tile.block_terms);
    tile.levels = work.levels;
    tile.skips = skips_;
    const std::array<std::int64_t, 5> plan{slab_.used() ? 0 : leaf, begin, end, segment.plane, segment.row};
    if (plan != work.planned) {  // the slabs of all leaves and groups are alike
      for (std::int64_t i = 0; i < work.lists; ++i)
        plan_runs(g_, slab_.origin(leaf, segment), begin, end, tile.block_terms,
                  i + 1 < work.lists ? tap_inside(g_, work.first_tap + i)
                                     : Inside{0, g_.axis[1].out, 0, g_.axis[2].out},
                  i * work.list_size, work.runs, work.block_runs + i * (work.step + 1));
      work.planned = plan;
    }
    const std::int64_t* const all_taps = work.block_runs + (work.lists - 1) * (work.step + 1);
    tile.step = g_.axis[2].stride * slab_.pixel();
    tile.out = outs;
    tile.sources = sources;
    tile.fetch = work.ahead->at(leaf * slab_.leaf_samples() * positions_ + end, work.step * tile.block_terms);

    // Where the sums go, and what they are added to: the leaf's total so far, then the levels of the tree.
    const T* buffers[66];
    std::int64_t buffer_count = 0;
    const std::int64_t group_index = group - part.group_begin;
    T* const leaf_total = work.buffers + group_index * work.buffers_of_group;
    T* to = leaf_total;
    if (last_block) {
      const int levels = last_leaf ? 64 : std::countr_one(static_cast<std::uint64_t>(leaf));
      for (int level = 0; level < levels && leaf >> level != 0; ++level)
        if ((leaf >> level & 1) != 0) buffers[buffer_count++] = leaf_total + (level + 1) * work.buffer_size;
      to = leaf_total + (levels + 1) * work.buffer_size;
    }
    const bool to_dw = last_block && last_leaf, to_rows = to_dw && !turned_;
    tile.source_count = buffer_count;

    const std::int64_t row_count = part.row_end - part.row_begin,
                       panel_count = part.panel_end - part.panel_begin;
    const std::int64_t first_column = part.panel_begin * panel_columns_;
    const Scratch<T> turned(to_dw && turned_ ? TileSet<T>::kMaxHeight * tiles_.width() : 0);
    for (std::int64_t row = 0; row < row_count;) {
      std::int64_t left = row_count - row;
      tile.block_runs = all_taps;
      if (skips_) {  // rows of one tap
        const std::int64_t tap = (part.row_begin + row) / channels_;
        left = std::min(left, (tap + 1) * channels_ - part.row_begin - row);
        tile.block_runs = work.block_runs + (tap - work.first_tap) * (work.step + 1);
      }
      const std::int64_t height = tiles_.height(left);
      tile.rows = work.rows + row;
      if (to_rows) {
        T* const out = dw_ + (part.row_begin + row) * g_.k + share_.first + group * columns_;
        for (std::int64_t i = 0; i < height; ++i) outs[i] = out + i * g_.k;
      }
      for (std::int64_t j = 0; j < panel_count; ++j) {
        const Panel<T>& panel = work.panels[j];
        const std::int64_t width = panel.vectors * tiles_.lanes;
        const std::int64_t at = row * work.columns + height * (panel.column - first_column) * depth_;
        tile.b = panel.b + (begin - segment.begin) * panel.ldb;
        tile.ldb = panel.ldb;
        tile.shift = depthwise_ || turned_ ? panel.column : group_index * slab_.group_pitch();
        tile.readable = panel.columns;
        for (std::int64_t i = 0; i < buffer_count; ++i) sources[i] = buffers[i] + at;
        if (begin > 0) tile.initial = leaf_total + at;
        if (to_rows) {
          tile.columns = panel.columns;
          tile.out_shift = panel.column;
        } else {
          tile.columns = width;
          T* out = to_dw ? turned.data() : to + at;
          for (std::int64_t i = 0; i < height; ++i) outs[i] = out + i * width;
        }
        const auto kernel = tiles_.kernel[height - 1][panel.vectors > 1 ? 1 : 0];
        if (!kernel(tile)) [[unlikely]] {  // a sum of -0: with the positions of the border after all
          Tile<T> whole = tile;
          whole.skips = false;
          whole.block_runs = all_taps;
          kernel(whole);
        }
        if (to_dw && turned_)
          store_turned(turned.data(), tiles_.lanes, height, panel, g_.k,
                       dw_ + ((part.row_begin + row) * g_.c + panel.column) * g_.k + share_.first,
                       g_.c * g_.k);
      }
      row += height;
    }
  }

  const ConvGeometry& g_;
  const Source x_, dy_;
  T* const dw_;
  const FilterShare share_;
  const bool depthwise_;  ///< one group whose columns each read a channel of their own
  const bool turned_;     ///< the rows are taps, the columns channels, `depth_` filters deep
  const std::int64_t groups_, columns_, depth_;
  const std::int64_t channels_;  ///< that a tap has among the rows
  const TileSet<T>& tiles_;
  const std::int64_t panel_columns_;
  const std::int64_t rows_, positions_, panels_;
  const std::int64_t task_groups_,
      group_tasks_;  ///< groups that a task takes at most, and how many parts that is
  const FilterSlab<T> slab_;
  const std::int64_t leaves_;
  bool skips_ = false;
  std::int64_t row_chunks_ = 1, column_chunks_ = 1;
};

template <class T>
void run_shares(const ConvGeometry& g, ConstView x, ConstView dy, T* dw, bool depthwise) {
  const auto run = [&](FilterLanes lanes, std::int64_t first, std::int64_t count) {
    if (count > 0) FilterGradient<T>(g, x, dy, dw, {lanes, first, count}).run();
  };
  if (depthwise) return run(FilterLanes::depthwise, 0, g.k);
  const std::int64_t filters = g.k_per_group(), turned = turned_filters<T>(g);
  run(FilterLanes::filters, 0, filters - turned);
  for (std::int64_t i = 0, shares = turned_shares(turned); i < shares; ++i) {
    const std::int64_t first = i * turned / shares, end = (i + 1) * turned / shares;
    run(FilterLanes::channels, filters - turned + first, end - first);
  }
}

void run(const ConvGeometry& g, ConstView x, ConstView dy, View dw, bool depthwise) {
  const std::int64_t size = g.w_size();
  if (size == 0) return;
  if (g.n == 0 || g.positions() == 0) {
    std::memset(dw.data, 0, static_cast<std::size_t>(size * size_of(dw.dtype)));
  } else if (dw.dtype == DType::f64) {
    run_shares(g, x, dy, dw.as<double>(), depthwise);
  } else if (dw.dtype == DType::f32) {
    run_shares(g, x, dy, dw.as<float>(), depthwise);
  } else {
    const Scratch<float> sums(size);
    run_shares(g, x, dy, sums.data(), depthwise);
    parallel_ranges(size, 1 << 14, [&](std::int64_t begin, std::int64_t end) {
      gemm::narrow(sums.data() + begin, static_cast<char*>(dw.data) + begin * size_of(dw.dtype), dw.dtype,
                   end - begin);
    });
  }
}

}  // namespace

void conv_backward_filter_implicit_gemm(const ConvGeometry& g, ConstView x, ConstView dy, View dw) {
  run(g, x, dy, dw, false);
}

void conv_backward_filter_depthwise(const ConvGeometry& g, ConstView x, ConstView dy, View dw) {
  run(g, x, dy, dw, true);
}

const char* refuse_conv_backward_filter_depthwise(const ConvGeometry& g, ConstView, ConstView, View) {
  return refuse_depthwise(g);
}

}  // namespace isobit::cpu::kernels
