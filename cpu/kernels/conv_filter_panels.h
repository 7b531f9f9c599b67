// The matrix B of a pass: panels of the filter, read where they lie, packed once before the tasks, or packed
// by every task for the block and the columns it works on (where few tasks would share the packed copy:
// linear layers, whose filter is larger than their input; the copy then never leaves the second-level cache).
#pragma once
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <limits>
#include <span>

#include "core/numerics/order.h"
#include "cpu/kernels/conv_pass.h"
#include "cpu/kernels/gemm_panels.h"
#include "cpu/runtime/processor.h"
#include "cpu/runtime/thread_pool.h"

namespace isobit::cpu::gemm {

template <class T>
class FilterPanels {
 public:
  /// `positions` of the whole pass, in `units` that do not share what a task packs.
  FilterPanels(const Pass& pass, const TileSet<T>& tiles, std::int64_t positions, std::int64_t units)
      : pass_(pass),
        tiles_(tiles),
        taps_(pass.axis[0].taps * pass.axis[1].taps * pass.axis[2].taps),
        per_group_(panel_count(tiles, pass.columns)),
        panels_(pass.groups * per_group_) {
    bool in_place = size_of(pass.filter.dtype) == sizeof(T) && pass.column_stride == 1 &&
                    pass.tap_stride == pass.channels * pass.channel_stride;
    for (const PassAxis& axis : pass.axis)  // all taps, in the filter's order
      in_place = in_place && axis.taps == axis.filter && axis.filter_first == 0;
    if ((per_group_ > 1 || pass.groups > 1) && positions >= packed_from()) in_place = false;
    by_task_ = !in_place && units <= kFewUnits && pass.groups == 1;
    few_units_ = units <= kFewUnits;
    one_unit_ = units == 1;
    for (std::int64_t group = 0; group < pass.groups; ++group) {
      Panel<T>* const of_group = panels_.data() + group * per_group_;
      lay_out_panels(tiles, pass.columns, of_group);
      for (std::int64_t i = 0; i < per_group_; ++i) {
        Panel<T>& panel = of_group[i];
        const std::int64_t width = panel.vectors * tiles.lanes;
        panel.packed = !in_place || panel.columns < width;
        panel.ldb = panel.packed ? width : pass.channel_stride;
        panel.b = panel.packed ? nullptr
                               : pass.filter.at(group * pass.group_stride + panel.column).template as<T>();
        if (panel.packed && !by_task_) packed_elements_ += terms() * width;
      }
    }
  }

  std::int64_t per_group() const { return per_group_; }
  const Panel<T>* group(std::int64_t group) const { return panels_.data() + group * per_group_; }
  /// Of the only group.
  std::span<const Panel<T>> range(std::int64_t begin, std::int64_t end) const {
    return {panels_.data() + begin, static_cast<std::size_t>(end - begin)};
  }
  /// Whether a task packs its panels itself, block by block.
  bool by_task() const { return by_task_; }
  /// Whether a task asks for itself if what it reads, as it lies, is finite: a filter that no cache holds is
  /// then read once.
  bool looked_at_by_task() const { return few_units_ && pass_.groups == 1 && all_in_place(); }
  /// Whether terms [begin, end) of `count` such panels from `first` on are finite.
  bool finite(std::int64_t first, std::int64_t count, std::int64_t begin, std::int64_t end) const {
    const Panel<T>& panel = panels_[first];
    const std::int64_t columns = std::min(count * tiles_.width(), pass_.columns - panel.column);
    bool all = true;
    for (std::int64_t term = begin; all && term < end; ++term)
      all = is_finite(panel.b + term * panel.ldb, columns);
    return all;
  }
  /// Elements of memory that pack_all wants.
  std::int64_t packed_elements() const { return packed_elements_; }

