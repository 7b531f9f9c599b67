// The driver of a pass (conv_pass.h). Twin: cuda/kernels/gemm.cu. Loops, outermost first:
//
//   task   some output rows (at most about 384 KB of slab, sums and pointers), for some groups or panels
//   group  or those narrow ones together whose columns share a cache line of the output
//   blocks of 256 terms, as many as have 320 KB of filter; the sums of those before lie in y (for f16 and
//          bf16 in f32 scratch)
//   chunk  256 columns, so that the blocks' filters stay in the second-level cache
//   tile   up to 10 positions, whose terms stay in the first-level cache
//   panel  of up to two vectors of filters
//
// Tiles of a single block are short ones (gemm_short_tile.h), several of them for a panel at a time, or lie
// in rows (conv_pass_rows.h). While a tile multiplies it asks for what comes next: the next tile's pixels,
// the next chunk's filters.
//
// Which task a thread takes decides nothing: every element belongs to one task, and its blocks are added in
// order.
#include "cpu/kernels/conv_pass.h"

#include <algorithm>
#include <span>

#include <hwy/cache_control.h>

#include "core/numerics/order.h"
#include "cpu/kernels/conv_filter_panels.h"
#include "cpu/kernels/conv_pass_places.h"
#include "cpu/kernels/conv_pass_rows.h"
#include "cpu/kernels/conv_pass_short.h"
#include "cpu/kernels/conv_pass_slab.h"
#include "cpu/kernels/conv_pass_split.h"
#include "cpu/kernels/conv_runs.h"
#include "cpu/kernels/kernels.h"
#include "cpu/runtime/properties.h"
#include "cpu/runtime/scratch.h"
#include "cpu/runtime/thread_pool.h"

