// One pass in strips (conv_depthwise.h), depthwise or of small groups. Loops of a task, outermost first:
//
//   part   some vectors of channels: all of the task's, or, of groups, as many as leave their filter in the
//          first-level cache
//   rows   one, or two below each other where they share rows of the source
//   strip  up to 8 outputs
//   vector of channels
//
// Nothing is copied. Where the taps descend (input gradient) a strip is walked from its end, so that to the
// kernel they ascend: position i of the walk reads, at tap j, the coordinate first + sign * (i * step + j *
// reach). Strips follow each other as they lie in memory all the same. A strip that reads columns outside of
// the source, or rows, finds its elements by a table.
#pragma once
#include <algorithm>
#include <cstdint>

#include "cpu/kernels/conv_border.h"
#include "cpu/kernels/conv_pass.h"
#include "cpu/kernels/depthwise_strip.h"
#include "cpu/kernels/group_strip.h"
#include "cpu/kernels/kernels.h"
#include "cpu/runtime/scratch.h"

namespace isobit::cpu::gemm {

/// How many parts of `size` hold `count`.
inline std::int64_t strips_over(std::int64_t count, std::int64_t size) {
  return (count + size - 1) / size;
}

/// An axis as a kernel walks it.
struct StripWalk {
  std::int64_t first, sign, step, reach;  ///< of coordinates
  std::int64_t place, place_step;         ///< of positions in the output

  explicit StripWalk(const PassAxis& axis)
      : first(axis.tap_first),
        sign(axis.taps > 1 && axis.tap_step < 0 ? -1 : 1),
        step(axis.step),
        reach(axis.taps > 1 ? sign * axis.tap_step : 1),
        place(axis.place_first),
        place_step(axis.place_step) {
    if (sign > 0) return;
    first += (axis.outputs - 1) * step;
    place += (axis.outputs - 1) * place_step;
    place_step = -place_step;
  }
  std::int64_t at(std::int64_t position, std::int64_t tap) const {
    return first + sign * (position * step + tap * reach);
  }
  std::int64_t place_of(std::int64_t position) const { return place + position * place_step; }
};

/// Channels of a group: terms of a tap.
inline std::int64_t group_of(const Pass& pass) {
  return pass.depthwise ? 1 : pass.channels;
}

/// The kernels of a pass, null where there are none.
template <class T>
const StripSet<T>* strip_set_of(const Pass& pass) {
  const PassAxis& width = pass.axis[2];
  return pass.depthwise ? strips<T>(width.taps, width.step)
                        : group_strips<T>(pass.channels, width.taps, width.step);
}

/// One pass, ready to run; T is its type.
template <class T>
class StripPass {
 public:
  explicit StripPass(const Pass& pass)
      : pass_(pass),
        depth_(pass.axis[0]),
        height_(pass.axis[1]),
        width_(pass.axis[2]),
        rows_walk_(height_),
        columns_walk_(width_),
        depth_walk_(depth_),
        group_(group_of(pass)),
        channels_(pass.groups * pass.columns),
        set_(*strip_set_of<T>(pass)),
        vectors_(strips_over(channels_, set_.lanes)),
        asks_(static_cast<double>(pass.n * depth_.source * height_.source) *
                  static_cast<double>(width_.source * channels_ * std::int64_t{sizeof(T)}) >=
              kAskBytes),
        pair_(set_.rows == 2 && rows_walk_.step == 1 && rows_walk_.reach == 1),
        columns_((width_.outputs - 1) * width_.step + width_.taps) {}

  /// Outputs far larger than the cache do not pass through it, where a vector is a line.
  bool streams() const {
    constexpr std::int64_t kLine = 64, size = sizeof(T);
    const double bytes = static_cast<double>(pass_.n * depth_.place * height_.place) *
                         static_cast<double>(width_.place * channels_ * size);
    return bytes >= kStreamBytes && set_.lanes * size == kLine && channels_ * size % kLine == 0 &&
           reinterpret_cast<std::uintptr_t>(pass_.out) % kLine == 0 && !pass_.then;
  }

  bool empty() const { return depth_.outputs * height_.outputs * width_.outputs == 0; }
  std::int64_t taps() const { return depth_.taps * height_.taps * width_.taps; }
  std::int64_t outputs() const { return depth_.outputs * height_.outputs * width_.outputs; }
  std::int64_t rows() const { return height_.outputs; }
  std::int64_t channels() const { return channels_; }
  std::int64_t vectors() const { return vectors_; }
  std::int64_t filter_elements() const { return empty() ? 0 : vectors_ * vector_filter(); }
  /// Of every column that the taps read, and as many -1.
  std::int64_t offset_elements() const { return empty() ? 0 : 2 * columns_; }

