// The driver of a pass (conv_pass.h). Loops, outermost first:
//
//   task   a group of output rows (at most about 384 KB of slab and sums), for some groups or panels
//   group
//   blocks of 256 terms, as many as have 320 KB of filter; the sums of those before lie in y (in f32 scratch
//   where y
//          is f16 or bf16)
//   chunk  256 columns, so that the blocks' filters stay in the second-level cache
//   tile   up to 10 positions, whose terms stay in the first-level cache
//   panel  of up to two vectors of filters
//
// Which task a thread takes decides nothing: every element belongs to one task, and its blocks are added in
// order.
#include "cpu/kernels/conv_pass.h"

#include <algorithm>
#include <cstring>

#include "core/numerics/order.h"
#include "cpu/kernels/conv_filter_panels.h"
#include "cpu/runtime/scratch.h"
#include "cpu/runtime/thread_pool.h"

namespace isobit::cpu::gemm {
namespace {

const std::int64_t kTaskBytes = getenv("KT") ? atoi(getenv("KT")) << 10 : 384 << 10;
constexpr std::int64_t kChunkColumns = 256;
constexpr std::int64_t kFilterBytes = 320 << 10;  ///< of the blocks that a tile goes through at a time
constexpr std::int64_t kLeastPositions = 60;
constexpr std::int64_t kSerialWork = 1 << 19;  ///< multiply-adds that are not worth waking a thread

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
        tiles_(tiles<T>(pass.columns)),
        source_channels_(pass.groups * pass.channels),
        out_channels_(pass.groups * pass.columns),
        planes_(pass.n * depth_.outputs),
        terms_(depth_.taps * height_.taps * width_.taps * pass.channels),
        blocks_(std::max<std::int64_t>(1, numerics::block_count(terms_))),
        panels_per_group_(panel_count(tiles_, pass.columns)),
        narrow_(size_of(pass.dtype) != sizeof(T)),
        slab_(size_of(pass.source.dtype) != sizeof(T) || leaves(depth_) || leaves(height_) ||
              leaves(width_)) {}

  void run() {
    if (planes_ * height_.outputs * width_.outputs == 0 || out_channels_ == 0) return;
    plan_tasks();
    plan_pitches();

    const Scratch<Run> runs(depth_.taps * height_.taps * width_.taps + blocks_ + 1);
    const Scratch<std::int64_t> block_runs(blocks_ + 1);
    plan_runs(runs.data(), block_runs.data());
    runs_ = runs.data();
    block_runs_ = block_runs.data();

    FilterPanels<T> panels(pass_, tiles_, planes_ * height_.outputs * width_.outputs, units_);
    const Scratch<T> packed(panels.packed_elements());
    panels.pack_all(packed.data());
    panels_ = &panels;

    const bool widen_bias = pass_.bias.data != nullptr && size_of(pass_.bias.dtype) != sizeof(T);
    const Scratch<T> bias(widen_bias ? out_channels_ : 0);
    if (widen_bias) widen(pass_.bias, bias.data(), out_channels_);
    bias_ = widen_bias ? bias.data() : pass_.bias.template as<T>();
    parallel_for(units_ * parts_, [&](std::int64_t task) { run_task(task / parts_, task % parts_); });
  }

 private:
  // A run of whole planes, or of rows of one plane.
  struct Unit {
    std::int64_t plane, planes, row, rows;
  };

  // The source coordinates that all taps of `outputs` positions span, from the lowest: first + outputs *
  // step.
  static std::int64_t lowest(const PassAxis& axis) {
    return axis.tap_first + std::min<std::int64_t>(0, (axis.taps - 1) * axis.tap_step);
  }
  static std::int64_t span(const PassAxis& axis, std::int64_t outputs) {
    const std::int64_t taps = (axis.taps - 1) * axis.tap_step;
    return (outputs - 1) * axis.step + (taps < 0 ? -taps : taps) + 1;
  }
  static bool leaves(const PassAxis& axis) {
    return axis.taps > 0 && axis.outputs > 0 &&
           (lowest(axis) < 0 || lowest(axis) + span(axis, axis.outputs) > axis.source);
  }