namespace isobit::cpu::gemm {
namespace {

constexpr std::int64_t kTaskBytes = 384 << 10;  ///< of slab and sums
constexpr std::int64_t kPositionBytes = 32;     ///< what the pointers of a position weigh
constexpr std::int64_t kChunkColumns = 256;
constexpr std::int64_t kFilterBytes = 320 << 10;  ///< of the blocks that a tile goes through at a time
constexpr std::int64_t kLeastPositions = 60;
constexpr double kSerialWork = 1 << 19;     ///< multiply-adds that are not worth waking a thread
constexpr std::int64_t kLine = 64;          ///< bytes
constexpr std::int64_t kFewTerms = 64;      ///< a tile of so few waits for the lines that it stores
constexpr double kFewTermsBytes = 8 << 20;  ///< of such an output, that no cache near keeps
constexpr std::int64_t kNarrowed = 80;      ///< positions of short tiles whose sums are narrowed at a time

std::int64_t divide_up(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

template <class T>
class PassRunner {
 public:
  explicit PassRunner(const Pass& pass)
      : pass_(pass),
        depth_(pass.axis[0]),
        height_(pass.axis[1]),
        width_(pass.axis[2]),
        tiles_(pass.depthwise ? depthwise_tiles<T>() : tiles<T>(pass.columns)),
        out_channels_(pass.groups * pass.columns),
        planes_(pass.n * depth_.outputs),
        terms_(depth_.taps * height_.taps * width_.taps * pass.channels),
        blocks_(std::max<std::int64_t>(1, numerics::block_count(terms_))),
        panels_per_group_(panel_count(tiles_, pass.columns)),
        narrow_(size_of(pass.dtype) != sizeof(T)),
        slab_(pass),
        places_{pass} {}

  void run() {
    if (planes_ * height_.outputs * width_.outputs == 0 || out_channels_ == 0) return;
    plan_tasks();
    slab_.plan(split_.unit_planes(), split_.unit_rows());

    const Scratch<AxisClass> rows(2 * height_.taps + 1), columns(2 * width_.taps + 1);
    skips_ = places_.plan(tiles_, split_, worth_skipping_, rows.data(), columns.data());
    const RunPitches pitches{slab_.tap_pitch(), slab_.row_pitch(), slab_.pixel()};
    const std::int64_t lists = places_.classes() + (skips_ ? 1 : 0);
    const std::int64_t list_size = depth_.taps * height_.taps * width_.taps + blocks_ + 1;
    const Scratch<Run> runs(lists * list_size);
    const Scratch<std::int64_t> block_runs(lists * (blocks_ + 1));
    for (std::int64_t i = 0; i < places_.classes(); ++i)
      plan_runs(pass_, pitches, rows[i / places_.column_classes], columns[i % places_.column_classes],
                i * list_size, runs.data(), block_runs.data() + i * (blocks_ + 1));
    if (skips_)
      plan_runs(pass_, pitches, {0, 0, 0, height_.taps}, {0, 0, 0, width_.taps}, (lists - 1) * list_size,
                runs.data(), block_runs.data() + (lists - 1) * (blocks_ + 1));
    runs_ = runs.data();
    block_runs_ = block_runs.data();
    const bool short_tiles = blocks_ == 1 && !skips_ && !pass_.depthwise;
    const Scratch<std::int64_t> terms(short_tiles ? terms_ : 0);
    if (short_tiles) list_terms(runs.data(), block_runs[1], terms.data());
    short_terms_ = short_tiles ? terms.data() : nullptr;
    narrows_at_once_ = narrow_ && short_tiles && pass_.groups == 1 && pass_.columns <= kChunkColumns;

    FilterPanels<T> panels(pass_, tiles_, planes_ * height_.outputs * width_.outputs, split_.units());
    const Scratch<T> packed(panels.packed_elements());
    finite_ = panels.pack_all(packed.data(), skips_);
    panels_ = &panels;
    row_tiles_ = short_tiles && !narrow_ && !panels.by_task() ? row_tiles_for<T>(pass_) : nullptr;
    streams_ =
        can_stream() &&
        pass_.out_bytes() > (terms_ <= kFewTerms ? kFewTermsBytes : static_cast<double>(last_level_cache()));

    const bool widen_bias = pass_.bias.data != nullptr && size_of(pass_.bias.dtype) != sizeof(T);
    const Scratch<T> bias(widen_bias ? out_channels_ : 0);
    if (widen_bias) widen(pass_.bias, bias.data(), out_channels_);
    bias_ = widen_bias ? bias.data() : pass_.bias.template as<T>();
    parallel_for(split_.units() * split_.parts,
                 [&](std::int64_t task) { run_task(task / split_.parts, task % split_.parts); });
    panels_ = nullptr;
  }

 private:
  // Whole lines from the registers to memory, which nothing reads again.
  bool can_stream() const {
    const std::int64_t size = size_of(pass_.dtype);
    return !pass_.then && reinterpret_cast<std::uintptr_t>(pass_.out) % kLine == 0 &&
           pass_.columns * size % kLine == 0 && pass_.pitch() * size % kLine == 0 &&
           tiles_.width() * size % kLine == 0;
  }

  void plan_tasks() {
    const std::int64_t positions = planes_ * height_.outputs * width_.outputs;
    const double work = static_cast<double>(positions) * static_cast<double>(terms_ * out_channels_);
    const std::int64_t threads = work < kSerialWork ? 1 : thread_count();
    worth_skipping_ = work >= kSerialWork;
    std::int64_t row_bytes = 1 + slab_.row_bytes() + width_.outputs * kPositionBytes;
    if (blocks_ > 1 || narrow_) row_bytes += width_.outputs * out_channels_ * std::int64_t{sizeof(T)};
    const PassExtent extent{planes_, height_.outputs, width_.outputs,
                            pass_.groups > 1 ? pass_.groups : panels_per_group_, tiles_.tallest};
    split_ = split_pass(extent, divide_up(kLeastPositions, width_.outputs), kTaskBytes / row_bytes, threads);
  }

  void run_task(std::int64_t unit_index, std::int64_t part) const {
    const Unit u = split_.unit(unit_index);
    const std::int64_t positions = u.planes * u.rows * width_.outputs;
    const bool by_group = pass_.groups > 1;  // what the parts of a unit share out; else panels
    const std::int64_t shared = by_group ? pass_.groups : panels_per_group_;
    const std::int64_t begin = part * shared / split_.parts, end = (part + 1) * shared / split_.parts;
    const std::int64_t group_begin = by_group ? begin : 0, group_end = by_group ? end : 1;
    const std::int64_t width = by_group ? pass_.columns : tiles_.width(),  // this part's channels
        first = begin * width, last = std::min(end * width, out_channels_);
    const Scratch<T> slab(slab_.elements(u, group_end - group_begin));
    if (slab_.used()) slab_.fill(u, group_begin, group_end - group_begin, slab.data());
    if (row_tiles_ != nullptr) {
      run_row_tiles(pass_, slab_, u, slab_.base(slab.data(), 0), *row_tiles_, panels_->range(begin, end),
                    {.terms = short_terms_, .term_count = terms_, .stream = streams_, .bias = bias_});
      return complete(u, first, last);
    }
    const Scratch<const T*> rows(positions);
    const Scratch<T*> outs(positions);
    const std::int64_t held = narrows_at_once_ ? std::min(positions, 2 * kNarrowed) : positions;
    const Scratch<T> sums(narrow_ ? held * out_channels_ : 0);
    locate(u, slab_.base(slab.data(), group_begin), rows.data());
    if (narrow_) {
      for (std::int64_t i = 0, place = 0; i < positions; ++i, ++place) {
        if (place == kNarrowed && narrows_at_once_ && positions - i >= kNarrowed) place = 0;
        outs[i] = sums.data() + place * out_channels_;
      }
    } else {
      T* const out = static_cast<T*>(pass_.out);
      T** const to = outs.data();
      places_.for_each_stretch(
          u, [=](std::int64_t i, std::int64_t count, std::int64_t element, std::int64_t step) {
            put_pointers(out + element, step, count, to + i);
          });
    }

    if (by_group) {
      // Groups of one panel that share a cache line of the output go together.
      const std::int64_t together =
          panels_per_group_ > 1
              ? 1
              : std::max<std::int64_t>(1, kLine / (pass_.columns * std::int64_t{sizeof(T)}));
      for (std::int64_t group = group_begin; group < group_end; group += together)
        run_group(u, group, group - group_begin, 0,
                  panels_per_group_ > 1 ? panels_per_group_ : std::min(together, group_end - group),
                  rows.data(), outs.data());
    } else {
      run_group(u, 0, 0, begin, end, rows.data(), outs.data());
    }
    if (narrow_ && !narrows_at_once_) narrow_sums(u, 0, positions, first, last, sums.data());
    complete(u, first, last);
  }

  void complete(const Unit& u, std::int64_t first, std::int64_t last) const {
    if (pass_.then) activate(u, first, last);
    if (streams_) hwy::FlushStream();
  }

  // Of the sums of a task's positions [begin, end) channels [first, last) to the output; neighbours that are
  // whole go together.
  void narrow_sums(const Unit& u, std::int64_t begin, std::int64_t end, std::int64_t first, std::int64_t last,
                   const T* sums) const {
    const std::int64_t pitch = pass_.pitch(), channels = last - first;
    const auto convert = streams_ ? narrow_past<T> : narrow<T>;
    places_.for_each_stretch(
        u, [&](std::int64_t i, std::int64_t count, std::int64_t element, std::int64_t step) {
          const std::int64_t from = std::max(begin, i), stop = std::min(end, i + count);
          const std::int64_t together = channels == pitch && step == pitch ? stop - from : 1;
          for (std::int64_t j = from; j < stop; j += together)
            convert(sums + (j - begin) * out_channels_ + first,
                    static_cast<char*>(pass_.out) + (element + (j - i) * step + first) * size_of(pass_.dtype),
                    pass_.dtype, together * channels);
        });
  }

  // The channels [first, last) that a task has stored, rows of the output together where they are whole.
  void activate(const Unit& u, std::int64_t first, std::int64_t last) const {
    std::int64_t from = 0, to = 0;
    const auto apply = [&] {
      const View part{static_cast<char*>(pass_.out) + from * size_of(pass_.dtype), pass_.dtype, to - from};
      if (to > from) pass_.then->apply(part, pass_.first_column + first, last - first);
    };
    places_.for_each_place(u, [&](std::int64_t, std::int64_t place) {
      if (place + first != to) {
        apply();
        from = place + first;
      }
      to = place + last;
    });
    apply();
  }

  // A pointer a position: to its first tap, in the slab or in the source itself.
  void locate(const Unit& u, const T* base, const T** rows) const {
    const std::int64_t step = width_.step * slab_.pixel();
    places_.for_each_segment(
        u, [&](std::int64_t i, std::int64_t plane, std::int64_t p, std::int64_t q, std::int64_t end) {
          put_pointers(base + slab_.first_tap(u, plane, p) + q * step, step, end - q, rows + i);
        });
  }

  // `index`: which of the task's groups it is. Groups of one panel: as many groups as panels.
  void run_group(const Unit& u, std::int64_t group, std::int64_t index, std::int64_t panel_begin,
                 std::int64_t panel_end, const T* const* rows, T* const* outs) const {
    Tile<T> tile;
    tile.runs = runs_;
    const std::int64_t chunk =
        std::min(std::max<std::int64_t>(1, kChunkColumns / tiles_.width()), panel_end - panel_begin);
    const std::int64_t block_bytes = numerics::kBlock * chunk * tiles_.width() * std::int64_t{sizeof(T)};
    const std::int64_t step =
        std::clamp<std::int64_t>(kFilterBytes / block_bytes, 1, blocks_);  // blocks at a time
    const Scratch<Panel<T>> panels(chunk);
    const Scratch<T*> places(chunk);
    const Scratch<T> packed(panels_->by_task() ? step * numerics::kBlock * chunk * tiles_.width() : 0);
    const Scratch<const T*> ahead(pass_.groups > 1 ? 0 : step * numerics::kBlock);
    for (std::int64_t block = 0; block < blocks_; block += step) {
      const std::int64_t term = block * numerics::kBlock,
                         end = std::min(term + step * numerics::kBlock, terms_);
      tile.blocks = std::min(step, blocks_ - block);
      tile.accumulate = block > 0;
      const bool last = block + step >= blocks_;
      tile.relu = last && pass_.relu;
      tile.stream = streams_ && !narrow_ && tile.blocks == blocks_;
      for (std::int64_t from = panel_begin; from < panel_end; from += chunk) {
        const std::int64_t count = std::min(chunk, panel_end - from);
        T* to = packed.data();
        for (std::int64_t j = 0; j < count; ++j) {
          panels[j] = panels_->group(group)[from + j];
          panels[j].group = panels_per_group_ > 1 ? 0 : from + j;
          places[j] = panels_->by_task() && panels[j].packed ? to : nullptr;
          if (places[j] == nullptr) {
            panels[j].b += term * panels[j].ldb;
          } else {
            panels[j].b = to;
            to += (end - term) * panels[j].ldb;
          }
        }
        bool skips = skips_ && finite_;
        if (to != packed.data()) {
          panels_->pack(group, panels.data(), count, term, end, places.data());
          skips = skips && is_finite(packed.data(), to - packed.data());
        } else if (skips && panels_->looked_at_by_task()) {
          skips = panels_->finite(from, count, term, end);
        }
        tile.skips = skips;
        Fetch<T> fetch = panels_->after(block, step, from, chunk, panel_begin, panel_end, ahead.span());
        std::int64_t first_position = 0;
        for (std::int64_t list = 0; list < places_.classes(); ++list) {
          const std::int64_t positions = places_.positions(u, list);
          const std::int64_t runs = skips_ && !skips ? places_.classes() : list;
          tile.block_runs = block_runs_ + runs * (blocks_ + 1) + block;
          const std::int64_t behind = first_position + positions;
          while (first_position < behind) {
            const std::int64_t left = behind - first_position;
            const std::int64_t some = narrows_at_once_ && left >= 2 * kNarrowed ? kNarrowed : left;
            tile.rows = rows + first_position;
            tile.out = outs + first_position;
            run_tiles(group, index, some, last, panels.span().first(static_cast<std::size_t>(count)),
                      fresh_terms(from, panel_begin, end - term), fetch.count > 0 ? &fetch : nullptr, tile);
            if (narrows_at_once_)
              narrow_sums(u, first_position, first_position + some, panel_begin * tiles_.width(),
                          std::min(panel_end * tiles_.width(), pass_.columns), outs[first_position]);
            first_position += some;
          }
        }
      }
    }
  }

  // The positions of one class, for the panels of a chunk. `fresh`: terms to ask for a tile ahead, or 0.
  void run_tiles(std::int64_t group, std::int64_t index, std::int64_t positions, bool last,
                 std::span<const Panel<T>> panels, std::int64_t fresh, Fetch<T>* filter, Tile<T> tile) const {
    const std::int64_t fresh_lines = divide_up(fresh * std::int64_t{sizeof(T)}, kLine);
    const auto place = [&](const Panel<T>& panel, auto* tiles) {
      tiles->out_shift = (group + panel.group) * pass_.columns + panel.column;
      tiles->shift = pass_.depthwise ? panel.column : (index + panel.group) * slab_.group_pitch();
      tiles->bias = last && bias_ != nullptr ? bias_ + tiles->out_shift : nullptr;
    };
    if (short_terms_ != nullptr)
      return run_short_tiles(tiles_, short_tiles<T>(pass_.columns), positions, panels, fresh_lines, filter,
                             ShortTiles<T>{.rows = tile.rows,
                                           .out = tile.out,
                                           .terms = short_terms_,
                                           .term_count = terms_,
                                           .b = nullptr,
                                           .ldb = 0,
                                           .columns = 0,
                                           .relu = tile.relu,
                                           .stream = tile.stream},
                             place);
    Fetch<T> source;  // of the next tile
    while (positions > 0) {
      const std::int64_t height = tiles_.height(positions);
      if (fresh > 0) {
        source.row = source.line = 0;
        source.rows = tile.rows + height;
        source.count = std::min(height, positions - height);
        source.lines = fresh_lines;
        source.shift = runs_[tile.block_runs[0]].offset;
      }
      for (const Panel<T>& panel : panels) {
        tile.fetch = fresh > 0 && source.row < source.count ? &source : filter;
        tile.b = panel.b;
        tile.ldb = panel.ldb;
        tile.columns = panel.columns;
        place(panel, &tile);
        const auto kernel = tiles_.kernel[height - 1][panel.vectors - 1];
        if (!kernel(tile)) [[unlikely]] {  // a sum of -0: with the taps of the border after all
          Tile<T> whole = tile;
          whole.skips = false;
          const std::int64_t block = (tile.block_runs - block_runs_) % (blocks_ + 1);
          whole.block_runs = block_runs_ + places_.classes() * (blocks_ + 1) + block;
          kernel(whole);
        }
      }
      tile.rows += height;
      tile.out += height;
      positions -= height;
    }
  }

  // Terms of a position that its tile is the first to read, all of them of one pixel; else 0.
  std::int64_t fresh_terms(std::int64_t first_panel, std::int64_t panel_begin, std::int64_t terms) const {
    const bool a_pixel = !slab_.used() && pass_.groups == 1 && terms_ == pass_.channels;
    return a_pixel && first_panel == panel_begin ? terms : 0;
  }

  const Pass& pass_;
  const PassAxis &depth_, &height_, &width_;
  const TileSet<T>& tiles_;
  const std::int64_t out_channels_, planes_, terms_, blocks_, panels_per_group_;
  const bool narrow_;
  PassSlab<T> slab_;
  PassPlaces places_;
  PassSplit split_;
  bool worth_skipping_ = false, skips_ = false, finite_ = true;
  bool narrows_at_once_ = false;  ///< whether sums are narrowed as soon as some tiles have them
  bool streams_ = false;          ///< the output is larger than the caches, and stored past them
  const Run* runs_ = nullptr;
  const std::int64_t* block_runs_ = nullptr;
  const FilterPanels<T>* panels_ = nullptr;  ///< while run() lasts: scratch goes back in the order it came
  const T* bias_ = nullptr;
  const RowTileSet<T>* row_tiles_ = nullptr;   ///< where positions of a row are tiles; else null
  const std::int64_t* short_terms_ = nullptr;  ///< of short tiles, while run() lasts; else null
};

}  // namespace

template <class T>
void run_pass(const Pass& pass) {
  PassRunner<T>(pass).run();
}
template void run_pass<float>(const Pass&);
template void run_pass<double>(const Pass&);

}  // namespace isobit::cpu::gemm
