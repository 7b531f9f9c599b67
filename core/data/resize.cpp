// Bilinear resizing in exact integers. With `in` pixels becoming `out`, output pixel i has its centre at
// (2 i + 1) in / (2 out) - 1/2 of the input: a fraction with denominator 2 out. So each output is a fraction
// with denominator 4 height width, and is rounded once.
#include <isobit/data.h>
#include <isobit/error.h>

#include <algorithm>
#include <vector>

namespace isobit::data {
namespace {

// Neighbours and weight of the second one, in units of 1 / (2 out).
struct Tap {
  std::int64_t first, second, weight;
};

std::vector<Tap> taps(std::int64_t in, std::int64_t out) {
  std::vector<Tap> result;
  result.reserve(static_cast<std::size_t>(out));
  for (std::int64_t i = 0; i < out; ++i) {
    const std::int64_t twice_centre = (2 * i + 1) * in - out;  // in units of 1 / (2 out); may be negative
    const std::int64_t floor = twice_centre >= 0 ? twice_centre / (2 * out) : -1;
    result.push_back(
        {std::max<std::int64_t>(floor, 0), std::min(floor + 1, in - 1), twice_centre - floor * 2 * out});
  }
  return result;
}

}  // namespace

Tensor resize_bilinear(const Tensor& image, std::int64_t height, std::int64_t width) {
  constexpr std::int64_t largest = 1 << 20;  // 255 * 4 * 2^40 is far from the end of 64 bits
  if (image.dtype() != DType::u8 || image.rank() != 3 || image.numel() == 0)
    fail("resize", "image is {} {}, expected u8 [h,w,c]", image.dtype(), image.shape());
  if (height < 1 || width < 1 || height > largest || width > largest)
    fail("resize", "to {} x {}, expected 1 to {} rows and columns", height, width, largest);
  const std::int64_t h = image.shape(0), w = image.shape(1), c = image.shape(2);
  if (h > largest || w > largest) fail("resize", "from {} x {}, at most {}", h, w, largest);
  const Tensor host = image.to(Device::cpu());
  const std::uint8_t* x = host.data<std::uint8_t>().data();
  Tensor result = empty({height, width, c}, {.dtype = DType::u8});
  std::uint8_t* y = result.mutable_data<std::uint8_t>().data();
  const std::vector<Tap> rows = taps(h, height), columns = taps(w, width);
  const std::int64_t scale = 4 * height * width;
  for (const Tap& row : rows)
    for (const Tap& column : columns)
      for (std::int64_t channel = 0; channel < c; ++channel) {
        const auto at = [&](std::int64_t i, std::int64_t j) {
          return static_cast<std::int64_t>(x[(i * w + j) * c + channel]);
        };
        const std::int64_t left = 2 * width - column.weight, above = 2 * height - row.weight;
        const std::int64_t upper =
            at(row.first, column.first) * left + at(row.first, column.second) * column.weight;
        const std::int64_t lower =
            at(row.second, column.first) * left + at(row.second, column.second) * column.weight;
        *y++ = static_cast<std::uint8_t>((upper * above + lower * row.weight + scale / 2) / scale);
      }
  return result;
}

}  // namespace isobit::data