  void plan_tasks() {
    const std::int64_t positions = planes_ * height_.outputs * width_.outputs;
    const double work = static_cast<double>(positions) * static_cast<double>(terms_ * out_channels_);
    const std::int64_t threads = work < kSerialWork ? 1 : thread_count();
    std::int64_t row_bytes = 1;
    if (blocks_ > 1 || narrow_) row_bytes += width_.outputs * out_channels_ * std::int64_t{sizeof(T)};
    if (slab_)
      row_bytes += std::max<std::int64_t>(depth_.taps, 1) * height_.step * span(width_, width_.outputs) *
                   source_channels_ * std::int64_t{sizeof(T)};
    const std::int64_t least = divide_up(kLeastPositions, width_.outputs);
    std::int64_t rows = std::max(least, kTaskBytes / row_bytes);
    if (threads > 1)
      rows = std::max(least, std::min(rows, divide_up(planes_ * height_.outputs, 4 * threads)));
    if (rows >= height_.outputs) {  // evenly, so that no small rest is left
      unit_planes_ = divide_up(planes_, std::max<std::int64_t>(1, planes_ * height_.outputs / rows));
      unit_rows_ = height_.outputs;
    } else {
      unit_planes_ = 1;
      unit_rows_ = divide_up(height_.outputs, divide_up(height_.outputs, rows));
    }
    units_per_plane_ = divide_up(height_.outputs, unit_rows_);
    units_ = divide_up(planes_, unit_planes_) * units_per_plane_;
    parts_ = 1;
    if (threads > 1 && units_ < 2 * threads)
      parts_ = std::min(divide_up(2 * threads, units_), pass_.groups > 1 ? pass_.groups : panels_per_group_);
  }

  void plan_pitches() {
    if (slab_) {
      slab_width_ = span(width_, width_.outputs);
      slab_rows_ = span(height_, unit_rows_);
      row_pitch_ = slab_width_ * source_channels_;
      tap_pitch_ = slab_rows_ * row_pitch_;
      plane_pitch_ = depth_.taps * tap_pitch_;
    } else {
      row_pitch_ = width_.source * source_channels_;
      tap_pitch_ = height_.source * row_pitch_ * depth_.tap_step;
    }
  }

  // Runs of a block: block_runs[b] .. block_runs[b + 1]. Taps that touch in memory share a run.
  void plan_runs(Run* runs, std::int64_t* block_runs) const {
    std::int64_t count = 0, term = 0;
    block_runs[0] = 0;
    std::int64_t block = 0;
    for (std::int64_t t = 0; t < depth_.taps; ++t)
      for (std::int64_t r = 0; r < height_.taps; ++r)
        for (std::int64_t s = 0; s < width_.taps; ++s) {
          std::int64_t offset =
              t * tap_pitch_ + r * height_.tap_step * row_pitch_ + s * width_.tap_step * source_channels_;
          for (std::int64_t left = pass_.channels; left > 0;) {
            if (term == (block + 1) * numerics::kBlock) block_runs[++block] = count;
            const std::int64_t length = std::min(left, (block + 1) * numerics::kBlock - term);
            if (count > block_runs[block] && runs[count - 1].offset + runs[count - 1].length == offset) {
              runs[count - 1].length += length;
            } else {
              runs[count++] = {offset, length};
            }
            term += length;
            offset += length;
            left -= length;
          }
        }
    block_runs[blocks_] = count;
  }

  Unit unit(std::int64_t index) const {
    const std::int64_t plane = index / units_per_plane_ * unit_planes_;
    const std::int64_t row = index % units_per_plane_ * unit_rows_;
    return {plane, std::min(unit_planes_, planes_ - plane), row, std::min(unit_rows_, height_.outputs - row)};
  }