  /// True when the filter is finite, where that is asked; a filter that tasks pack counts as finite.
  bool pack_all(T* memory, bool ask_finite) {
    if (by_task_ || looked_at_by_task()) return true;
    bool all_packed = true;
    for (Panel<T>& panel : panels_.span()) {
      all_packed = all_packed && panel.packed;
      if (!panel.packed) continue;
      panel.b = memory;
      memory += terms() * panel.ldb;
    }
    // Tasks of neighbouring terms and all columns: the filter is read once, from its first element to its
    // last.
    std::atomic<bool> finite{true};
    if (ask_finite && !all_packed) finite = all_finite(pass_.filter, filter_elements());
    if (packed_elements_ == 0) return finite;
    const std::int64_t slices = (terms() + kSliceTerms - 1) / kSliceTerms;
    const auto pack_slice = [&](std::int64_t task) {
      const std::int64_t begin = task % slices * kSliceTerms, end = std::min(begin + kSliceTerms, terms());
      const Scratch<T*> to(per_group_);
      const Panel<T>* const panels = group(task / slices);
      for (std::int64_t i = 0; i < per_group_; ++i)
        to[i] = panels[i].packed ? const_cast<T*>(panels[i].b) + begin * panels[i].ldb : nullptr;
      pack(task / slices, panels, per_group_, begin, end, to.data());
      for (std::int64_t i = 0; ask_finite && all_packed && i < per_group_; ++i)
        if (!is_finite(to[i], (end - begin) * panels[i].ldb)) finite.store(false, std::memory_order_relaxed);
    };
    if (packed_elements_ < kSerialElements) {
      for (std::int64_t task = 0; task < pass_.groups * slices; ++task) pack_slice(task);
    } else {
      parallel_for(pass_.groups * slices, pack_slice);
    }
    return finite;
  }

  /// Terms [begin, end) of neighbouring panels to[i], ldb columns each; those without a place are left out.
  void pack(std::int64_t group, const Panel<T>* panels, std::int64_t count, std::int64_t begin,
            std::int64_t end, T* const* to) const {
    for (std::int64_t term = begin; term < end;) {
      const std::int64_t channel = term % pass_.channels,
                         length = std::min(pass_.channels - channel, end - term);
      const Source from = pass_.filter.at(tap_index(term / pass_.channels) * pass_.tap_stride +
                                          group * pass_.group_stride + channel * pass_.channel_stride);
      if (pass_.column_stride == 1 && size_of(from.dtype) == sizeof(T)) {
        copy_rows(from.template as<T>(), panels, count, length, term - begin, to);
      } else {
        for (std::int64_t i = 0; i < count; ++i)
          if (to[i] != nullptr)
            pack_panel(from.at(panels[i].column * pass_.column_stride), pass_.channel_stride,
                       pass_.column_stride, length, panels[i].columns, panels[i].ldb,
                       to[i] + (term - begin) * panels[i].ldb);
      }
      term += length;
    }
  }

  /// What follows when `step` blocks from `block` on of the panels [from, from + chunk) have been worked
  /// through, of all in [first, last): pointers into `room`, for tiles to ask for. Nothing where all of it
  /// stays in the cache.
  Fetch<T> after(std::int64_t block, std::int64_t step, std::int64_t from, std::int64_t chunk,
                 std::int64_t first, std::int64_t last, std::span<const T*> room) const {
    const std::int64_t blocks = numerics::block_count(terms());
    from += chunk;
    if (from >= last) {
      from = first;
      block += step;
    }
    if (pass_.groups > 1 || (last - first <= chunk && blocks <= step)) return {};
    if (block >= blocks) {
      if (by_task_ || one_unit_) return {};
      block = 0;  // the next task's
    }
    const std::int64_t term = block * numerics::kBlock;
    return fetch(panels_.data() + from, std::min(chunk, last - from), term,
                 std::min(term + step * numerics::kBlock, terms()), room);
  }

