// The driver of conv_over_space.h. Loops, outermost first:
//
//   task   a box of positions (conv_over_space_plan.h); its slab of the source, with its border, is
//          transposed from [row, column, channel] to [channel, row, column], f16 and bf16 widened
//   phase  the passes that read the slab
//   tile   vectors of positions, all columns, through all terms
//
// Each element is the blocked chain over (taps, channels) that run_pass computes. Taps in the border are
// never left out. Bias, relu, rounding to the type of the output and the interleaving of the columns come
// when a task's positions have their sums, row after row. No twin: conv_over_space_tile.cpp says why.
#include "cpu/kernels/conv_over_space.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>
#include <vector>

#include "cpu/kernels/conv_border.h"
#include "cpu/kernels/conv_over_space_order.h"
#include "cpu/kernels/conv_over_space_plan.h"
#include "cpu/kernels/conv_over_space_runs.h"
#include "cpu/kernels/conv_over_space_tile.h"
#include "cpu/kernels/kernels.h"
#include "cpu/runtime/properties.h"
#include "cpu/runtime/scratch.h"
#include "cpu/runtime/thread_pool.h"

namespace isobit::cpu::gemm {
namespace {

constexpr std::int64_t kSlack = 64;       ///< elements that the last tile of a task may read behind its slab
constexpr std::int64_t kLine = 64;        ///< bytes of a cache line
constexpr std::int64_t kMostKept = 4096;  ///< runs
constexpr std::int64_t kWidened = 32;     ///< columns of f16 or bf16 that are widened at a time

std::int64_t divide_up(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

template <class T>
class SpaceRunner {
 public:
  SpaceRunner(const Pass& pass, std::span<const PassAxes> phases)
      : pass_(pass),
        phases_(phases),
        plan_(last_plan_over_space(pass, phases, sizeof(T), thread_count())),
        tiles_(space_tiles<T>(pass.columns, plan_.shared > 1)),
        channels_(pass.channels),
        columns_(pass.columns),
        lane_columns_(pass.columns * plan_.shared),
        narrow_(size_of(pass.dtype) != sizeof(T)),
        far_(source_bytes() > static_cast<double>(last_level_cache())) {}

  void run() {
    const std::int64_t count = static_cast<std::int64_t>(phases_.size());
    std::int64_t most_runs = 0, elements = 0;
    for (const PassAxes& phase : phases_) {
      const std::int64_t terms = terms_of(pass_, phase);
      most_runs += plan_.shared * (terms / channels_ + numerics::block_count(terms));
      elements += terms * columns_;
    }
    // The runs of the last call on this thread, if they are the same.
    thread_local KeptRuns kept;
    const std::array<std::int64_t, 5> of{plan_.number, pass_.tap_stride, pass_.channel_stride,
                                         pass_.column_stride, size_of(pass_.filter.dtype)};
    const bool known = kept.of == of;
    if (!known) {
      kept.of = {};
      kept.runs.resize(static_cast<std::size_t>(most_runs));
      kept.counts.resize(phases_.size());
    }
    const Scratch<T> filter(elements), bias(columns_);
    const Scratch<Part> parts(count);
    SpaceRun* next_run = kept.runs.data();
    T* next_filter = filter.data();
    for (std::int64_t i = 0; i < count; ++i) {
      const auto index = static_cast<std::size_t>(i);
      const SpaceFilter<T> taps = space_filter(pass_, phases_[index], next_filter);
      if (!known)
        kept.counts[index] = plan_space_runs(pass_, plan_, phases_[index], taps, next_run) - next_run;
      parts[i] = {next_run, kept.counts[index], taps.data, 0};
      next_run += kept.counts[index];
      for (const SpaceRun* run = parts[i].runs; run != next_run; ++run) parts[i].terms += run->length;
      next_filter += terms_of(pass_, phases_[index]) * columns_;
    }
    kept.of = of;
    if (pass_.bias.data != nullptr) widen(pass_.bias, bias.data(), columns_);
    bias_ = pass_.bias.data != nullptr ? bias.data() : nullptr;
    parts_ = parts.data();
    parallel_for(plan_.units(), [&](std::int64_t unit) { run_task(unit); });
    if (most_runs > kMostKept) kept = {};
  }

 private:
  // What the tiles of a phase go through.
  struct Part {
    const SpaceRun* runs;
    std::int64_t run_count;
    const T* filter;
    std::int64_t terms;  ///< that a tile goes through, those of rows that share a load counted once
  };
  struct KeptRuns {
    std::array<std::int64_t, 5> of{};  ///< the plan's number, and what tells where the filter's numbers lie
    std::vector<SpaceRun> runs;        ///< phase after phase
    std::vector<std::int64_t> counts;  ///< of each
  };
  // A task: planes (n, depth), rows of outputs, columns.
  struct Unit {
    std::int64_t plane, planes, row, rows, column, columns;
  };

  Unit unit(std::int64_t index) const {
    const std::int64_t column = index % plan_.column_units * plan_.columns;
    index /= plan_.column_units;
    const std::int64_t height = plan_.rows * plan_.shared, row = index % plan_.row_units * height;
    const std::int64_t plane = index / plan_.row_units * plan_.planes;
    return {plane,  std::min(plan_.planes, plan_.all_planes - plane),
            row,    std::min(height, plan_.height.outputs - row),
            column, std::min(plan_.columns, plan_.width.outputs - column)};
  }

  void run_task(std::int64_t index) const {
    const Unit u = unit(index);
    const std::int64_t slab_size =
        static_cast<std::int64_t>(plan_.depth.remainders.size()) * plan_.depth_pitch + kSlack;
    const Scratch<T> slab(slab_size);
    fill_slab(u, slab.data());
    std::fill_n(slab.data() + slab_size - kSlack, kSlack, T(0));

    const std::int64_t all = plan_.positions(u.planes, divide_up(u.rows, plan_.shared), u.columns);
    const std::int64_t sums_pitch = (divide_up(all, tiles_.lanes) + 1) * tiles_.lanes;
    const Scratch<T> sums(lane_columns_ * sums_pitch);
    const auto [first_ahead, behind_ahead] = next_rows(u);
    const char* ahead = first_ahead;
    for (std::size_t i = 0; i < phases_.size(); ++i) {
      const PassAxes& phase = phases_[i];
      Unit part = u;
      part.rows = std::min(u.rows, phase[1].outputs - u.row);
      part.columns = std::min(u.columns, phase[2].outputs - u.column);
      if (part.rows <= 0 || part.columns <= 0) continue;
      // Through all planes, or plane after plane without the rows between them, whatever takes fewer vectors.
      const std::int64_t lane_rows = divide_up(part.rows, plan_.shared), lanes = tiles_.lanes;
      std::int64_t stretches = 1;
      std::int64_t vectors = divide_up(plan_.positions(u.planes, lane_rows, part.columns), lanes);
      const std::int64_t of_plane = divide_up(plan_.positions(1, lane_rows, part.columns), lanes);
      if (of_plane * u.planes < vectors) {
        stretches = u.planes;
        vectors = of_plane;
      }
      for (std::int64_t stretch = 0; stretch < stretches; ++stretch) {
        const std::int64_t first = stretch * plan_.plane_rows * plan_.pitch;
        SpaceTile<T> tile{slab.data() + first,
                          plan_.channel_pitch,
                          parts_[i].runs,
                          parts_[i].run_count,
                          parts_[i].filter,
                          sums.data() + first,
                          sums_pitch,
                          nullptr,
                          0};
        for (std::int64_t left = vectors; left > 0;) {
          const std::int64_t some = tiles_.vectors(left);
          tile.ahead = ahead;
          tile.ahead_step = behind_ahead - ahead >= parts_[i].terms * kLine ? kLine : 0;
          tiles_.kernel[some - 1](tile);
          ahead += parts_[i].terms * tile.ahead_step;
          tile.source += some * lanes;
          tile.sums += some * lanes;
          left -= some;
        }
      }
      store(phase, part, sums.data(), sums_pitch);
    }
  }

  // Where the rows of the source lie that this thread's next task will read and this one does not: while the
  // tiles multiply, they can come from memory.
  std::pair<const char*, const char*> next_rows(const Unit& u) const {
    const std::int64_t pixel = channels_ * size_of(pass_.source.dtype), height = phases_[0][1].source,
                       row = phases_[0][2].source * pixel;
    const char* const data = static_cast<const char*>(pass_.source.data);
    const std::int64_t all = pass_.n * phases_[0][0].source * height;
    const std::int64_t rows = plan_.row_units > 1 ? u.rows * pass_step(1) : u.planes * height;
    const std::int64_t here =
        u.plane * height +
        (plan_.row_units > 1 ? (u.row + plan_.height.reach * plan_.shared) * pass_step(1) : 0);
    const std::int64_t begin = std::min(all, here + rows * thread_count());
    return {data + begin * row, data + std::min(all, begin + rows) * row};
  }

  // Rows of the source that no position of the task reads are +0: they meet lanes that are not stored.
  void fill_slab(const Unit& u, T* slab) const {
    const auto axis = [&](std::size_t i) { return BorderAxis{phases_[0][i].source, phases_[0][i].mode}; };
    const Bordered<T> source{pass_.source, axis(0),   axis(1),
                             axis(2),      channels_, static_cast<T>(pass_.border)};
    const std::int64_t widths = static_cast<std::int64_t>(plan_.width.remainders.size());
    const std::int64_t rows = divide_up(u.rows, plan_.shared) + plan_.height.reach;
    const std::int64_t outputs = plan_.depth.outputs;
    const Scratch<const T*> pixels(plan_.pitch);
    const Scratch<T> border(channels_);
    std::fill_n(border.data(), channels_, source.value);
    for (const std::int64_t distance : plan_.depth.remainders) {
      for (std::int64_t plane = u.plane; plane < u.plane + u.planes; ++plane) {
        const std::int64_t d = plane % outputs * pass_step(0) + plan_.depth.low + distance;
        const std::int64_t from_plane = d > plan_.depth.high ? -1 : source.depth.at(d);
        T* piece = slab + (plane - u.plane) * plan_.plane_rows * plan_.pitch;
        for (const std::int64_t remainder : plan_.height.remainders) {
          for (std::int64_t i = 0; i < rows; ++i) {
            const std::int64_t h =
                u.row * pass_step(1) + plan_.height.low + remainder + i * plan_.height.step;
            const bool read = d <= plan_.depth.high && h <= plan_.height.high;
            const std::int64_t from_row = read && from_plane >= 0 ? source.height.at(h) : -1;
            T* const to = piece + i * plan_.pitch;
            if (from_row < 0) {
              for (std::int64_t area = 0; area < widths; ++area)
                fill(to + area * plan_.area, 0, plan_.pitch, read ? source.value : T(0));
            } else {
              const std::int64_t row =
                  ((plane / outputs * source.depth.extent + from_plane) * source.height.extent + from_row) *
                  source.width.extent;
              for (std::int64_t area = 0; area < widths; ++area)
                transpose_row(source, row, u.column, area, border.data(), pixels.data(),
                              to + area * plan_.area);
            }
          }
          piece += widths * plan_.area;
        }
      }
      slab += plan_.depth_pitch;
    }
  }

  double source_bytes() const {
    double bytes =
        static_cast<double>(pass_.n) * static_cast<double>(channels_ * size_of(pass_.source.dtype));
    for (const PassAxis& axis : phases_[0]) bytes *= static_cast<double>(axis.source);
    return bytes;
  }

  std::int64_t pass_step(std::size_t axis) const { return phases_[0][axis].step; }

  // Places [begin, end) of a row, in all channels.
  void fill(T* to, std::int64_t begin, std::int64_t end, T value) const {
    if (begin >= end) return;
    for (std::int64_t channel = 0; channel < channels_; ++channel, to += plan_.channel_pitch)
      std::fill(to + begin, to + end, value);
  }

  // A row of an area: the columns of one remainder, from the task's first column on. `row` is the element,
  // in pixels, where the row of the source starts; `outside` a pixel of the border.
  void transpose_row(const Bordered<T>& source, std::int64_t row, std::int64_t column, std::int64_t area,
                     const T* outside, const T** pixels, T* to) const {
    const std::int64_t step = plan_.width.step;
    const std::int64_t first =
        column * step + plan_.width.low + plan_.width.remainders[static_cast<std::size_t>(area)];
    const auto behind = [&](std::int64_t end) {  // the first place whose coordinate is not before `end`
      return std::clamp<std::int64_t>(end <= first ? 0 : divide_up(end - first, step), 0, plan_.pitch);
    };
    const std::int64_t read = behind(plan_.width.high + 1);
    const std::int64_t begin = std::min(behind(0), read), end = std::min(behind(source.width.extent), read);
    if (size_of(source.source.dtype) == sizeof(T)) {
      const T* const data = source.source.template as<T>() + row * channels_;
      const auto locate = [&](std::int64_t from, std::int64_t until) {
        for (std::int64_t i = from; i < until; ++i) {
          const std::int64_t at = source.width.at(first + i * step);
          pixels[i] = at < 0 ? outside : data + at * channels_;
        }
      };
      locate(0, begin);
      if (begin < end)
        put_pointers(data + (first + begin * step) * channels_, step * channels_, end - begin,
                     pixels + begin);
      locate(end, read);
      std::fill(pixels + read, pixels + plan_.pitch, outside);
      return gather_pixels(pixels, plan_.pitch, channels_, far_, to, plan_.channel_pitch);
    }
    const auto border = [&](std::int64_t from, std::int64_t until) {
      if (source.width.mode == PadMode::constant) return fill(to, from, until, source.value);
      for (std::int64_t i = from; i < until; ++i)
        transpose_columns(source.source.at((row + source.width.at(first + i * step)) * channels_), 1, 1,
                          to + i);
    };
    border(0, begin);
    if (begin < end)
      transpose_columns(source.source.at((row + first + begin * step) * channels_), step, end - begin,
                        to + begin);
    border(end, read);
    fill(to, read, plan_.pitch, T(0));
  }

  // to[channel][i] = pixel i * step, of f16 or bf16
  void transpose_columns(Source from, std::int64_t step, std::int64_t count, T* to) const {
    const Scratch<T> widened(std::min(kWidened, count) * channels_);
    for (std::int64_t i = 0; i < count; i += kWidened) {
      const std::int64_t some = std::min(kWidened, count - i);
      if (step == 1) {
        widen(from.at(i * channels_), widened.data(), some * channels_);
      } else {
        for (std::int64_t j = 0; j < some; ++j)
          widen(from.at((i + j) * step * channels_), widened.data() + j * channels_, channels_);
      }
      transpose(widened.data(), channels_, channels_, some, to + i, plan_.channel_pitch);
    }
  }

  // A phase's part of a task: from sums to elements of the output.
  void store(const PassAxes& phase, const Unit& u, const T* sums, std::int64_t sums_pitch) const {
    const PassAxis &depth = phase[0], &height = phase[1], &width = phase[2];
    const std::int64_t size = size_of(pass_.dtype), pixel = columns_ * size, pitch = pass_.pitch() * size;
    const bool dense = width.place_step == 1 && pitch == pixel;
    const Scratch<T> row_sums(dense && !narrow_ ? 0 : u.columns * columns_);
    const Scratch<char> row_elements(dense || !narrow_ ? 0 : u.columns * pixel);
    for (std::int64_t plane = u.plane; plane < u.plane + u.planes; ++plane) {
      const std::int64_t sample = plane / plan_.depth.outputs, o = plane % plan_.depth.outputs;
      if (o >= depth.outputs) continue;
      const std::int64_t d = sample * depth.place + depth.place_first + o * depth.place_step;
      for (std::int64_t p = 0; p < u.rows; ++p) {
        const std::int64_t h = d * height.place + height.place_first + (u.row + p) * height.place_step;
        const std::int64_t first = h * width.place + width.place_first + u.column * width.place_step;
        char* const out = static_cast<char*>(pass_.out) + first * pitch;
        const T* const from = sums + p % plan_.shared * columns_ * sums_pitch +
                              ((plane - u.plane) * plan_.plane_rows + p / plan_.shared) * plan_.pitch;
        char* elements = dense     ? out
                         : narrow_ ? row_elements.data()
                                   : reinterpret_cast<char*>(row_sums.data());
        T* const whole = dense && !narrow_ ? reinterpret_cast<T*>(out) : row_sums.data();
        interleave_columns(from, sums_pitch, columns_, u.columns, bias_, pass_.relu, whole);
        if (narrow_) narrow(whole, elements, pass_.dtype, u.columns * columns_);
        if (pass_.then) {
          const View part{elements, pass_.dtype, u.columns * columns_};
          pass_.then->apply(part, pass_.first_column, columns_);
        }
        if (!dense) scatter(elements, u.columns, width.place_step * pitch, out);
      }
    }
  }

  // Pixels to places of the output that are `step` bytes apart.
  void scatter(const char* from, std::int64_t count, std::int64_t step, char* to) const {
    switch (size_of(pass_.dtype)) {
      case 2:
        return scatter_pixels<2>(from, count, step, to, std::make_index_sequence<kMostSpaceColumns>());
      case 4:
        return scatter_pixels<4>(from, count, step, to, std::make_index_sequence<kMostSpaceColumns>());
      default:
        return scatter_pixels<8>(from, count, step, to, std::make_index_sequence<kMostSpaceColumns>());
    }
  }
  // By the code that knows how long a pixel is.
  template <std::size_t kSize, std::size_t... kIndex>
  void scatter_pixels(const char* from, std::int64_t count, std::int64_t step, char* to,
                      std::index_sequence<kIndex...>) const {
    const auto pixels = [&](auto size) {
      for (std::int64_t i = 0; i < count; ++i) std::memcpy(to + i * step, from + i * size.value, size.value);
    };
    ((columns_ == kIndex + 1 ? pixels(std::integral_constant<std::size_t, (kIndex + 1) * kSize>()) : void()),
     ...);
  }

  const Pass& pass_;
  const std::span<const PassAxes> phases_;
  const SpacePlan& plan_;
  const SpaceTiles<T>& tiles_;
  const std::int64_t channels_, columns_, lane_columns_;
  const bool narrow_;
  const bool far_;  ///< the source is larger than the caches
  const Part* parts_ = nullptr;
  const T* bias_ = nullptr;
};

}  // namespace

template <class T>
void run_over_space(const Pass& pass, std::span<const PassAxes> phases) {
  SpaceRunner<T>(pass, phases).run();
}
template void run_over_space<float>(const Pass&, std::span<const PassAxes>);
template void run_over_space<double>(const Pass&, std::span<const PassAxes>);

}  // namespace isobit::cpu::gemm
