// Pictures of tensors: a canvas with a small font, colour maps, montages of labelled tiles. Everything is
// drawn in integers and f64 without library functions, so that a picture has the same bytes on every machine.
// Pictures are u8 [h, w, 3] on the CPU, rows from the top: what isobit/io.h writes as PNG.
#pragma once
#include <isobit/tensor.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace isobit::picture {

struct Colour {
  std::uint8_t r = 0, g = 0, b = 0;
  friend bool operator==(Colour x, Colour y) { return x.r == y.r && x.g == y.g && x.b == y.b; }
};
inline constexpr Colour kWhite{255, 255, 255}, kInk{34, 34, 34}, kGray{140, 140, 140}, kPale{238, 238, 238};
/// Two colours that every kind of colour vision tells apart.
inline constexpr Colour kBlue{0, 90, 181}, kOrange{220, 95, 0};

/// Pixels of the font's cell at scale 1: five and one between, nine and one between.
inline constexpr std::int64_t kTextAdvance = 6, kTextHeight = 10;
/// Pixels that `text` is wide; a character of UTF-8 counts once.
std::int64_t text_width(std::string_view text, std::int64_t scale = 1);
/// `text`, or its beginning with ".." behind it, so that it is at most `width` pixels wide.
std::string shortened(std::string_view text, std::int64_t width, std::int64_t scale = 1);

/// What is drawn outside is cut off. Throws Error for extents below 1 or more than 2^26 pixels.
class Canvas {
 public:
  Canvas(std::int64_t width, std::int64_t height, Colour ground = kWhite);
  std::int64_t width() const { return width_; }
  std::int64_t height() const { return height_; }
  Colour at(std::int64_t x, std::int64_t y) const;

  void pixel(std::int64_t x, std::int64_t y, Colour colour);
  void fill(std::int64_t x, std::int64_t y, std::int64_t width, std::int64_t height, Colour colour);
  /// The outline of a rectangle, `thickness` pixels inwards.
  void frame(std::int64_t x, std::int64_t y, std::int64_t width, std::int64_t height, Colour colour,
             std::int64_t thickness = 1);
  /// A straight line from one pixel to the other, and one with a head at the end.
  void line(std::int64_t x0, std::int64_t y0, std::int64_t x1, std::int64_t y1, Colour colour);
  void arrow(std::int64_t x0, std::int64_t y0, std::int64_t x1, std::int64_t y1, Colour colour);
  /// The upper left corner of the first character is (x, y). Printable ASCII has glyphs, every other
  /// character is an empty box.
  void text(std::int64_t x, std::int64_t y, std::string_view text, Colour colour = kInk,
            std::int64_t scale = 1);
  /// A u8 image [h, w], [h, w, 1] or [h, w, 3], each pixel `scale` times as large. Throws Error for other
  /// dtypes and shapes.
  void draw(std::int64_t x, std::int64_t y, const Tensor& image, std::int64_t scale = 1);

  /// A copy: u8 [height, width, 3].
  Tensor tensor() const;

 private:
  std::int64_t width_, height_;
  std::vector<std::uint8_t> pixels_;
};

/// How numbers become colours. Lightness rises along gray and viridis, and falls from the middle of diverging
/// to both ends, blue below and orange above: the maps can be read without telling red from green.
enum class ColourMap : std::uint8_t { gray, viridis, diverging };
/// The colour of t in [0, 1]; what lies outside gets the end's, NaN is magenta, which no map holds.
Colour colour_at(ColourMap map, double t);

/// Numbers that get the map's first and last colour.
struct Range {
  double low = 0, high = 1;
};
/// The smallest and the largest finite element; {0, 0} where there is none.
Range range_of(const Tensor& values);
/// The same without the `share` of the elements of the largest magnitudes (rounded down; of equal ones the
/// positive go first): a few extremes do not make the rest pale. Throws Error for a share outside [0, 1].
Range range_of(const Tensor& values, double share);
/// {-m, m}, m being the largest magnitude: what makes 0 the middle of diverging.
Range symmetric(Range range);
/// values [h, w] of a floating dtype, from any device, to u8 [h, w, 3]; a range without length gives the
/// map's middle.
Tensor colourise(const Tensor& values, ColourMap map, Range range);
/// [h, w, c] with c 1 or 3 as a picture: low is black, high is white, in between linearly with rounding.
Tensor as_picture(const Tensor& values, Range range);

/// u8 [h, w, c] with extents divided by `factor` (rounded up): means of the blocks, halves up.
Tensor shrunk(const Tensor& image, std::int64_t factor);

/// One picture of a montage.
struct Tile {
  std::string label = {};  ///< above it
  Tensor image = {};       ///< u8 [h, w], [h, w, 1] or [h, w, 3]
  std::string note = {};   ///< below it
  Tensor inset = {};       ///< beside the note, e.g. the filter; may be undefined
};
struct MontageOptions {
  std::int64_t columns = 0;  ///< 0: about as wide as high
  std::int64_t scale = 1;    ///< of the images
  std::int64_t text = 1;     ///< of labels and notes; 0: none are drawn
  std::int64_t gap = 8;      ///< between tiles
  std::string title = {};
};
/// Tiles in rows, each in a cell as large as the largest; words make it wider by half, and are shortened
/// then. Throws Error when there is no tile or the picture would have more than 2^26 pixels.
Tensor montage(std::span<const Tile> tiles, const MontageOptions& options = {});

/// "data:image/png;base64,...", for pages that hold their pictures.
std::string data_uri(const Tensor& image);

}  // namespace isobit::picture
