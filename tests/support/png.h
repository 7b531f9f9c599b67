// Makes PNG data of every kind by hand (chunks, filters none, zlib's deflate), without libpng: what the
// reader is judged by, and seeds of its fuzz target.
#pragma once
#include <zlib.h>

#include <cstdint>
#include <string>
#include <vector>

namespace isobit::test {

/// A PNG's chunks, one after the other.
class PngBuilder {
 public:
  PngBuilder() : bytes_{0x89, 'P', 'N', 'G', 13, 10, 26, 10} {}

  PngBuilder& chunk(const std::string& type, const std::vector<std::uint8_t>& data) {
    put32(static_cast<std::uint32_t>(data.size()));
    const std::size_t from = bytes_.size();
    bytes_.insert(bytes_.end(), type.begin(), type.end());
    bytes_.insert(bytes_.end(), data.begin(), data.end());
    put32(
        static_cast<std::uint32_t>(crc32(0, bytes_.data() + from, static_cast<uInt>(bytes_.size() - from))));
    return *this;
  }

  /// Colour types: 0 gray, 2 RGB, 3 palette, 4 gray + alpha, 6 RGBA.
  PngBuilder& header(std::uint32_t width, std::uint32_t height, int depth, int colour, int interlaced = 0) {
    std::vector<std::uint8_t> data;
    for (const std::uint32_t value : {width, height})
      for (int shift = 24; shift >= 0; shift -= 8) data.push_back(static_cast<std::uint8_t>(value >> shift));
    for (const int value : {depth, colour, 0, 0, interlaced})
      data.push_back(static_cast<std::uint8_t>(value));
    return chunk("IHDR", data);
  }

  /// `raw`: for each row a filter byte, then the row's bytes.
  PngBuilder& pixels(const std::vector<std::uint8_t>& raw) {
    uLongf size = compressBound(static_cast<uLong>(raw.size()));
    std::vector<std::uint8_t> packed(size);
    compress2(packed.data(), &size, raw.data(), static_cast<uLong>(raw.size()), 9);
    packed.resize(size);
    return chunk("IDAT", packed);
  }

  std::vector<std::uint8_t> finish() {
    chunk("IEND", {});
    return bytes_;
  }

 private:
  void put32(std::uint32_t value) {
    for (int shift = 24; shift >= 0; shift -= 8) bytes_.push_back(static_cast<std::uint8_t>(value >> shift));
  }
  std::vector<std::uint8_t> bytes_;
};

}  // namespace isobit::test
