// Pictures: what is drawn where, colours that tell numbers apart, and the same bytes everywhere.
#include <gtest/gtest.h>
#include <isobit/io.h>
#include <isobit/ops.h>
#include <isobit/picture.h>

#include <array>
#include <cmath>
#include <limits>

#include "tests/support/files.h"

namespace isobit {
namespace {

using namespace picture;
using test::refuses;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

// CIE L* of an sRGB colour, 0 to 100.
std::array<double, 3> linear(Colour c) {
  const auto one = [](std::uint8_t v) {
    const double s = v / 255.0;
    return s <= 0.04045 ? s / 12.92 : std::pow((s + 0.055) / 1.055, 2.4);
  };
  return {one(c.r), one(c.g), one(c.b)};
}
double lightness(Colour c) {
  const auto [r, g, b] = linear(c);
  return 116 * std::cbrt(0.2126 * r + 0.7152 * g + 0.0722 * b) - 16;
}
// Red and green as one who lacks the second kind of cones sees them (Vienot, Brettel, Mollon 1999): one
// number.
double yellow_of_a_deuteranope(Colour c) {
  const auto [r, g, b] = linear(c);
  return 0.29275 * r + 0.70725 * g;
}

int inked(const Tensor& image) {
  int count = 0;
  const auto p = image.data<std::uint8_t>();
  for (std::size_t i = 0; i < p.size(); i += 3) count += p[i] != 255 || p[i + 1] != 255 || p[i + 2] != 255;
  return count;
}

TEST(Picture, LightnessOrdersTheMapsOfMagnitudes) {
  for (const ColourMap map : {ColourMap::gray, ColourMap::viridis}) {
    double before = -20;
    for (int i = 0; i <= 64; ++i) {
      const double now = lightness(colour_at(map, i / 64.0));
      EXPECT_GT(now, before) << static_cast<int>(map) << " at " << i;
      before = now;
    }
  }
  EXPECT_EQ(colour_at(ColourMap::viridis, 0), (Colour{68, 1, 84}));
  EXPECT_EQ(colour_at(ColourMap::viridis, 1), (Colour{253, 231, 37}));
  EXPECT_EQ(colour_at(ColourMap::gray, 0.5), (Colour{128, 128, 128}));
}

TEST(Picture, DivergingFallsFromTheMiddleAndItsSidesDifferForEveryEye) {
  EXPECT_GT(lightness(colour_at(ColourMap::diverging, 0.5)), 95);
  for (int i = 1; i <= 32; ++i) {
    const Colour below = colour_at(ColourMap::diverging, 0.5 - i / 64.0);
    const Colour above = colour_at(ColourMap::diverging, 0.5 + i / 64.0);
    EXPECT_LT(lightness(below), lightness(colour_at(ColourMap::diverging, 0.5 - (i - 1) / 64.0))) << i;
    EXPECT_LT(lightness(above), lightness(colour_at(ColourMap::diverging, 0.5 + (i - 1) / 64.0))) << i;
    EXPECT_LT(std::abs(lightness(below) - lightness(above)), 8) << i;
    // Blue against the rest is what remains: the sides lie on different sides of it.
    EXPECT_GT(linear(below)[2], yellow_of_a_deuteranope(below)) << i;
    EXPECT_LT(linear(above)[2], yellow_of_a_deuteranope(above)) << i;
  }
}

TEST(Picture, WhatIsNoNumberInTheRangeHasAColour) {
  EXPECT_EQ(colour_at(ColourMap::viridis, -3), colour_at(ColourMap::viridis, 0));
  EXPECT_EQ(colour_at(ColourMap::viridis, kInfinity), colour_at(ColourMap::viridis, 1));
  EXPECT_EQ(colour_at(ColourMap::diverging, kNan), (Colour{255, 0, 255}));
  const Tensor t = from_vector(std::vector<double>{kNan, -kInfinity, -2, 0, 1, kInfinity}, {2, 3});
  EXPECT_EQ(range_of(t).low, -2);
  EXPECT_EQ(range_of(t).high, 1);
  EXPECT_EQ(symmetric(range_of(t)).high, 2);
  EXPECT_EQ(range_of(full({2, 2}, kNan)).high, 0);
  const auto p = colourise(t, ColourMap::gray, {-2, 2}).to_vector<std::uint8_t>();
  EXPECT_EQ(p, (std::vector<std::uint8_t>{255, 0, 255, 0, 0, 0, 0, 0, 0, 128, 128, 128, 191, 191, 191, 255,
                                          255, 255}));
  EXPECT_EQ(colourise(full({1, 1}, 7), ColourMap::gray, {7, 7}).to_vector<std::uint8_t>()[0], 128);
  EXPECT_TRUE(refuses([&] { colourise(zeros({3}), ColourMap::gray, {}); }, {"[3]", "[h, w]"}));
  EXPECT_TRUE(refuses([&] { range_of(zeros({3}, {DType::i32})); }, {"i32", "floating"}));
  EXPECT_TRUE(refuses([&] { range_of(zeros({3}), 2); }, {"share of 2"}));
}

TEST(Picture, ARangeCanLeaveTheExtremesOut) {
  Tensor t = arange(1000, -500);
  EXPECT_EQ(range_of(t).low, -500);
  EXPECT_EQ(range_of(t, 0.002).low, -499);  // without -500 and, of +-499, the positive one
  EXPECT_EQ(range_of(t, 0.002).high, 498);
  EXPECT_EQ(range_of(t, 0.5).high - range_of(t, 0.5).low, 499);
  EXPECT_EQ(range_of(t, 1).high, 0);
}

TEST(Picture, ACanvasCutsOffWhatIsOutside) {
  Canvas canvas(6, 4, kWhite);
  canvas.fill(-2, -2, 3, 3, kInk);
  canvas.pixel(6, 0, kInk);
  canvas.pixel(0, -1, kInk);
  canvas.frame(3, 1, 10, 10, kBlue);
  canvas.line(-5, 3, 50, 3, kOrange);
  EXPECT_EQ(canvas.at(0, 0), kInk);
  EXPECT_EQ(canvas.at(1, 0), kWhite);
  EXPECT_EQ(canvas.at(3, 2), kBlue);
  EXPECT_EQ(canvas.at(4, 2), kWhite);
  EXPECT_EQ(canvas.at(5, 3), kOrange);
  EXPECT_EQ(canvas.tensor().shape(), Shape({4, 6, 3}));
  EXPECT_TRUE(refuses([&] { canvas.at(6, 0); }, {"6, 0", "6 x 4"}));
  EXPECT_TRUE(refuses([] { Canvas(0, 5); }, {"0 x 5"}));
  EXPECT_TRUE(refuses([] { Canvas(std::int64_t{1} << 40, std::int64_t{1} << 40); }, {"pixels"}));
  EXPECT_TRUE(refuses([] { Canvas(1 << 14, 1 << 13); }, {"16384 x 8192"}));
}

TEST(Picture, LinesHaveAPixelForEveryStep) {
  Canvas canvas(9, 9);
  canvas.line(8, 1, 0, 5, kInk);
  EXPECT_EQ(inked(canvas.tensor()), 9);
  EXPECT_EQ(canvas.at(8, 1), kInk);
  EXPECT_EQ(canvas.at(4, 3), kInk);
  EXPECT_EQ(canvas.at(0, 5), kInk);
  canvas.line(3, 8, 3, 8, kInk);
  EXPECT_EQ(inked(canvas.tensor()), 10);
}

TEST(Picture, EveryPrintableCharacterHasAGlyphOfItsOwn) {
  std::vector<std::string> seen;
  for (char c = ' '; c <= '~'; ++c) {
    Canvas canvas(5, 9);
    canvas.text(0, 0, std::string(1, c));
    const auto p = canvas.tensor().to_vector<std::uint8_t>();
    seen.emplace_back(p.begin(), p.end());
    EXPECT_EQ(inked(canvas.tensor()) > 0, c != ' ') << c;
  }
  std::sort(seen.begin(), seen.end());
  EXPECT_EQ(std::unique(seen.begin(), seen.end()), seen.end());
}

TEST(Picture, TextIsAsWideAsItSaysAndIsShortenedBetweenCharacters) {
  EXPECT_EQ(text_width(""), 0);
  EXPECT_EQ(text_width("abc"), 17);
  EXPECT_EQ(text_width("abc", 2), 34);
  EXPECT_EQ(text_width("d\xc3\xa9j\xc3\xa0"), text_width("deja"));
  Canvas canvas(40, 10);
  canvas.text(0, 0, "HHH");
  for (std::int64_t x = text_width("HHH"); x < 40; ++x)
    for (std::int64_t y = 0; y < 10; ++y) EXPECT_EQ(canvas.at(x, y), kWhite);
  EXPECT_EQ(canvas.at(text_width("HHH") - 1, 0), kInk);
  EXPECT_EQ(shortened("short", 29), "short");
  EXPECT_EQ(shortened("shorter", 30), "sho..");
  EXPECT_EQ(shortened("\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9", 17), "\xc3\xa9..");
  EXPECT_EQ(shortened("abcdef", 3), "");
}

TEST(Picture, ShrinkingTakesMeans) {
  const Tensor image = from_vector(std::vector<std::uint8_t>{0, 1, 10, 255, 255, 20}, {2, 3, 1});
  EXPECT_EQ(shrunk(image, 2).to_vector<std::uint8_t>(), (std::vector<std::uint8_t>{128, 15}));
  EXPECT_TRUE(equal_bits(shrunk(image, 1), image));
  EXPECT_EQ(shrunk(image, 100).shape(), Shape({1, 1, 1}));
  EXPECT_TRUE(refuses([&] { shrunk(image, 0); }, {"by 0"}));
}

TEST(Picture, AMontagePutsEveryTileInItsCell) {
  const Tensor red = from_vector(std::vector<std::uint8_t>{200, 0, 0}, {1, 1, 3});
  const Tensor gray = full({2, 3}, std::int64_t{100}, {DType::u8});
  const std::vector<Tile> tiles{{"a", red, "", {}}, {"b", gray, "note", {}}, {"c", gray, "", {}}};
  const MontageOptions options{.columns = 2, .scale = 4, .text = 1, .gap = 3};
  const Tensor image = montage(tiles, options);
  // Cells: as wide as the image or up to half as much for words (note: 23 > 18), label 12, image 8, note 12.
  ASSERT_EQ(image.shape(), Shape({2 * (12 + 8 + 12 + 3) + 3, 2 * (18 + 3) + 3, 3}));
  const auto at = [&](std::int64_t y, std::int64_t x) {
    return image.data<std::uint8_t>()[static_cast<std::size_t>((y * image.shape(1) + x) * 3)];
  };
  EXPECT_EQ(at(3 + 12, 3), 200);
  EXPECT_EQ(at(3 + 12 + 3, 3 + 3), 200);
  EXPECT_EQ(at(3 + 12 + 4, 3), 255);
  EXPECT_EQ(at(3 + 12, 3 + 18 + 3), 100);
  EXPECT_EQ(at(3 + 35 + 12 + 7, 3 + 11), 100);
  EXPECT_TRUE(refuses([] { montage({}); }, {"no tiles"}));
  EXPECT_TRUE(refuses([&] { montage(tiles, {.scale = 0}); }, {"scale 0"}));
  EXPECT_TRUE(refuses([&] { montage(tiles, {.scale = std::int64_t{1} << 40}); }, {"at scale"}));
  EXPECT_TRUE(refuses([&] { montage(std::vector<Tile>{{"", zeros({2, 2}), "", {}}}); }, {"f32", "u8"}));
}

// The bytes themselves: any change of font, maps or layout is meant, or wrong.
TEST(Picture, ThePixelsAreTheSameOnEveryMachine) {
  const Tensor values = random_normal({16, 16}, random_key(Seed{1}, "picture"));
  std::vector<Tile> tiles;
  for (const ColourMap map : {ColourMap::gray, ColourMap::viridis, ColourMap::diverging})
    tiles.push_back({"Tile { The quick brown fox }",
                     colourise(values, map, symmetric(range_of(values))),
                     "0.5 .. 1",
                     {}});
  EXPECT_EQ(montage(tiles, {.columns = 2, .scale = 5, .title = "jumps over 13 lazy dogs!"}).digest(),
            "00e51dcda8168f563e732032bdc131f307dc8b76892a52e5e38ba37f2f42befd");
}

TEST(Picture, ADataUriIsThePngInBase64) {
  for (const std::int64_t width : {1, 2, 3, 5, 40}) {
    const Tensor image = random_uniform({3, width, 3}, random_key(Seed{2}, "uri"), 0, 256).to(DType::u8);
    const std::string uri = data_uri(image), head = "data:image/png;base64,";
    ASSERT_EQ(uri.substr(0, head.size()), head);
    std::vector<std::uint8_t> bytes;
    std::uint32_t bits = 0;
    int have = 0;
    for (const char c : uri.substr(head.size())) {
      if (c == '=') break;
      const char* digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
      bits = bits << 6U | static_cast<std::uint32_t>(std::string_view(digits).find(c));
      if ((have += 6) >= 8)
        bytes.push_back(static_cast<std::uint8_t>(bits >> static_cast<unsigned>(have -= 8)));
    }
    EXPECT_EQ(uri.size() % 4, head.size() % 4);
    EXPECT_EQ(bytes, io::encode_png(image));
    EXPECT_TRUE(equal_bits(io::decode_png(bytes, "uri"), image));
  }
}

}  // namespace
}  // namespace isobit