  void prepare(T* filter, std::int64_t* offsets) {
    if (empty()) return;
    filter_ = filter;
    const Source from = pass_.filter;
    for (std::int64_t v = 0; v < vectors_; ++v) {
      const std::int64_t channel = std::min(v * set_.lanes, channels_ - set_.lanes);
      for (std::int64_t t = 0; t < depth_.taps; ++t)
        for (std::int64_t r = 0; r < height_.taps; ++r)
          for (std::int64_t s = 0; s < width_.taps; ++s, filter += group_ * set_.lanes) {
            const auto index = [](const PassAxis& axis, std::int64_t tap) {
              return axis.filter_first + tap * axis.filter_step;
            };
            const std::int64_t tap =
                (index(depth_, t) * height_.filter + index(height_, r)) * width_.filter + index(width_, s);
            copy_tap(from.template as<T>() + tap * pass_.tap_stride, channel, filter);
          }
    }
    offsets_ = offsets;
    outside_ = offsets + columns_;
    const BorderAxis axis{width_.source, width_.mode};
    for (std::int64_t u = 0; u < columns_; ++u) {
      const std::int64_t column = axis.at(columns_walk_.first + columns_walk_.sign * u);
      offsets[u] = column < 0 ? -1 : column * channels_;
      offsets[columns_ + u] = -1;
    }
    strip_ = widest();
  }

  /// Rows [begin, end) of sample n, in the order of memory.
  void run(std::int64_t n, std::int64_t begin, std::int64_t end, std::int64_t first_vector,
           std::int64_t last_vector) const {
    const std::int64_t bytes = vector_filter() * std::int64_t{sizeof(T)},
                       part = group_ == 1 ? vectors_ : std::max<std::int64_t>(1, kFilterBytes / bytes);
    for (std::int64_t v = first_vector; v < last_vector; v += part)
      run_part(n, begin, end, v, std::min(v + part, last_vector));
  }

  /// The rows [begin, end) of sample n as they lie in the output, all channels: what `then` is applied to.
  void activate(std::int64_t n, std::int64_t begin, std::int64_t end) const {
    const std::int64_t size = width_.place * channels_;
    for (std::int64_t o = 0; o < depth_.outputs; ++o) {
      const std::int64_t row = (n * depth_.outputs + o) * height_.outputs + begin;
      const View part{static_cast<T*>(pass_.out) + row * size, pass_.dtype, (end - begin) * size};
      pass_.then->apply(part, 0, channels_);
    }
  }

 private:
  static constexpr double kStreamBytes = 8 << 20;         ///< of an output
  static constexpr double kAskBytes = 8 << 20;            ///< of a source
  static constexpr std::int64_t kFilterBytes = 20 << 10;  ///< of groups, that all strips of a band meet
  static constexpr std::int64_t kMostLanes = 16;
  // Pointers to the rows that a row or a pair reads, and where columns lie in them: those of strips inside
  // are moved along.
  struct Rows {
    const T** at;
    const T** moved;
    const std::int64_t** offsets;
    const std::int64_t** offsets_moved;
  };

  std::int64_t vector_filter() const { return taps() * group_ * set_.lanes; }

  // A tap of a vector of channels: [channels of a group][lanes].
  void copy_tap(const T* from, std::int64_t channel, T* to) const {
    const std::int64_t lanes = set_.lanes;
    if (group_ == 1) {
      std::copy_n(from + channel, lanes, to);
      return;
    }
    for (std::int64_t first = 0; first < lanes; first += group_) {
      const T* const of = from + (channel + first) / group_ * pass_.group_stride;
      switch (group_) {
        case 2:
          copy_group<2>(of, to + first);
          break;
        case 4:
          copy_group<4>(of, to + first);
          break;
        default:
          copy_group<8>(of, to + first);
      }
    }
  }