 private:
  // Where terms [begin, end) of some panels of the only group will be read from.
  Fetch<T> fetch(const Panel<T>* panels, std::int64_t count, std::int64_t begin, std::int64_t end,
                 std::span<const T*> room) const {
    const T** const to = room.data();
    const auto most = static_cast<std::int64_t>(room.size());
    Fetch<T> all;
    all.rows = to;
    if (!by_task_ && !all_in_place()) {
      for (std::int64_t i = 0; i < count && i < most; ++i) {
        if (!panels[i].packed) continue;
        to[all.count++] = panels[i].b + begin * panels[i].ldb;
        all.lines = std::max(all.lines, lines((end - begin) * panels[i].ldb));
      }
      return all;
    }
    if (size_of(pass_.filter.dtype) != sizeof(T)) return all;
    const std::int64_t columns = panels[count - 1].column + panels[count - 1].columns - panels[0].column;
    for (std::int64_t term = begin; term < end;) {
      const std::int64_t channel = term % pass_.channels,
                         length = std::min(pass_.channels - channel, end - term);
      const Source from =
          pass_.filter.at(tap_index(term / pass_.channels) * pass_.tap_stride +
                          channel * pass_.channel_stride + panels[0].column * pass_.column_stride);
      const bool by_term = pass_.column_stride == 1;
      const std::int64_t rows = by_term ? length : columns;
      for (std::int64_t i = 0; i < rows && all.count < most; ++i)
        to[all.count++] = from.template as<T>() + i * (by_term ? pass_.channel_stride : pass_.column_stride);
      all.lines = std::max(all.lines, lines(by_term ? columns : length));
      term += length;
    }
    return all;
  }

  bool all_in_place() const { return packed_elements_ == 0 && !by_task_; }
  static std::int64_t lines(std::int64_t elements) {
    constexpr std::int64_t kLine = 64 / sizeof(T);
    return (elements + kLine - 1) / kLine;
  }
  static constexpr std::int64_t kFewUnits = 2;
  static constexpr std::int64_t kSliceTerms = 64;
  static constexpr std::int64_t kSerialElements = 1 << 15;

  // Positions from which on packing pays. Where lines that lie apart are read as fast as neighbours only for
  // what so many tiles of few terms read that it should stay in the first-level cache.
  std::int64_t packed_from() const {
    constexpr std::int64_t kFew = 48, kMany = 1024;
    if (!reads_lines_apart()) return kFew;
    return terms() <= numerics::kBlock ? kMany : std::numeric_limits<std::int64_t>::max();
  }

  std::int64_t terms() const { return taps_ * pass_.channels; }
  std::int64_t filter_elements() const {
    return pass_.axis[0].filter * pass_.axis[1].filter * pass_.axis[2].filter * pass_.tap_stride;
  }

  // Row after row of the filter, so that memory is read forward, and ahead of its use.
  void copy_rows(const T* from, const Panel<T>* panels, std::int64_t count, std::int64_t rows,
                 std::int64_t first_row, T* const* to) const {
    constexpr std::int64_t kAhead = 6;
    for (std::int64_t row = 0; row < rows; ++row, from += pass_.channel_stride)
      for (std::int64_t i = 0; i < count; ++i) {
        if (to[i] == nullptr) continue;
        const T* line = from + panels[i].column;
        T* out = to[i] + (first_row + row) * panels[i].ldb;
        if (row + kAhead < rows) __builtin_prefetch(line + kAhead * pass_.channel_stride);
        copy_few(line, out, panels[i].columns);
        for (std::int64_t j = panels[i].columns; j < panels[i].ldb; ++j) out[j] = T(0);
      }
  }

  // The pass's tap in the filter.
  std::int64_t tap_index(std::int64_t tap) const {
    const PassAxis &depth = pass_.axis[0], &height = pass_.axis[1], &width = pass_.axis[2];
    const std::int64_t s = tap % width.taps, r = tap / width.taps % height.taps,
                       t = tap / (width.taps * height.taps);
    return ((depth.filter_first + t * depth.filter_step) * height.filter + height.filter_first +
            r * height.filter_step) *
               width.filter +
           width.filter_first + s * width.filter_step;
  }

  const Pass& pass_;
  const TileSet<T>& tiles_;
  const std::int64_t taps_, per_group_;
  const Scratch<Panel<T>> panels_;
  bool by_task_ = false, few_units_ = false, one_unit_ = false;
  std::int64_t packed_elements_ = 0;
};

}  // namespace isobit::cpu::gemm
