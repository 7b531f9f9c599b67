// Drawing in integers.
#include <isobit/error.h>
#include <isobit/picture.h>

#include <algorithm>
#include <cstdlib>

#include "core/picture/font.h"

namespace isobit::picture {

std::int64_t text_width(std::string_view text, std::int64_t scale) {
  std::int64_t characters = 0;
  for_each_character(text, [&](char) { ++characters; });
  return characters == 0 ? 0 : (characters * kTextAdvance - 1) * scale;
}

std::string shortened(std::string_view text, std::int64_t width, std::int64_t scale) {
  if (text_width(text, scale) <= width) return std::string(text);
  std::string best, whole;
  for (std::size_t i = 0; i <= text.size(); ++i) {
    const bool between = i == text.size() || (static_cast<unsigned char>(text[i]) & 0xc0U) != 0x80U;
    if (!between) continue;
    std::string candidate = std::string(text.substr(0, i)) + "..";
    if (text_width(candidate, scale) > width) break;
    best = std::move(candidate);
  }
  return best;
}

Canvas::Canvas(std::int64_t width, std::int64_t height, Colour ground) : width_(width), height_(height) {
  constexpr std::int64_t kMost = std::int64_t{1} << 26;
  if (width < 1 || height < 1 || width > kMost || height > kMost || width * height > kMost)
    fail("picture", "{} x {} pixels, expected at least 1 x 1 and at most {} in all", width, height, kMost);
  pixels_.resize(static_cast<std::size_t>(width * height * 3));
  fill(0, 0, width, height, ground);
}

Colour Canvas::at(std::int64_t x, std::int64_t y) const {
  if (x < 0 || y < 0 || x >= width_ || y >= height_)
    fail("picture", "pixel {}, {} of a canvas of {} x {}", x, y, width_, height_);
  const std::uint8_t* p = pixels_.data() + (y * width_ + x) * 3;
  return {p[0], p[1], p[2]};
}

void Canvas::pixel(std::int64_t x, std::int64_t y, Colour colour) {
  if (x < 0 || y < 0 || x >= width_ || y >= height_) return;
  std::uint8_t* p = pixels_.data() + (y * width_ + x) * 3;
  p[0] = colour.r;
  p[1] = colour.g;
  p[2] = colour.b;
}

void Canvas::fill(std::int64_t x, std::int64_t y, std::int64_t width, std::int64_t height, Colour colour) {
  const std::int64_t left = std::max<std::int64_t>(x, 0), right = std::min(x + width, width_);
  const std::int64_t top = std::max<std::int64_t>(y, 0), bottom = std::min(y + height, height_);
  for (std::int64_t row = top; row < bottom; ++row)
    for (std::int64_t column = left; column < right; ++column) pixel(column, row, colour);
}

void Canvas::frame(std::int64_t x, std::int64_t y, std::int64_t width, std::int64_t height, Colour colour,
                   std::int64_t thickness) {
  const std::int64_t t = std::min({thickness, width, height});
  fill(x, y, width, t, colour);
  fill(x, y + height - t, width, t, colour);
  fill(x, y, t, height, colour);
  fill(x + width - t, y, t, height, colour);
}

void Canvas::line(std::int64_t x0, std::int64_t y0, std::int64_t x1, std::int64_t y1, Colour colour) {
  // Bresenham's, with a pixel for every step of the longer axis.
  const std::int64_t steps = std::max(std::abs(x1 - x0), std::abs(y1 - y0));
  if (steps == 0) return pixel(x0, y0, colour);
  const auto between = [&](std::int64_t from, std::int64_t to, std::int64_t i) {
    const std::int64_t twice = 2 * (to - from) * i;
    return from + (twice >= 0 ? (twice + steps) / (2 * steps) : -((-twice + steps) / (2 * steps)));
  };
  for (std::int64_t i = 0; i <= steps; ++i) pixel(between(x0, x1, i), between(y0, y1, i), colour);
}

void Canvas::arrow(std::int64_t x0, std::int64_t y0, std::int64_t x1, std::int64_t y1, Colour colour) {
  line(x0, y0, x1, y1, colour);
  // The head: two strokes that leave the line by half a right angle, seven pixels along the longer axis.
  const std::int64_t dx = x0 - x1, dy = y0 - y1, longer = std::max(std::abs(dx), std::abs(dy));
  if (longer == 0) return;
  const std::int64_t length = std::min<std::int64_t>(7, longer);
  const std::int64_t ux = dx * length / longer, uy = dy * length / longer;
  line(x1, y1, x1 + (2 * ux - uy) / 2, y1 + (2 * uy + ux) / 2, colour);
  line(x1, y1, x1 + (2 * ux + uy) / 2, y1 + (2 * uy - ux) / 2, colour);
}

void Canvas::text(std::int64_t x, std::int64_t y, std::string_view text, Colour colour, std::int64_t scale) {
  for_each_character(text, [&](char c) {
    for (int row = 0; row < 9; ++row)
      for (int column = 0; column < 5; ++column)
        if (has_ink(c, column, row)) fill(x + column * scale, y + row * scale, scale, scale, colour);
    x += kTextAdvance * scale;
  });
}

void Canvas::draw(std::int64_t x, std::int64_t y, const Tensor& image, std::int64_t scale) {
  const Shape& shape = image.shape();
  const std::int64_t channels = shape.rank() == 3 ? shape[2] : 1;
  if (image.dtype() != DType::u8 || shape.rank() < 2 || shape.rank() > 3 || (channels != 1 && channels != 3))
    fail("picture", "{} {}, expected u8 [h, w], [h, w, 1] or [h, w, 3]", image.dtype(), shape);
  const std::vector<std::uint8_t> values = image.to_vector<std::uint8_t>();
  const std::uint8_t* p = values.data();
  for (std::int64_t row = 0; row < shape[0]; ++row)
    for (std::int64_t column = 0; column < shape[1]; ++column, p += channels)
      fill(x + column * scale, y + row * scale, scale, scale,
           channels == 1 ? Colour{p[0], p[0], p[0]} : Colour{p[0], p[1], p[2]});
}

Tensor Canvas::tensor() const {
  return from_vector(pixels_, {height_, width_, 3});
}

}  // namespace isobit::picture
