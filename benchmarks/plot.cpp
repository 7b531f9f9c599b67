#include "benchmarks/plot.h"

#include <fmt/format.h>
#include <isobit/io.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdint>
#include <string_view>

namespace isobit::bench {
namespace {

// Letters of 5 by 7 points: seven rows, the lowest five bits of each, the leftmost highest. What is not here
// is drawn as a blank.
struct Glyph {
  char letter;
  std::array<std::uint8_t, 7> rows;
};
constexpr Glyph kGlyphs[] = {{'0', {14, 17, 17, 17, 17, 17, 14}}, {'1', {4, 12, 4, 4, 4, 4, 14}},
                             {'2', {14, 17, 1, 2, 4, 8, 31}},     {'3', {30, 1, 1, 14, 1, 1, 30}},
                             {'4', {2, 6, 10, 18, 31, 2, 2}},     {'5', {31, 16, 30, 1, 1, 17, 14}},
                             {'6', {6, 8, 16, 30, 17, 17, 14}},   {'7', {31, 1, 2, 4, 4, 8, 8}},
                             {'8', {14, 17, 17, 14, 17, 17, 14}}, {'9', {14, 17, 17, 15, 1, 2, 12}},
                             {'A', {4, 10, 17, 17, 31, 17, 17}},  {'B', {30, 17, 17, 30, 17, 17, 30}},
                             {'C', {14, 17, 16, 16, 16, 17, 14}}, {'D', {30, 17, 17, 17, 17, 17, 30}},
                             {'E', {31, 16, 16, 30, 16, 16, 31}}, {'F', {31, 16, 16, 30, 16, 16, 16}},
                             {'G', {14, 17, 16, 23, 17, 17, 14}}, {'H', {17, 17, 17, 31, 17, 17, 17}},
                             {'I', {14, 4, 4, 4, 4, 4, 14}},      {'J', {7, 2, 2, 2, 2, 18, 12}},
                             {'K', {17, 18, 20, 24, 20, 18, 17}}, {'L', {16, 16, 16, 16, 16, 16, 31}},
                             {'M', {17, 27, 21, 21, 17, 17, 17}}, {'N', {17, 25, 25, 21, 19, 19, 17}},
                             {'O', {14, 17, 17, 17, 17, 17, 14}}, {'P', {30, 17, 17, 30, 16, 16, 16}},
                             {'Q', {14, 17, 17, 17, 21, 18, 13}}, {'R', {30, 17, 17, 30, 20, 18, 17}},
                             {'S', {15, 16, 16, 14, 1, 1, 30}},   {'T', {31, 4, 4, 4, 4, 4, 4}},
                             {'U', {17, 17, 17, 17, 17, 17, 14}}, {'V', {17, 17, 17, 17, 10, 10, 4}},
                             {'W', {17, 17, 17, 21, 21, 27, 17}}, {'X', {17, 10, 10, 4, 10, 10, 17}},
                             {'Y', {17, 17, 10, 4, 4, 4, 4}},     {'Z', {31, 1, 2, 4, 8, 16, 31}},
                             {'.', {0, 0, 0, 0, 0, 12, 12}},      {',', {0, 0, 0, 0, 12, 4, 8}},
                             {':', {0, 12, 12, 0, 12, 12, 0}},    {'-', {0, 0, 0, 31, 0, 0, 0}},
                             {'_', {0, 0, 0, 0, 0, 0, 31}},       {'/', {1, 1, 2, 4, 8, 16, 16}},
                             {'%', {25, 25, 2, 4, 8, 19, 19}},    {'(', {2, 4, 8, 8, 8, 4, 2}},
                             {')', {8, 4, 2, 2, 2, 4, 8}},        {'+', {0, 4, 4, 31, 4, 4, 0}},
                             {'>', {8, 4, 2, 1, 2, 4, 8}},        {'=', {0, 0, 31, 0, 31, 0, 0}}};

using Colour = std::array<std::uint8_t, 3>;
constexpr Colour kInk{30, 30, 30}, kGrid{225, 225, 225}, kOurs{66, 120, 190}, kWrong{200, 40, 40},
    kPeer{230, 130, 20};

// A white picture in RGB; what lies outside of it is not drawn.
class Canvas {
 public:
  Canvas(std::int64_t width, std::int64_t height)
      : width_(width), height_(height), pixels_(static_cast<std::size_t>(width * height * 3), 255) {}
  void box(std::int64_t x, std::int64_t y, std::int64_t width, std::int64_t height, const Colour& colour) {
    for (std::int64_t v = std::max<std::int64_t>(y, 0); v < std::min(y + height, height_); ++v)
      for (std::int64_t u = std::max<std::int64_t>(x, 0); u < std::min(x + width, width_); ++u)
        std::copy(colour.begin(), colour.end(),
                  pixels_.begin() + static_cast<std::ptrdiff_t>((v * width_ + u) * 3));
  }
  void text(std::int64_t x, std::int64_t y, std::string_view text, const Colour& colour = kInk) {
    for (const char c : text) {
      const char upper = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
      for (const Glyph& glyph : kGlyphs) {
        if (glyph.letter != upper) continue;
        for (std::int64_t row = 0; row < 7; ++row)
          for (std::int64_t column = 0; column < 5; ++column)
            if ((glyph.rows[static_cast<std::size_t>(row)] >> (4 - column) & 1) != 0)
              box(x + column, y + row, 1, 1, colour);
      }
      x += 6;
    }
  }
  void write(const std::string& path) const {
    io::write_png(path, from_vector(pixels_, {height_, width_, 3}));
  }

