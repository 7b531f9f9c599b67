#include "cli/explain_picture.h"

#include <fmt/format.h>
#include <isobit/error.h>
#include <isobit/picture.h>

#include <algorithm>

namespace isobit::cli {
namespace {

using picture::Canvas;
using picture::Colour;
constexpr Colour kRead{205, 225, 247}, kPadding{253, 232, 208};
constexpr std::int64_t kMostWindow = 12, kMostChannels = 3, kMargin = 14, kTitle = 26;

std::string number(double value) {
  return fmt::format("{:.6g}", value);
}

// Rows and columns of a plane of numbers that are shown.
struct Region {
  std::int64_t top = 0, left = 0, rows = 1, columns = 1;
};

// The window and two cells around it, or everything where that is not more than 16 cells.
void choose(std::int64_t extent, std::int64_t first, std::int64_t span, std::int64_t& from,
            std::int64_t& count) {
  from = 0;
  count = extent;
  if (extent <= 16) return;
  from = std::max<std::int64_t>(0, first - 2);
  count = std::min(extent, first + span + 2) - from;
}

class Drawing {
 public:
  Drawing(const ConvTrace& trace, const Tensor& x, const Tensor& w) : trace_(trace) {
    const auto& sides = std::get<1>(trace.options.padding.value);
    const ConvOptions& o = trace.options;
    const auto side = [&](std::size_t axis) { return sides.size() == 1 ? sides[0] : sides[axis]; };
    const auto of = [](const PerAxis& p, std::size_t axis) { return p.value[axis]; };
    rows_of_filter_ = w.shape(0);
    columns_of_filter_ = w.shape(1);
    before_ = {side(0).first, side(1).first};
    first_ = {trace.output[1] * of(o.stride, 0), trace.output[2] * of(o.stride, 1)};
    span_ = {(rows_of_filter_ - 1) * of(o.dilation, 0) + 1, (columns_of_filter_ - 1) * of(o.dilation, 1) + 1};
    if (rows_of_filter_ > kMostWindow || columns_of_filter_ > kMostWindow || span_[0] > 2 * kMostWindow ||
        span_[1] > 2 * kMostWindow)
      fail("explain",
           "a filter of {} x {} that spans {} x {} cells, pictures show at most {} x {} that span {}",
           rows_of_filter_, columns_of_filter_, span_[0], span_[1], kMostWindow, kMostWindow,
           2 * kMostWindow);
    for (const ConvTap& tap : trace.taps)
      channels_ = std::max(channels_, tap.channel - trace.taps[0].channel + 1);
    shown_channels_ = std::min(channels_, kMostChannels);

    // What every cell of the padded input holds, and which element it reads: by the op that pads.
    const Tensor sample = x.slice(trace.n, trace.n + 1).to(DType::f64);
    const std::vector<std::pair<std::int64_t, std::int64_t>> widths{{0, 0}, side(0), side(1), {0, 0}};
    const PadModes& m = o.mode;
    const std::vector<PadMode> modes{PadMode::constant, m.value[0], m.value[m.count > 1 ? 1 : 0],
                                     PadMode::constant};
    const Tensor padded = pad(sample, widths, modes, o.pad_value);
    const Tensor places =
        arange(x.shape(1) * x.shape(2), 0, 1, {DType::f64}).reshape({1, x.shape(1), x.shape(2), 1});
    reads_ = pad(places, widths, modes, -1).to(DType::i64).to_vector<std::int64_t>();
    values_ = padded.to_vector<double>();
    height_ = padded.shape(1);
    width_ = padded.shape(2);
    depth_ = x.shape(3);
    in_ = {x.shape(1), x.shape(2)};
    choose(height_, first_[0], span_[0], region_.top, region_.rows);
    choose(width_, first_[1], span_[1], region_.left, region_.columns);
    std::size_t longest = 2;
    for (std::int64_t row = region_.top; row < region_.top + region_.rows; ++row)
      for (std::int64_t column = region_.left; column < region_.left + region_.columns; ++column)
        for (std::int64_t c = 0; c < shown_channels_; ++c)
          longest = std::max(longest, number(value(row, column, c)).size());
    for (const ConvTap& tap : trace.taps)
      longest = std::max({longest, number(tap.w).size(), number(tap.product).size()});
    cell_ = std::max<std::int64_t>(34, static_cast<std::int64_t>(longest) * picture::kTextAdvance + 6);
  }