  // Of one group: [channels][lanes].
  template <std::int64_t kGroup>
  void copy_group(const T* from, T* to) const {
    const std::int64_t lanes = set_.lanes, channel = pass_.channel_stride, column = pass_.column_stride;
    if (column == 1) {
      for (std::int64_t i = 0; i < kGroup; ++i) std::copy_n(from + i * channel, kGroup, to + i * lanes);
    } else {
      for (std::int64_t j = 0; j < kGroup; ++j)
        for (std::int64_t i = 0; i < kGroup; ++i) to[i * lanes + j] = from[i * channel + j * column];
    }
  }

  // run() for vectors whose filter stays in the cache.
  void run_part(std::int64_t n, std::int64_t begin, std::int64_t end, std::int64_t first_vector,
                std::int64_t last_vector) const {
    const bool down = rows_walk_.sign < 0;
    const std::int64_t first = down ? height_.outputs - end : begin;  // of the walk
    const std::int64_t rows_of_strip = pair_ ? 2 : 1, strips = strips_over(end - begin, rows_of_strip);
    const std::int64_t held = height_.taps + 1;
    const Scratch<const T*> room(2 * depth_.taps * held);
    const Scratch<const std::int64_t*> offset_room(2 * depth_.taps * held);
    Rows rows{room.data(), room.data() + depth_.taps * held, offset_room.data(),
              offset_room.data() + depth_.taps * held};
    alignas(64) T border[kMostLanes];
    std::fill_n(border, kMostLanes, static_cast<T>(pass_.border));

    Strip<T> strip;
    strip.planes = depth_.taps;
    strip.row_taps = height_.taps;
    strip.column_step = columns_walk_.sign * channels_;
    strip.border = border;
    strip.filter = filter_ + first_vector * vector_filter();
    strip.channels = channels_;
    strip.first_vector = first_vector;
    strip.vectors = last_vector - first_vector;
    strip.out_step = columns_walk_.place_step * channels_;
    strip.bias = pass_.bias.template as<T>();
    strip.relu = pass_.relu;
    strip.stream = streams();
    for (std::int64_t o = 0; o < depth_.outputs; ++o)
      for (std::int64_t i = 0; i < strips; ++i) {
        const std::int64_t p = first + (down ? strips - 1 - i : i) * rows_of_strip;
        const std::int64_t count = std::min(rows_of_strip, first + end - begin - p);
        const bool whole = locate(n, o, p, count, rows);
        for (std::int64_t j = 0; j < count; ++j) {
          const std::int64_t row =
              (n * depth_.place + depth_walk_.place_of(o)) * height_.place + rows_walk_.place_of(p + j);
          strip.out[j] =
              static_cast<T*>(pass_.out) + (row * width_.place + columns_walk_.place_of(0)) * channels_;
        }
        run_row(strip, rows, count, whole, asks_ && i + 1 < strips ? next_rows(n, o, p, count) : Fresh{});
      }
  }

  // The widest strips that fit, of two that do those that compute less twice.
  int widest() const {
    int best = StripSet<T>::kWidths - 1;
    std::int64_t least = width_.outputs * 2;
    for (int i = 0; i < StripSet<T>::kWidths - 1; ++i) {
      const std::int64_t wide = set_.width[i], computed = strips_over(width_.outputs, wide) * wide;
      if (wide > width_.outputs) continue;
      if (i > 1 && best < i) break;
      if (computed < least) {
        best = i;
        least = computed;
      }
    }
    return best;
  }

  // Whether all rows lie inside.
  bool locate(std::int64_t n, std::int64_t o, std::int64_t p, std::int64_t count, const Rows& rows) const {
    const BorderAxis depth{depth_.source, depth_.mode}, height{height_.source, height_.mode};
    const T* const source = pass_.source.template as<T>();
    bool whole = true;
    std::int64_t i = 0;
    for (std::int64_t t = 0; t < depth_.taps; ++t) {
      const std::int64_t plane = depth.at(depth_walk_.at(o, t));
      for (std::int64_t r = 0; r < height_.taps + count - 1; ++r, ++i) {
        const std::int64_t row = plane < 0 ? -1 : height.at(rows_walk_.at(p, r));
        whole = whole && row >= 0;
        rows.at[i] = row < 0 ? source
                             : source + ((n * depth_.source + plane) * height_.source + row) * width_.source *
                                            channels_;
        rows.offsets[i] = row < 0 ? outside_ : offsets_;
      }
    }
    return whole;
  }

  // Rows of the source that lie below each other.
  struct Fresh {
    const T* first = nullptr;
    std::int64_t count = 0;
  };

