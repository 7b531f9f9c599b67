// Numbers to colours, and pictures made smaller.
#include <isobit/error.h>
#include <isobit/ops.h>
#include <isobit/picture.h>

#include <algorithm>
#include <cmath>
#include <span>

namespace isobit::picture {
namespace {

// Seventeen places of viridis (Stefan van der Walt and Nathaniel Smith, 2015; released under CC0), linear
// between them: at most 6 of 255 away from the whole map.
constexpr Colour kViridis[] = {{68, 1, 84},    {72, 24, 106},  {71, 45, 123},  {66, 64, 134},  {59, 82, 139},
                               {51, 99, 141},  {44, 114, 142}, {38, 130, 142}, {33, 145, 140}, {31, 160, 136},
                               {40, 174, 128}, {63, 188, 115}, {94, 201, 98},  {132, 212, 75}, {173, 220, 48},
                               {216, 226, 25}, {253, 231, 37}};
// Dark blue over white to dark orange; both halves fall in lightness alike.
constexpr Colour kDiverging[] = {{10, 50, 110},   {35, 100, 180},  {105, 160, 215},
                                 {180, 208, 235}, {247, 247, 247}, {250, 203, 150},
                                 {228, 140, 50},  {180, 85, 5},    {115, 42, 0}};

// Halves up; v is in 0 .. 255.
std::uint8_t rounded(double v) {
  return static_cast<std::uint8_t>(std::floor(v + 0.5));
}

Colour between(std::span<const Colour> places, double t) {
  const double at = t * static_cast<double>(places.size() - 1);
  const std::size_t i = std::min(static_cast<std::size_t>(at), places.size() - 2);
  const double share = at - static_cast<double>(i);
  const auto mix = [&](std::uint8_t from, std::uint8_t to) { return rounded(from + (to - from) * share); };
  const Colour a = places[i], b = places[i + 1];
  return {mix(a.r, b.r), mix(a.g, b.g), mix(a.b, b.b)};
}

std::vector<double> on_host(const Tensor& values) {
  if (!is_floating(values.dtype()))
    fail("picture", "values are {}, expected a floating dtype", values.dtype());
  return values.detach().to(DType::f64).to_vector<double>();
}

double place_in(double value, Range range) {
  return range.high > range.low ? (value - range.low) / (range.high - range.low) : 0.5;
}

}  // namespace

Colour colour_at(ColourMap map, double t) {
  if (!(t == t)) return {255, 0, 255};
  t = std::clamp(t, 0.0, 1.0);
  if (map == ColourMap::viridis) return between(kViridis, t);
  if (map == ColourMap::diverging) return between(kDiverging, t);
  const auto level = rounded(255 * t);
  return {level, level, level};
}

Range range_of(const Tensor& values) {
  return range_of(values, 0);
}

Range range_of(const Tensor& values, double share) {
  if (!(share >= 0 && share <= 1)) fail("picture", "a share of {}, expected from 0 to 1", share);
  std::vector<double> finite;
  for (const double v : on_host(values))
    if (std::isfinite(v)) finite.push_back(v);
  const auto kept = finite.size() - static_cast<std::size_t>(share * static_cast<double>(finite.size()));
  if (kept == 0) return {0, 0};
  if (kept < finite.size())
    std::nth_element(
        finite.begin(), finite.begin() + static_cast<std::ptrdiff_t>(kept) - 1, finite.end(),
        [](double a, double b) { return std::abs(a) != std::abs(b) ? std::abs(a) < std::abs(b) : a < b; });
  const auto [low, high] =
      std::minmax_element(finite.begin(), finite.begin() + static_cast<std::ptrdiff_t>(kept));
  return {*low, *high};
}

Range symmetric(Range range) {
  const double most = std::max(std::abs(range.low), std::abs(range.high));
  return {-most, most};
}

Tensor colourise(const Tensor& values, ColourMap map, Range range) {
  if (values.rank() != 2) fail("picture", "values {}, expected [h, w]", values.shape());
  std::vector<std::uint8_t> pixels;
  pixels.reserve(static_cast<std::size_t>(values.numel() * 3));
  for (const double v : on_host(values)) {
    const Colour c = colour_at(map, v == v ? place_in(v, range) : v);
    pixels.insert(pixels.end(), {c.r, c.g, c.b});
  }
  return from_vector(pixels, {values.shape(0), values.shape(1), 3});
}

Tensor as_picture(const Tensor& values, Range range) {
  if (values.rank() != 3 || (values.shape(2) != 1 && values.shape(2) != 3))
    fail("picture", "values {}, expected [h, w, 1] or [h, w, 3]", values.shape());
  std::vector<std::uint8_t> pixels;
  pixels.reserve(static_cast<std::size_t>(values.numel()));
  for (const double v : on_host(values)) {
    const double t = v == v ? std::clamp(place_in(v, range), 0.0, 1.0) : 0;
    pixels.push_back(rounded(255 * t));
  }
  return from_vector(pixels, values.shape());
}

Tensor shrunk(const Tensor& image, std::int64_t factor) {
  if (image.dtype() != DType::u8 || image.rank() != 3 || factor < 1)
    fail("picture", "{} {} to be shrunk by {}, expected u8 [h, w, c] and at least 1", image.dtype(),
         image.shape(), factor);
  if (factor == 1) return image;
  const std::int64_t h = image.shape(0), w = image.shape(1), c = image.shape(2);
  const std::int64_t rows = (h + factor - 1) / factor, columns = (w + factor - 1) / factor;
  const std::vector<std::uint8_t> in = image.to_vector<std::uint8_t>();
  std::vector<std::uint8_t> out(static_cast<std::size_t>(rows * columns * c));
  std::size_t to = 0;
  for (std::int64_t row = 0; row < rows; ++row)
    for (std::int64_t column = 0; column < columns; ++column)
      for (std::int64_t channel = 0; channel < c; ++channel, ++to) {
        std::int64_t sum = 0, count = 0;
        for (std::int64_t i = row * factor; i < std::min(h, (row + 1) * factor); ++i)
          for (std::int64_t j = column * factor; j < std::min(w, (column + 1) * factor); ++j, ++count)
            sum += in[static_cast<std::size_t>((i * w + j) * c + channel)];
        out[to] = static_cast<std::uint8_t>((2 * sum + count) / (2 * count));
      }
  return from_vector(out, {rows, columns, c});
}

}  // namespace isobit::picture