 private:
  std::int64_t width_, height_;
  std::vector<std::uint8_t> pixels_;
};

// What a bar shows: percent of what the machine can do, else of the best row.
struct Scale {
  bool memory = false;
  double best = 0;  ///< 0: percentages are known
};

double rate_of(const Row& row, const Scale& scale) {
  return scale.memory ? row.gbs() : row.gflops();
}

double share_of(const Row& row, const Machine& machine, const Scale& scale) {
  if (scale.best > 0) return 100 * rate_of(row, scale) / scale.best;
  return scale.memory ? row.percent_of_bandwidth(machine) : row.percent_of_peak(machine);
}

}  // namespace

void plot(const std::string& path, const std::vector<Row>& rows, const Machine& machine) {
  Scale scale;
  scale.memory = std::all_of(rows.begin(), rows.end(), [](const Row& row) { return row.flops == 0; });
  if (machine.peak_gflops == 0)
    for (const Row& row : rows) scale.best = std::max(scale.best, rate_of(row, scale));
  constexpr std::int64_t kLeft = 250, kStep = 4, kRow = 13, kTop = 36;  // pixels; kStep: of one percent
  const std::int64_t right = kLeft + 110 * kStep;
  Canvas canvas(right + 170, kTop + kRow * static_cast<std::int64_t>(rows.size()) + 12);
  canvas.text(kLeft, 8,
              scale.best > 0 ? "isobit, % of the best row here"
              : scale.memory ? "isobit, % of the measured bandwidth"
                             : "isobit, % of the measured f32 peak");
  canvas.box(kLeft + 300, 8, 3, 8, kPeer);
  canvas.text(kLeft + 308, 8, "best peer");
  for (std::int64_t percent = 0; percent <= 100; percent += 20) {
    canvas.text(kLeft + percent * kStep - 6, 22, fmt::format("{}", percent));
    canvas.box(kLeft + percent * kStep, kTop - 4, 1, kRow * static_cast<std::int64_t>(rows.size()) + 8,
               kGrid);
  }
  std::int64_t y = kTop;
  for (const Row& row : rows) {
    const double share = share_of(row, machine, scale);
    const auto place = [&](double percent) {
      return static_cast<std::int64_t>(std::clamp(percent, 0.0, 110.0) * static_cast<double>(kStep));
    };
    canvas.text(8, y + 2, fmt::format("{} {} {}", row.name, row.batch, row.direction));
    canvas.box(kLeft, y + 1, place(share), kRow - 4, row.verdict.equal ? kOurs : kWrong);
    std::string text = fmt::format("{:.1f} {}", rate_of(row, scale), scale.memory ? "GB/s" : "GFLOP/s");
    if (const PeerRow* best = row.best()) {
      canvas.box(kLeft + place(share / best->ratio), y, 3, kRow - 2, kPeer);
      text += fmt::format("  {:.2f} {}", best->ratio, best->label);
    }
    canvas.text(right + 8, y + 2, text);
    y += kRow;
  }
  canvas.write(path);
}

}  // namespace isobit::bench