  // Those that the next strips will be the first to read, where all of them exist.
  Fresh next_rows(std::int64_t n, std::int64_t o, std::int64_t p, std::int64_t count) const {
    const bool down = rows_walk_.sign < 0;
    const std::int64_t plane = depth_walk_.at(o, depth_.taps - 1),
                       fresh = rows_walk_.reach == 1 ? std::min(rows_walk_.step, height_.taps) : 1,
                       row = down ? rows_walk_.at(p - 1, 0)
                                  : rows_walk_.at(p + count, height_.taps - 1) - (fresh - 1),
                       rows = (count - 1) * rows_walk_.step + fresh;
    if (plane < 0 || plane >= depth_.source || row < 0 || row + rows > height_.source) return {};
    return {pass_.source.template as<T>() +
                ((n * depth_.source + plane) * height_.source + row) * width_.source * channels_,
            rows};
  }

  // The part of `next` that lies where a strip reads these rows: columns [first, end).
  void prefetch(const Strip<T>& strip, const Fresh& next, std::int64_t first, std::int64_t end) const {
    constexpr std::int64_t kLine = 64 / sizeof(T);
    first = std::clamp<std::int64_t>(first, 0, width_.source);
    end = std::clamp<std::int64_t>(end, first, width_.source);
    const std::int64_t pitch = width_.source * channels_;
    const bool whole = strip.vectors == vectors_;
    const std::int64_t from = whole ? 0 : strip.first_vector * set_.lanes;
    const std::int64_t size =
        whole ? (end - first) * channels_ : std::min(strip.vectors * set_.lanes, channels_ - from);
    const T* const at_first = next.first + first * channels_ + from;
    for (std::int64_t i = 0; i < next.count; ++i)
      for (std::int64_t run = 0; run < (whole ? 1 : end - first); ++run)
        for (std::int64_t at = 0; at < size; at += kLine) {
          __builtin_prefetch(at_first + i * pitch + run * channels_ + at);
          asm volatile("");  // GCC drops calls of functions that do nothing but ask
        }
  }

  void run_row(Strip<T>& strip, const Rows& rows, std::int64_t count, bool whole, const Fresh& next) const {
    const std::int64_t wide = set_.width[strip_], step = width_.step;
    const std::int64_t held = depth_.taps * (height_.taps + count - 1);
    const auto& kernel = set_.kernel[strip_][count - 1];
    T* const out[2] = {strip.out[0], count > 1 ? strip.out[1] : nullptr};
    const std::int64_t strips = strips_over(width_.outputs, wide);
    for (std::int64_t index = 0; index < strips; ++index) {
      const std::int64_t q = (columns_walk_.sign < 0 ? strips - 1 - index : index) * wide;
      const std::int64_t from = std::min(q, width_.outputs - wide);  // some at the end once more
      const std::int64_t column = columns_walk_.at(from, 0),
                         last = columns_walk_.at(from, 0) +
                                columns_walk_.sign * ((wide - 1) * step + width_.taps - 1);
      const bool inside = strip_ < StripSet<T>::kWidths - 2 && whole && std::min(column, last) >= 0 &&
                          std::max(column, last) < width_.source;
      for (std::int64_t i = 0; i < count; ++i) strip.out[i] = out[i] + from * strip.out_step;
      if (inside) {
        for (std::int64_t i = 0; i < held; ++i) rows.moved[i] = rows.at[i] + column * channels_;
        strip.rows = rows.moved;
      } else {
        for (std::int64_t i = 0; i < held; ++i) rows.offsets_moved[i] = rows.offsets[i] + from * step;
        strip.rows = rows.at;
        strip.offsets = rows.offsets_moved;
      }
      if (next.count > 0 && (strip.vectors == vectors_ || group_ > 1))
        prefetch(strip, next, std::min(column, last), std::min(column, last) + wide * step);
      kernel[inside ? 0 : 1](strip);
    }
  }

  const Pass& pass_;
  const PassAxis &depth_, &height_, &width_;
  const StripWalk rows_walk_, columns_walk_, depth_walk_;
  const std::int64_t group_, channels_;
  const StripSet<T>& set_;
  const std::int64_t vectors_;
  const bool asks_, pair_;
  const std::int64_t columns_;
  const T* filter_ = nullptr;
  const std::int64_t *offsets_ = nullptr, *outside_ = nullptr;
  int strip_ = 0;
};

}  // namespace isobit::cpu::gemm
