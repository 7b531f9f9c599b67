// Tiles in rows, and pictures as text.
#include <isobit/error.h>
#include <isobit/io.h>
#include <isobit/picture.h>

#include <algorithm>

namespace isobit::picture {
namespace {

// Extents of the cells: all alike.
struct Cell {
  std::int64_t image_width = 1, image_height = 1, text_width = 0, label = 0, note = 0;
  /// Words widen a cell by half an image at most.
  std::int64_t width() const { return std::max(image_width, std::min(text_width, image_width * 3 / 2)); }
  std::int64_t height() const { return label + image_height + note; }
};

Cell cell_for(std::span<const Tile> tiles, const MontageOptions& o) {
  Cell cell;
  const std::int64_t line = kTextHeight * o.text;
  for (const Tile& tile : tiles) {
    if (tile.image.rank() < 2)
      fail("montage", "a tile of shape {}, expected [h, w] or [h, w, c]", tile.image.shape());
    const std::int64_t most = std::int64_t{1} << 26;
    if (tile.image.shape(0) > most / o.scale || tile.image.shape(1) > most / o.scale)
      fail("montage", "a tile of shape {} at scale {}, expected at most {} pixels", tile.image.shape(),
           o.scale, most);
    cell.image_height = std::max(cell.image_height, tile.image.shape(0) * o.scale);
    cell.image_width = std::max(cell.image_width, tile.image.shape(1) * o.scale);
    if (o.text > 0 && !tile.label.empty()) cell.label = line + 2;
    if (o.text > 0 && !tile.note.empty()) cell.note = std::max(cell.note, line + 2);
    const std::int64_t beside = tile.inset.defined() ? tile.inset.shape(1) + 4 : 0;
    if (o.text > 0)
      cell.text_width =
          std::max({cell.text_width, text_width(tile.label, o.text), beside + text_width(tile.note, o.text)});
    if (tile.inset.defined()) cell.note = std::max(cell.note, tile.inset.shape(0) + 4);
  }
  return cell;
}

// The least number of columns with which the picture is at least as wide as high.
std::int64_t columns_for(std::int64_t tiles, const Cell& cell, std::int64_t gap) {
  std::int64_t columns = 1;
  while (columns < tiles &&
         columns * (cell.width() + gap) < (tiles + columns - 1) / columns * (cell.height() + gap))
    ++columns;
  return columns;
}

}  // namespace

Tensor montage(std::span<const Tile> tiles, const MontageOptions& options) {
  const MontageOptions& o = options;
  if (tiles.empty()) fail("montage", "no tiles, expected at least one");
  if (o.columns < 0 || o.scale < 1 || o.text < 0 || o.gap < 0)
    fail("montage", "columns {}, scale {}, text {}, gap {}: expected scale at least 1, the others at least 0",
         o.columns, o.scale, o.text, o.gap);
  const Cell cell = cell_for(tiles, o);
  const auto count = static_cast<std::int64_t>(tiles.size());
  const std::int64_t columns = o.columns > 0 ? std::min(o.columns, count) : columns_for(count, cell, o.gap);
  const std::int64_t rows = (count + columns - 1) / columns;
  const std::int64_t width = columns * (cell.width() + o.gap) + o.gap;
  const std::int64_t title = o.title.empty() || o.text == 0 ? 0 : (kTextHeight + 4) * o.text;
  Canvas canvas(width, title + rows * (cell.height() + o.gap) + o.gap);
  if (title > 0) canvas.text(o.gap, o.gap, shortened(o.title, width - 2 * o.gap, o.text), kInk, o.text);
  for (std::int64_t i = 0; i < count; ++i) {
    const Tile& tile = tiles[static_cast<std::size_t>(i)];
    const std::int64_t x = o.gap + i % columns * (cell.width() + o.gap);
    std::int64_t y = o.gap + title + i / columns * (cell.height() + o.gap);
    if (o.text > 0) canvas.text(x, y, shortened(tile.label, cell.width(), o.text), kInk, o.text);
    y += cell.label;
    canvas.draw(x, y, tile.image, o.scale);
    y += cell.image_height + 2;
    std::int64_t beside = 0;
    if (tile.inset.defined()) {
      canvas.draw(x, y, tile.inset);
      beside = tile.inset.shape(1) + 4;
    }
    if (o.text > 0)
      canvas.text(x + beside, y, shortened(tile.note, cell.width() - beside, o.text), kInk, o.text);
  }
  return canvas.tensor();
}

std::string data_uri(const Tensor& image) {
  constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const std::vector<std::uint8_t> bytes = io::encode_png(image);
  std::string text = "data:image/png;base64,";
  text.reserve(text.size() + (bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t left = bytes.size() - i;
    const std::uint32_t three = static_cast<std::uint32_t>(bytes[i]) << 16U |
                                (left > 1 ? static_cast<std::uint32_t>(bytes[i + 1]) << 8U : 0U) |
                                (left > 2 ? static_cast<std::uint32_t>(bytes[i + 2]) : 0U);
    text += digits[three >> 18U];
    text += digits[three >> 12U & 63U];
    text += left > 1 ? digits[three >> 6U & 63U] : '=';
    text += left > 2 ? digits[three & 63U] : '=';
  }
  return text;
}

}  // namespace isobit::picture
