// PNG and JPEG: against files made by hand, round trips, limits, damage.
#include <gtest/gtest.h>
#include <isobit/io.h>

#include <cstdlib>
#include <cstring>

#include "tests/support/files.h"
#include "tests/support/jpeg.h"
#include "tests/support/png.h"

namespace isobit {
namespace {

using test::Bytes;
using test::PngBuilder;
using test::refuses;

Bytes noise(std::size_t n) {
  Bytes bytes(n);
  std::uint32_t state = 12345;
  for (auto& byte : bytes) byte = static_cast<std::uint8_t>((state = state * 1664525 + 1013904223) >> 24);
  return bytes;
}

Bytes png_pixels(const Bytes& png) {
  return io::decode_png(png, "file").to_vector<std::uint8_t>();
}

TEST(Png, RoundTripOfEveryChannelCount) {
  const test::TemporaryFolder folder;
  for (const int channels : {1, 2, 3, 4}) {
    const Tensor image = from_vector(noise(static_cast<std::size_t>(5 * 7 * channels)), {5, 7, channels});
    io::write_png(folder / "a.png", image);
    EXPECT_TRUE(equal_bits(io::read_png(folder / "a.png"), image));
    EXPECT_TRUE(equal_bits(io::read_image(folder / "a.png"), image));
  }
  const Tensor flat = from_vector(noise(6), {2, 3});
  EXPECT_TRUE(equal_bits(io::decode_png(io::encode_png(flat), "memory"), flat.reshape({2, 3, 1})));
  EXPECT_TRUE(refuses([&] { io::write_png(folder / "b.png", zeros({2, 3})); }, {"f32 [2,3]"}));
  EXPECT_TRUE(refuses([&] { io::encode_png(from_vector(noise(10), {1, 2, 5})); }, {"[1,2,5]"}));
  EXPECT_TRUE(refuses([&] { io::encode_png(empty({0, 2, 1}, {.dtype = DType::u8})); }, {"[0,2,1]"}));
}

TEST(Png, EveryKindOfFile) {
  // 1, 2 and 4 bits of gray are spread to 0..255.
  EXPECT_EQ(png_pixels(PngBuilder().header(3, 1, 1, 0).pixels({0, 0b10100000}).finish()),
            (Bytes{255, 0, 255}));
  EXPECT_EQ(png_pixels(PngBuilder().header(4, 1, 2, 0).pixels({0, 0b00011011}).finish()),
            (Bytes{0, 85, 170, 255}));
  EXPECT_EQ(png_pixels(PngBuilder().header(2, 1, 4, 0).pixels({0, 0x3f}).finish()), (Bytes{51, 255}));
  // 16 bits are rounded: 0x0180 is 384 / 257 = 1.49, 0x0181 is 1.498, 0x8080 is exactly 128.
  EXPECT_EQ(
      png_pixels(PngBuilder().header(3, 1, 16, 0).pixels({0, 1, 0x80, 0xfe, 0xff, 0x80, 0x80}).finish()),
      (Bytes{1, 254, 128}));
  EXPECT_EQ(png_pixels(PngBuilder().header(1, 1, 16, 2).pixels({0, 0xff, 0xff, 0, 0, 0x80, 0x80}).finish()),
            (Bytes{255, 0, 128}));
  // A palette, without and with transparency.
  const Bytes palette{10, 20, 30, 40, 50, 60};
  const auto indexed = [&] { return PngBuilder().header(2, 1, 8, 3).chunk("PLTE", palette); };
  EXPECT_EQ(png_pixels(indexed().pixels({0, 1, 0}).finish()), (Bytes{40, 50, 60, 10, 20, 30}));
  EXPECT_EQ(png_pixels(indexed().chunk("tRNS", {7}).pixels({0, 1, 0}).finish()),
            (Bytes{40, 50, 60, 255, 10, 20, 30, 7}));
  // Gamma does not change the pixels.
  EXPECT_EQ(
      png_pixels(PngBuilder().header(1, 1, 8, 0).chunk("gAMA", {0, 1, 0x86, 0xa0}).pixels({0, 99}).finish()),
      (Bytes{99}));
  // Adam7, 2 x 2: pass 1 has pixel (0, 0), pass 6 (0, 1), pass 7 row 1.
  EXPECT_EQ(png_pixels(PngBuilder().header(2, 2, 8, 0, 1).pixels({0, 1, 0, 2, 0, 3, 4}).finish()),
            (Bytes{1, 2, 3, 4}));
}

TEST(Png, DamageIsRefused) {
  const Bytes good = io::encode_png(from_vector(noise(8 * 8 * 3), {8, 8, 3}));
  for (std::size_t n = 0; n < good.size(); ++n)
    EXPECT_TRUE(refuses([&] { io::decode_png({good.data(), n}, "file"); }, {"png: file"})) << n;
  for (std::size_t i = 0; i < good.size(); ++i) {
    Bytes bad = good;
    bad[i] ^= 0x10;
    EXPECT_TRUE(refuses([&] { io::decode_png(bad, "file"); }, {"png: file"})) << i;
  }
  const auto gray = [](std::uint32_t w, std::uint32_t h) {
    return PngBuilder().header(w, h, 8, 0).pixels({0, 1}).finish();
  };
  EXPECT_NO_THROW(io::decode_png(gray(1, 1), "file"));
  EXPECT_TRUE(refuses([&] { io::decode_png(gray(1, 2), "file"); }, {"file"}));
  EXPECT_TRUE(refuses([&] { io::decode_png(gray(0, 1), "file"); }, {"file"}));
  EXPECT_TRUE(refuses(
      [&] {
        io::decode_png(PngBuilder().header(1, 1, 8, 3).pixels({0, 0}).finish(), "file");
      },
      {"file"}));
  EXPECT_TRUE(refuses([&] { io::decode_png(PngBuilder().header(1, 1, 8, 0).finish(), "file"); }, {"file"}));
}

TEST(Png, BombsAreRefusedBeforeTheyAreDecoded) {
  const auto gray = [](std::uint32_t w, std::uint32_t h) {
    return PngBuilder().header(w, h, 8, 0).pixels({0, 1}).finish();
  };
  EXPECT_TRUE(refuses([&] { io::decode_png(gray(0x7fffffff, 0x7fffffff), "file"); },
                      {"2147483647 x 2147483647 pixels", "268435456"}));
  EXPECT_TRUE(
      refuses([&] { io::decode_png(gray(16384, 16384), "file"); }, {"268435456 bytes", "cannot hold"}));
  EXPECT_TRUE(refuses(
      [&] {
        io::decode_png(io::encode_png(zeros({9, 9}, {.dtype = DType::u8})), "file", {.max_pixels = 80});
      },
      {"9 x 9 pixels", "80"}));
}

TEST(Jpeg, FlatImagesAreExactAndOthersNear) {
  for (const int value : {0, 128, 255}) {
    const Bytes pixels(16 * 9, static_cast<std::uint8_t>(value));
    const Tensor image = io::decode_jpeg(test::encode_jpeg(pixels, 16, 9, 1), "file");
    EXPECT_TRUE(image.shape() == Shape({16, 9, 1}));
    EXPECT_EQ(image.to_vector<std::uint8_t>(), pixels);
  }
  Bytes ramp(24 * 20 * 3);
  for (int i = 0; i < 24; ++i)
    for (int j = 0; j < 20; ++j)
      for (int c = 0; c < 3; ++c)
        ramp[static_cast<std::size_t>((i * 20 + j) * 3 + c)] =
            static_cast<std::uint8_t>(40 + 4 * i + 3 * j + 20 * c);
  const test::TemporaryFolder folder;
  for (const bool progressive : {false, true})
    for (const bool subsampled : {false, true}) {
      const Bytes jpeg = test::encode_jpeg(ramp, 24, 20, 3,
                                           {.quality = 95,
                                            .progressive = progressive,
                                            .subsampled = subsampled,
                                            .restart_rows = progressive ? 0 : 1});
      test::write_bytes(folder / "a.jpg", jpeg);
      const Tensor image = io::read_jpeg(folder / "a.jpg");
      ASSERT_TRUE(image.shape() == Shape({24, 20, 3}));
      EXPECT_TRUE(equal_bits(image, io::read_image(folder / "a.jpg")));
      const auto decoded = image.to_vector<std::uint8_t>();
      int worst = 0;
      for (std::size_t i = 0; i < ramp.size(); ++i) worst = std::max(worst, std::abs(decoded[i] - ramp[i]));
      EXPECT_LE(worst, 8) << progressive << subsampled;
    }
}

TEST(Jpeg, DamageIsRefused) {
  const Bytes good = test::encode_jpeg(noise(16 * 16 * 3), 16, 16, 3);
  const Bytes progressive = test::encode_jpeg(noise(16 * 16 * 3), 16, 16, 3, {.progressive = true});
  EXPECT_NO_THROW(io::decode_jpeg(progressive, "file"));
  // The last two bytes are the end marker: without them, and with anything less, the file is refused.
  for (const Bytes& bytes : {good, progressive})
    for (std::size_t n = 0; n < bytes.size(); ++n)
      EXPECT_TRUE(refuses([&] { io::decode_jpeg({bytes.data(), n}, "file"); }, {"jpeg: file"})) << n;
  const Bytes cmyk = test::encode_jpeg(noise(8 * 8 * 4), 8, 8, 4);
  EXPECT_TRUE(refuses([&] { io::decode_jpeg(cmyk, "file"); }, {"CMYK"}));
  EXPECT_TRUE(
      refuses([&] { io::decode_jpeg(good, "file", {.max_pixels = 255}); }, {"16 x 16 pixels", "255"}));
  EXPECT_TRUE(refuses([&] { io::decode_jpeg(Bytes{1, 2, 3}, "file"); }, {"not a JPEG"}));
  // The frame header says 65535 x 65535.
  Bytes huge = good;
  for (std::size_t i = 0; i + 9 < huge.size(); ++i)
    if (huge[i] == 0xff && huge[i + 1] == 0xc0) std::memset(huge.data() + i + 5, 0xff, 4);
  EXPECT_TRUE(refuses([&] { io::decode_jpeg(huge, "file"); }, {"file"}));
}

TEST(Images, FilesThatCannotBeRead) {
  const test::TemporaryFolder folder;
  for (const auto& read : {io::read_png, io::read_jpeg, io::read_image}) {
    EXPECT_TRUE(refuses([&] { read(folder / "no.png", {}); }, {"no.png", "No such file"}));
    EXPECT_TRUE(refuses([&] { read(folder.path(), {}); }, {"is a directory"}));
  }
  EXPECT_TRUE(refuses([&] { io::read_safetensors(folder / "no"); }, {"/no'", "No such file"}));
  EXPECT_TRUE(refuses([&] { io::read_safetensors(folder.path()); }, {"is a directory"}));
  EXPECT_TRUE(refuses([&] { io::read_safetensors("/dev/zero"); }, {"not a regular file"}));
}

}  // namespace
}  // namespace isobit