  void run_task(std::int64_t unit_index, std::int64_t part) const {
    const Unit u = unit(unit_index);
    const std::int64_t positions = u.planes * u.rows * width_.outputs;
    const Scratch<T> slab(slab_ ? u.planes * plane_pitch_ : 0);
    if (slab_) fill_slab(u, slab.data());
    const Scratch<const T*> rows(positions);
    const Scratch<T*> outs(positions);
    const Scratch<T> sums(narrow_ ? positions * out_channels_ : 0);
    locate(u, slab.data(), rows.data());
    if (narrow_) {
      for (std::int64_t i = 0; i < positions; ++i) outs[i] = sums.data() + i * out_channels_;
    } else {
      for_each_place(
          u, [&](std::int64_t i, std::int64_t place) { outs[i] = static_cast<T*>(pass_.out) + place; });
    }

    std::int64_t first = 0, last = out_channels_;  // the channels that this part stores
    if (pass_.groups > 1 || parts_ == 1) {
      const std::int64_t begin = part * pass_.groups / parts_, end = (part + 1) * pass_.groups / parts_;
      for (std::int64_t group = begin; group < end; ++group)
        run_group(group, 0, panels_per_group_, positions, rows.data(), outs.data());
      first = begin * pass_.columns;
      last = end * pass_.columns;
    } else {
      const std::int64_t begin = part * panels_per_group_ / parts_,
                         end = (part + 1) * panels_per_group_ / parts_;
      run_group(0, begin, end, positions, rows.data(), outs.data());
      first = begin * tiles_.width();
      last = std::min(end * tiles_.width(), pass_.columns);
    }
    if (narrow_)
      for_each_place(u, [&](std::int64_t i, std::int64_t place) {
        narrow(outs[i] + first, static_cast<char*>(pass_.out) + (place + first) * size_of(pass_.dtype),
               pass_.dtype, last - first);
      });
  }

  // The input rows of a unit with their border: for every plane, tap of the depth, row: [width, channels].
  void fill_slab(const Unit& u, T* to) const {
    const std::int64_t left = std::max<std::int64_t>(0, -lowest(width_));
    const std::int64_t first = lowest(width_) + left;  // the leftmost source coordinate that is read
    const std::int64_t inside =
        std::clamp<std::int64_t>(width_.source - first, 0, std::max<std::int64_t>(slab_width_ - left, 0));
    const std::int64_t rows = span(height_, u.rows);
    for (std::int64_t plane = u.plane; plane < u.plane + u.planes; ++plane) {
      const std::int64_t sample = plane / depth_.outputs, o = plane % depth_.outputs;
      for (std::int64_t t = 0; t < depth_.taps; ++t) {
        const std::int64_t d = o * depth_.step + depth_.tap_first + t * depth_.tap_step;
        T* row = to + (plane - u.plane) * plane_pitch_ + t * tap_pitch_;
        for (std::int64_t i = 0; i < rows; ++i, row += row_pitch_) {
          const std::int64_t h = u.row * height_.step + lowest(height_) + i;
          if (d < 0 || d >= depth_.source || h < 0 || h >= height_.source || inside == 0) {
            std::fill(row, row + row_pitch_, T(0));
            continue;
          }
          std::fill(row, row + left * source_channels_, T(0));
          widen(
              pass_.source.at((((sample * depth_.source + d) * height_.source + h) * width_.source + first) *
                              source_channels_),
              row + left * source_channels_, inside * source_channels_);
          std::fill(row + (left + inside) * source_channels_, row + row_pitch_, T(0));
        }
      }
    }
  }

  // A pointer a position: to its first tap, in the slab or in the source itself.
  void locate(const Unit& u, const T* slab, const T** rows) const {
    const std::int64_t column_step = width_.step * source_channels_;
    for (std::int64_t plane = u.plane; plane < u.plane + u.planes; ++plane) {
      const std::int64_t sample = plane / depth_.outputs, o = plane % depth_.outputs;
      for (std::int64_t p = u.row; p < u.row + u.rows; ++p) {
        std::int64_t at = 0;
        if (slab_) {
          at = (plane - u.plane) * plane_pitch_ +
               ((p - u.row) * height_.step + height_.tap_first - lowest(height_)) * row_pitch_ +
               (width_.tap_first - lowest(width_)) * source_channels_;
        } else {
          at = (((sample * depth_.source + o * depth_.step + depth_.tap_first) * height_.source +
                 p * height_.step + height_.tap_first) *
                    width_.source +
                width_.tap_first) *
               source_channels_;
        }
        const T* base = (slab_ ? slab : pass_.source.template as<T>()) + at;
        for (std::int64_t q = 0; q < width_.outputs; ++q) *rows++ = base + q * column_step;
      }
    }
  }