  Tensor draw() const {
    const std::int64_t filter_width = columns_of_filter_ * cell_, filter_height = rows_of_filter_ * cell_;
    const std::int64_t input_width = std::max(region_.columns * cell_, picture::text_width(label(0)) + 8),
                       input_height = region_.rows * cell_;
    const std::int64_t between = 30;
    const std::int64_t block = kTitle + std::max(input_height, filter_height) + kMargin;
    const std::int64_t width = std::max<std::int64_t>(
        520, 2 * kMargin + input_width + 2 * (between + std::max<std::int64_t>(filter_width, 60)));
    const std::int64_t head = kMargin + 2 * 12 + 6, foot = 76;
    Canvas canvas(width, head + shown_channels_ * block + foot);
    canvas.text(kMargin, kMargin, picture::shortened(title(), width - 2 * kMargin, 2), picture::kInk, 2);
    for (std::int64_t c = 0; c < shown_channels_; ++c) {
      const std::int64_t y = head + c * block;
      std::int64_t x = kMargin;
      canvas.text(x, y + 8, label(c));
      input(canvas, x, y + kTitle, c);
      x += input_width;
      const std::int64_t middle = y + kTitle + filter_height / 2 - 8;
      canvas.text(x + 9, middle, "x", picture::kInk, 2);
      x += between;
      canvas.text(x, y + 8, "filter");
      taps(canvas, x, y + kTitle, c, &ConvTap::w);
      x += std::max<std::int64_t>(filter_width, 60);
      canvas.text(x - std::max<std::int64_t>(filter_width, 60) + filter_width + 9, middle, "=", picture::kInk,
                  2);
      x += between;
      canvas.text(x, y + 8, "products");
      taps(canvas, x, y + kTitle, c, &ConvTap::product);
    }
    legend(canvas, head + shown_channels_ * block);
    return canvas.tensor();
  }

 private:
  double value(std::int64_t row, std::int64_t column, std::int64_t channel) const {
    const std::int64_t first = trace_.taps[0].channel;
    return values_[static_cast<std::size_t>((row * width_ + column) * depth_ + first + channel)];
  }
  std::int64_t reads(std::int64_t row, std::int64_t column) const {
    return reads_[static_cast<std::size_t>(row * width_ + column)];
  }
  bool is_padding(std::int64_t row, std::int64_t column) const {
    const std::int64_t h = row - before_[0], w = column - before_[1];
    return h < 0 || w < 0 || h >= in_[0] || w >= in_[1];
  }
  bool is_read(std::int64_t row, std::int64_t column) const {
    return std::any_of(trace_.taps.begin(), trace_.taps.end(),
                       [&](const ConvTap& tap) { return tap.padded[1] == row && tap.padded[2] == column; });
  }
  std::string title() const {
    return fmt::format("y[{}, {}, {}, {}] = {}", trace_.n, trace_.output[1], trace_.output[2], trace_.k,
                       number(trace_.sum));
  }
  std::string label(std::int64_t channel) const {
    std::string text = "padded input";
    if (region_.rows < height_ || region_.columns < width_)
      text = fmt::format("rows {} to {}, columns {} to {} of it", region_.top, region_.top + region_.rows - 1,
                         region_.left, region_.left + region_.columns - 1);
    return channels_ > 1 ? fmt::format("channel {}: {}", trace_.taps[0].channel + channel, text) : text;
  }

  void ground(Canvas& canvas, std::int64_t x, std::int64_t y, Colour colour) const {
    canvas.fill(x, y, cell_, cell_, colour);
    canvas.frame(x, y, cell_ + 1, cell_ + 1, picture::kGray);
  }
  void write(Canvas& canvas, std::int64_t x, std::int64_t y, double value, Colour ink) const {
    const std::string text = number(value);
    canvas.text(x + (cell_ - picture::text_width(text)) / 2 + 1, y + cell_ / 2 - 3, text, ink);
  }

