// The driver of depthwise strips (conv_depthwise.h). Loops, outermost first:
//
//   task   a band of output rows of one sample, for some vectors of channels
//   pass   one, or the phases of an input gradient, which meet the same part of dy
//   rows   one, or two below each other where they share rows of the source
//   strip  up to 8 outputs
//   vector of channels
//
// Nothing is copied. Where the taps descend (input gradient) a strip is walked from its end, so that to the
// kernel they ascend: position i of the walk reads, at tap j, the coordinate first + sign * (i * step + j *
// reach). Strips follow each other as they lie in memory all the same. A strip that reads columns outside of
// the source, or rows, finds its elements by a table.
#include "cpu/kernels/conv_depthwise.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "core/numerics/order.h"
#include "cpu/kernels/conv_border.h"
#include "cpu/kernels/depthwise_strip.h"
#include "cpu/kernels/kernels.h"
#include "cpu/runtime/scratch.h"
#include "cpu/runtime/thread_pool.h"

namespace isobit::cpu::gemm {
namespace {

constexpr std::int64_t kTaskBytes = 256 << 10;  ///< of a band of the output
constexpr double kSerialWork = 1 << 18;         ///< multiply-adds that are not worth waking a thread
constexpr double kStreamBytes = 8 << 20;        ///< of an output
constexpr std::int64_t kLongestRow = std::int64_t{1} << 24;

std::int64_t divide_up(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

struct Walk {
  std::int64_t first, sign, step, reach;  ///< of coordinates
  std::int64_t place, place_step;         ///< of positions in the output

  explicit Walk(const PassAxis& axis)
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

// One pass, ready to run.
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
        channels_(pass.columns),
        set_(*strips<T>(width_.taps, width_.step)),
        vectors_(divide_up(channels_, set_.lanes)),
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
  std::int64_t vectors() const { return vectors_; }
  std::int64_t filter_elements() const { return empty() ? 0 : vectors_ * taps() * set_.lanes; }
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
          for (std::int64_t s = 0; s < width_.taps; ++s, filter += set_.lanes) {
            const auto index = [](const PassAxis& axis, std::int64_t tap) {
              return axis.filter_first + tap * axis.filter_step;
            };
            const std::int64_t tap =
                (index(depth_, t) * height_.filter + index(height_, r)) * width_.filter + index(width_, s);
            std::copy_n(from.template as<T>() + tap * pass_.tap_stride + channel, set_.lanes, filter);
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
    const bool down = rows_walk_.sign < 0;
    const std::int64_t first = down ? height_.outputs - end : begin;  // of the walk
    const std::int64_t rows_of_strip = pair_ ? 2 : 1, strips = divide_up(end - begin, rows_of_strip);
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
    strip.filter = filter_ + first_vector * taps() * set_.lanes;
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
        run_row(strip, rows, count, whole, i + 1 < strips ? next_rows(n, o, p, count) : nullptr);
      }
  }

  /// The rows [begin, end) of sample n as they lie in the output, all channels: what `then` is applied to.
  void activate(std::int64_t n, std::int64_t begin, std::int64_t end) const {
    const std::int64_t size = width_.place * channels_;
    for (std::int64_t o = 0; o < depth_.outputs; ++o) {
      const std::int64_t row = (n * depth_.outputs + o) * height_.outputs + begin;
      const View part{static_cast<T*>(pass_.out) + row * size, pass_.dtype, (end - begin) * size};
      kernels::unary(*pass_.then, pass_.parameter, part, part);
    }
  }

 private:
  static constexpr std::int64_t kMostLanes = 16;
  // Pointers to the rows that a row or a pair reads, and where columns lie in them: those of strips inside
  // are moved along.
  struct Rows {
    const T** at;
    const T** moved;
    const std::int64_t** offsets;
    const std::int64_t** offsets_moved;
  };

  // The widest strips that fit, of two that do those that compute less twice.
  int widest() const {
    int best = StripSet<T>::kWidths - 1;
    std::int64_t least = width_.outputs * 2;
    for (int i = 0; i < StripSet<T>::kWidths - 1; ++i) {
      const std::int64_t wide = set_.width[i], computed = divide_up(width_.outputs, wide) * wide;
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

  // The row of the source that the next strips will be the first to read, where there is one.
  const T* next_rows(std::int64_t n, std::int64_t o, std::int64_t p, std::int64_t count) const {
    const std::int64_t plane = depth_walk_.at(o, depth_.taps - 1),
                       row = rows_walk_.sign < 0 ? rows_walk_.at(p - 1, 0)
                                                 : rows_walk_.at(p + count, height_.taps - 1);
    if (plane < 0 || plane >= depth_.source || row < 0 ||
        row + (count - 1) * rows_walk_.step >= height_.source)
      return nullptr;
    return pass_.source.template as<T>() +
           ((n * depth_.source + plane) * height_.source + row) * width_.source * channels_;
  }

  // The part of the next `count` rows that lies where a strip reads these ones.
  void prefetch(const T* next, std::int64_t count, std::int64_t first, std::int64_t end) const {
    constexpr std::int64_t kLine = 64 / sizeof(T);
    first = std::clamp<std::int64_t>(first, 0, width_.source);
    end = std::clamp<std::int64_t>(end, first, width_.source);
    const std::int64_t pitch = rows_walk_.step * width_.source * channels_;
    for (std::int64_t i = 0; i < count; ++i)
      for (std::int64_t at = first * channels_; at < end * channels_; at += kLine)
        __builtin_prefetch(next + i * pitch + at);
  }

  void run_row(Strip<T>& strip, const Rows& rows, std::int64_t count, bool whole, const T* next) const {
    const std::int64_t wide = set_.width[strip_], step = width_.step;
    const std::int64_t held = depth_.taps * (height_.taps + count - 1);
    const auto& kernel = set_.kernel[strip_][count - 1];
    T* const out[2] = {strip.out[0], count > 1 ? strip.out[1] : nullptr};
    const std::int64_t strips = divide_up(width_.outputs, wide);
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
      if (next != nullptr && strip.vectors == vectors_)
        prefetch(next, count, std::min(column, last), std::min(column, last) + wide * step);
      kernel[inside ? 0 : 1](strip);
    }
  }

  const Pass& pass_;
  const PassAxis &depth_, &height_, &width_;
  const Walk rows_walk_, columns_walk_, depth_walk_;
  const std::int64_t channels_;
  const StripSet<T>& set_;
  const std::int64_t vectors_;
  const bool pair_;
  const std::int64_t columns_;
  const T* filter_ = nullptr;
  const std::int64_t *offsets_ = nullptr, *outside_ = nullptr;
  int strip_ = 0;
};

template <class T>
void run(std::span<const Pass> passes) {
  double work = 0;
  std::int64_t filter = 0, offsets = 0, rows = 1, vectors = 1;
  std::vector<StripPass<T>> ready;
  ready.reserve(passes.size());
  for (const Pass& pass : passes) {
    const StripPass<T>& p = ready.emplace_back(pass);
    work += static_cast<double>(pass.n * p.outputs()) * static_cast<double>(p.taps() * pass.columns);
    filter += p.filter_elements();
    offsets += p.offset_elements();
    rows = std::max(rows, p.rows());
    vectors = p.vectors();
  }
  const Scratch<T> filters(filter);
  const Scratch<std::int64_t> tables(offsets);
  filter = offsets = 0;
  for (StripPass<T>& p : ready) {
    p.prepare(filters.data() + filter, tables.data() + offsets);
    filter += p.filter_elements();
    offsets += p.offset_elements();
  }

  // Bands of about kTaskBytes of the output, an even number of rows; parts of at least two vectors, for the
  // last two may overlap.
  const Pass& any = passes[0];
  const std::int64_t threads = work < kSerialWork ? 1 : thread_count();
  double bytes = sizeof(T) * static_cast<double>(any.columns) / static_cast<double>(rows);
  for (const PassAxis& axis : any.axis) bytes *= static_cast<double>(axis.place);
  std::int64_t band = std::max<std::int64_t>(2, static_cast<std::int64_t>(kTaskBytes / std::max(bytes, 1.0)));
  if (threads > 1) band = std::min(band, divide_up(any.n * rows, 4 * threads));
  band = divide_up(std::min(band, rows), 2) * 2;
  const std::int64_t bands = divide_up(rows, band);
  std::int64_t parts = 1;
  if (threads > 1 && any.n * bands < 2 * threads && !any.then)
    parts = std::clamp<std::int64_t>(divide_up(2 * threads, any.n * bands), 1,
                                     std::max<std::int64_t>(1, vectors / 2));
  parallel_for(any.n * bands * parts, [&](std::int64_t task) {
    const std::int64_t n = task / (bands * parts), index = task / parts % bands, part = task % parts;
    for (const StripPass<T>& p : ready) {
      const std::int64_t begin = std::min(index * band, p.rows()), end = std::min(begin + band, p.rows());
      if (p.empty() || begin == end) continue;
      p.run(n, begin, end, part * vectors / parts, (part + 1) * vectors / parts);
      if (any.then) p.activate(n, begin, end);
    }
    if (ready[0].streams()) flush_strips();
  });
}

}  // namespace

const char* refuse_strips(const Pass& pass) {
  if (pass.dtype != DType::f32 && pass.dtype != DType::f64) return "elements to be widened";
  if (pass.bias.data != nullptr && pass.bias.dtype != pass.dtype) return "a bias of another type";
  const PassAxis &depth = pass.axis[0], &height = pass.axis[1], &width = pass.axis[2];
  // The products of extents fit 63 bits; filters alone may be huge.
  if (depth.taps < 1 || height.taps < 1 || width.taps < 1) return "no taps";
  if (depth.taps > numerics::kBlock || height.taps > numerics::kBlock || width.taps > numerics::kBlock ||
      depth.taps * height.taps * width.taps > numerics::kBlock)
    return "more than one block of taps";
  if (depth.source < 1 || height.source < 1 || width.source < 1) return "an empty source";
  if (width.taps > 1 && width.tap_step != 1 && width.tap_step != -1) return "columns dilated";
  if (width.outputs > kLongestRow || width.source > kLongestRow) return "rows too long for a table";
  const auto with = [&]<class T>(T) -> const char* {
    const StripSet<T>* set = strips<T>(width.taps, width.step);
    if (set == nullptr) return "no strips for the filter's width and stride";
    if (pass.columns < set->lanes) return "fewer channels than a vector holds";
    return nullptr;
  };
  return pass.dtype == DType::f64 ? with(double{}) : with(float{});
}

void run_strips(std::span<const Pass> passes) {
  if (passes.empty() || passes[0].n == 0) return;
  passes[0].dtype == DType::f64 ? run<double>(passes) : run<float>(passes);
}

}  // namespace isobit::cpu::gemm