  // fn(i, element): the first channel of the unit's position i in the output.
  template <class Fn>
  void for_each_place(const Unit& u, const Fn& fn) const {
    std::int64_t i = 0;
    for (std::int64_t plane = u.plane; plane < u.plane + u.planes; ++plane) {
      const std::int64_t sample = plane / depth_.outputs, o = plane % depth_.outputs;
      const std::int64_t d = sample * depth_.place + depth_.place_first + o * depth_.place_step;
      for (std::int64_t p = u.row; p < u.row + u.rows; ++p) {
        const std::int64_t h = d * height_.place + height_.place_first + p * height_.place_step;
        std::int64_t place = (h * width_.place + width_.place_first) * out_channels_;
        for (std::int64_t q = 0; q < width_.outputs; ++q, place += width_.place_step * out_channels_)
          fn(i++, place);
      }
    }
  }

  void run_group(std::int64_t group, std::int64_t panel_begin, std::int64_t panel_end, std::int64_t positions,
                 const T* const* rows, T* const* outs) const {
    Tile<T> tile;
    tile.shift = group * pass_.channels;
    tile.runs = runs_;
    const std::int64_t chunk =
        std::min(std::max<std::int64_t>(1, kChunkColumns / tiles_.width()), panel_end - panel_begin);
    const std::int64_t block_bytes = numerics::kBlock * chunk * tiles_.width() * std::int64_t{sizeof(T)};
    const std::int64_t step =
        std::clamp<std::int64_t>(kFilterBytes / block_bytes, 1, blocks_);  // blocks at a time
    const Scratch<Panel<T>> panels(chunk);
    const Scratch<T*> places(chunk);
    const Scratch<T> packed(panels_->by_task() ? step * numerics::kBlock * chunk * tiles_.width() : 0);
    for (std::int64_t block = 0; block < blocks_; block += step) {
      const std::int64_t term = block * numerics::kBlock,
                         end = std::min(term + step * numerics::kBlock, terms_);
      tile.block_runs = block_runs_ + block;
      tile.blocks = std::min(step, blocks_ - block);
      tile.accumulate = block > 0;
      const bool last = block + step >= blocks_;
      tile.relu = last && pass_.relu;
      for (std::int64_t from = panel_begin; from < panel_end; from += chunk) {
        const std::int64_t count = std::min(chunk, panel_end - from);
        T* to = packed.data();
        for (std::int64_t j = 0; j < count; ++j) {
          panels[j] = panels_->group(group)[from + j];
          places[j] = panels_->by_task() && panels[j].packed ? to : nullptr;
          if (places[j] == nullptr) {
            panels[j].b += term * panels[j].ldb;
          } else {
            panels[j].b = to;
            to += (end - term) * panels[j].ldb;
          }
        }
        if (to != packed.data()) panels_->pack(group, panels.data(), count, term, end, places.data());
        for (std::int64_t i = 0; i < positions;) {
          const std::int64_t height = tiles_.height(positions - i);
          tile.rows = rows + i;
          tile.out = outs + i;
          for (std::int64_t j = 0; j < count; ++j) {
            const Panel<T>& panel = panels[j];
            tile.b = panel.b;
            tile.ldb = panel.ldb;
            tile.columns = panel.columns;
            tile.out_shift = group * pass_.columns + panel.column;
            tile.bias = last && bias_ != nullptr ? bias_ + tile.out_shift : nullptr;
            tiles_.kernel[height - 1][panel.vectors - 1](tile);
          }
          i += height;
        }
      }
    }
  }

  const Pass& pass_;
  const PassAxis &depth_, &height_, &width_;
  const TileSet<T>& tiles_;
  const std::int64_t source_channels_, out_channels_, planes_, terms_, blocks_, panels_per_group_;
  const bool narrow_, slab_;
  std::int64_t unit_planes_ = 0, unit_rows_ = 0, units_per_plane_ = 0, units_ = 0, parts_ = 1;
  // Between neighbouring rows, taps of the depth, planes of the slab; without a slab the source's own.
  std::int64_t slab_width_ = 0, slab_rows_ = 0, row_pitch_ = 0, tap_pitch_ = 0, plane_pitch_ = 0;
  const Run* runs_ = nullptr;
  const std::int64_t* block_runs_ = nullptr;
  const FilterPanels<T>* panels_ = nullptr;
  const T* bias_ = nullptr;
};

}  // namespace

template <class T>
void run_pass(const Pass& pass) {
  PassRunner<T>(pass).run();
}
template void run_pass<float>(const Pass&);
template void run_pass<double>(const Pass&);

}  // namespace isobit::cpu::gemm