  void input(Canvas& canvas, std::int64_t x, std::int64_t y, std::int64_t channel) const {
    const auto left = [&](std::int64_t column) { return x + (column - region_.left) * cell_; };
    const auto top = [&](std::int64_t row) { return y + (row - region_.top) * cell_; };
    const std::int64_t last_row = region_.top + region_.rows, last_column = region_.left + region_.columns;
    for (std::int64_t row = region_.top; row < last_row; ++row)
      for (std::int64_t column = region_.left; column < last_column; ++column)
        ground(canvas, left(column), top(row),
               is_read(row, column)      ? kRead
               : is_padding(row, column) ? kPadding
                                         : picture::kWhite);
    // The input's own border, as far as it is shown.
    const std::int64_t from_row = std::max(before_[0], region_.top),
                       from_column = std::max(before_[1], region_.left);
    const std::int64_t to_row = std::min(before_[0] + in_[0], last_row),
                       to_column = std::min(before_[1] + in_[1], last_column);
    canvas.frame(left(from_column) - 1, top(from_row) - 1, (to_column - from_column) * cell_ + 3,
                 (to_row - from_row) * cell_ + 3, picture::kInk, 2);
    canvas.frame(left(first_[1]) - 2, top(first_[0]) - 2, span_[1] * cell_ + 5, span_[0] * cell_ + 5,
                 picture::kBlue, 3);
    // From the padding's cells under the window to the elements that they read, where those are shown.
    for (const ConvTap& tap : trace_.taps) {
      const std::int64_t row = tap.padded[1], column = tap.padded[2];
      if (tap.channel != trace_.taps[0].channel || !is_padding(row, column) || reads(row, column) < 0)
        continue;
      const std::int64_t source_row = reads(row, column) / in_[1] + before_[0];
      const std::int64_t source_column = reads(row, column) % in_[1] + before_[1];
      if (source_row < region_.top || source_row >= last_row || source_column < region_.left ||
          source_column >= last_column)
        continue;
      const std::int64_t beside = cell_ - 7, below = cell_ - 8;
      canvas.arrow(left(column) + beside, top(row) + below, left(source_column) + beside,
                   top(source_row) + below, picture::kOrange);
    }
    for (std::int64_t row = region_.top; row < last_row; ++row)
      for (std::int64_t column = region_.left; column < last_column; ++column)
        write(canvas, left(column), top(row), value(row, column, channel),
              is_padding(row, column) ? picture::kOrange : picture::kInk);
  }

  void taps(Canvas& canvas, std::int64_t x, std::int64_t y, std::int64_t channel,
            double ConvTap::*what) const {
    for (const ConvTap& tap : trace_.taps)
      if (tap.channel - trace_.taps[0].channel == channel) {
        ground(canvas, x + tap.tap[2] * cell_, y + tap.tap[1] * cell_,
               what == &ConvTap::w ? picture::kWhite : kRead);
        write(canvas, x + tap.tap[2] * cell_, y + tap.tap[1] * cell_, tap.*what, picture::kInk);
      }
  }

  void legend(Canvas& canvas, std::int64_t y) const {
    std::string terms;
    for (const ConvTap& tap : trace_.taps)
      if (terms.size() < 4096) terms += (terms.empty() ? "" : " + ") + number(tap.product);
    const std::int64_t room = canvas.width() - 2 * kMargin;
    const std::string sum = " = " + number(trace_.sum);
    canvas.text(kMargin, y, picture::shortened(terms, room - picture::text_width(sum)) + sum);
    if (shown_channels_ < channels_)
      canvas.text(kMargin, y + 14, fmt::format("{} of {} channels are shown", shown_channels_, channels_));
    std::int64_t x = kMargin;
    const auto entry = [&](const std::string& words, Colour ground) {
      canvas.fill(x, y + 30, 12, 12, ground);
      canvas.frame(x, y + 30, 12, 12, picture::kGray);
      canvas.text(x + 18, y + 32, words);
      x += 18 + picture::text_width(words) + 18;
    };
    entry("under the window", kRead);
    entry("padding", kPadding);
    entry("frames: the input (black), the window (blue)", picture::kWhite);
    canvas.arrow(kMargin, y + 58, kMargin + 24, y + 58, picture::kOrange);
    canvas.text(kMargin + 32, y + 54, "from a cell of the padding to the element that it reads");
  }

  const ConvTrace& trace_;
  std::int64_t rows_of_filter_ = 1, columns_of_filter_ = 1, channels_ = 1, shown_channels_ = 1;
  std::array<std::int64_t, 2> before_{}, first_{}, span_{}, in_{};
  std::vector<double> values_;
  std::vector<std::int64_t> reads_;
  std::int64_t height_ = 0, width_ = 0, depth_ = 0, cell_ = 24;
  Region region_;
};

}  // namespace

Tensor explain_picture(const ConvTrace& trace, const Tensor& x, const Tensor& w) {
  if (x.rank() != 4)
    fail("explain", "the input is {}, pictures show two spatial axes: [n, h, w, c]", x.shape());
  if (trace.taps.empty()) fail("explain", "the output has no taps, there is nothing to draw");
  return Drawing(trace, x, w).draw();
}

}  // namespace isobit::cli
