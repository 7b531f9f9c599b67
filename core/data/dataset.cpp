// Dataset: checks, statistics, arrays.
#include <isobit/data.h>
#include <isobit/error.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "core/numerics/fp_mode.h"

namespace isobit::data {
namespace {

constexpr std::string_view op = "dataset";
__extension__ typedef unsigned __int128 Wide;

// Rounded to nearest, ties to even, as one rounding: both halves of a 128-bit number are not enough for that
// when each is converted on its own.
double to_double(Wide value) {
  const auto high = static_cast<std::uint64_t>(value >> 64);
  if (high == 0) return static_cast<double>(static_cast<std::uint64_t>(value));
  int shift = 64 - __builtin_clzll(high);
  const auto kept = static_cast<std::uint64_t>(value >> shift);
  const bool rest = (value & ((Wide{1} << shift) - 1)) != 0;
  // 64 bits are kept, 11 more than a double holds: a sticky last bit carries what was cut off.
  return std::ldexp(static_cast<double>(kept | static_cast<std::uint64_t>(rest)), shift);
}

}  // namespace

Dataset Dataset::take(std::int64_t n) const {
  if (n < 1) fail(op, "take({}) of {} samples of '{}': expected at least 1", n, size(), name);
  if (n >= size()) return *this;
  return {images.slice(0, n), labels.slice(0, n), classes, name};
}

void Dataset::check() const {
  if (!images.defined() || !labels.defined()) fail(op, "'{}' has no images or no labels", name);
  if (images.dtype() != DType::u8 || images.rank() != 4 || !(images.device() == Device::cpu()))
    fail(op, "images of '{}' are {} {} on {}, expected u8 [n,h,w,c] on cpu", name, images.dtype(),
         images.shape(), images.device());
  if (labels.dtype() != DType::i64 || labels.rank() != 1 || !(labels.device() == Device::cpu()))
    fail(op, "labels of '{}' are {} {} on {}, expected i64 [n] on cpu", name, labels.dtype(), labels.shape(),
         labels.device());
  if (images.shape(0) != labels.shape(0))
    fail(op, "'{}' has {} images and {} labels", name, images.shape(0), labels.shape(0));
  if (images.numel() == 0) fail(op, "'{}' is empty: images {}", name, images.shape());
  const auto count = static_cast<std::int64_t>(classes.size());
  const auto values = labels.data<std::int64_t>();
  for (std::size_t i = 0; i < values.size(); ++i)
    if (values[i] < 0 || values[i] >= count)
      fail(op, "label {} of '{}' is {}, expected 0 to {} ({} classes)", i, name, values[i], count - 1, count);
}

Normalise channel_statistics(const Dataset& dataset) {
  dataset.check();
  const auto channels = static_cast<std::size_t>(dataset.images.shape(3));
  const auto pixels = dataset.images.data<std::uint8_t>();
  const std::uint64_t count = pixels.size() / channels;
  // 2^63 bytes at most, times 255^2: Q needs 79 bits; S needs 71.
  std::vector<Wide> sum(channels, 0), squares(channels, 0);
  // Narrow sums over pieces that cannot overflow 32 bits: 2^16 * 255^2 < 2^32.
  constexpr std::size_t piece = std::size_t{1} << 16;
  for (std::size_t c = 0; c < channels; ++c) {
    for (std::size_t from = 0; from < count; from += piece) {
      std::uint32_t s = 0, q = 0;
      const std::size_t to = std::min<std::size_t>(count, from + piece);
      for (std::size_t i = from; i < to; ++i) {
        const std::uint32_t x = pixels[i * channels + c];
        s += x;
        q += x * x;
      }
      sum[c] += s;
      squares[c] += q;
    }
  }
  const numerics::FpMode mode;
  Normalise result;
  const double scale = 255.0 * static_cast<double>(count);
  for (std::size_t c = 0; c < channels; ++c) {
    // N Q - S^2 overflows 128 bits only beyond 2^48 pixels, which no machine holds; it is never negative.
    const Wide spread = count * squares[c] - sum[c] * sum[c];
    result.mean.push_back(to_double(sum[c]) / scale);
    result.deviation.push_back(spread == 0 ? 1.0 : std::sqrt(to_double(spread)) / scale);
  }
  return result;
}

Dataset from_arrays(const Tensor& images, const Tensor& labels, std::vector<std::string> classes,
                    std::string name) {
  if (!images.defined() || !labels.defined()) fail(op, "'{}' has no images or no labels", name);
  if (labels.dtype() != DType::i64 && labels.dtype() != DType::i32 && labels.dtype() != DType::u8)
    fail(op, "labels of '{}' are {}, expected i64, i32 or u8", name, labels.dtype());
  Dataset result{images.detach().to(Device::cpu()), labels.detach().to(Device::cpu()).to(DType::i64),
                 std::move(classes), std::move(name)};
  if (result.images.rank() == 3) {
    const Shape& s = result.images.shape();
    result.images = result.images.reshape({s[0], s[1], s[2], 1});
  }
  if (result.classes.empty() && result.labels.numel() > 0) {
    const auto values = result.labels.data<std::int64_t>();
    const auto largest = *std::max_element(values.begin(), values.end());
    // A label is not believed to be a number of classes beyond the number of samples or a byte.
    if (largest >= std::max<std::int64_t>(256, result.labels.numel()))
      fail(op, "'{}' has {} labels, the largest is {}: state the classes", result.name, values.size(),
           largest);
    for (std::int64_t i = 0; i <= largest; ++i) result.classes.push_back(std::to_string(i));
  }
  result.check();
  return result;
}

}  // namespace isobit::data
