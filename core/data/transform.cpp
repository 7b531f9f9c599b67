// Augmentation and normalisation of single images, and the order of an epoch (isobit/batches.h says what is
// promised).
#include "core/data/transform.h"

#include <isobit/error.h>

#include <cmath>
#include <cstring>
#include <numeric>
#include <string_view>
#include <utility>

#include "core/numerics/fp_mode.h"
#include "core/numerics/half.h"
#include "core/numerics/philox.h"

namespace isobit::data {
namespace {

constexpr std::string_view op = "batches";
constexpr int largest_move = 1 << 20;

// A value for channel c out of one for each channel, or one for all, or none.
double of_channel(const std::vector<double>& values, std::int64_t c, double otherwise) {
  if (values.empty()) return otherwise;
  return values[values.size() == 1 ? 0 : static_cast<std::size_t>(c)];
}

// ((x / 255) - mean) / deviation, each operation rounded to T. Subtracting 0 and dividing by 1 change no bit.
template <class T>
T normalised(int x, double mean, double deviation) {
  const T scaled = static_cast<T>(x) / T{255};
  const T centred = scaled - static_cast<T>(mean);
  return centred / static_cast<T>(deviation);
}

void store(DType dtype, int x, double mean, double deviation, std::uint8_t* out) {
  switch (dtype) {
    case DType::f32: {
      const float v = normalised<float>(x, mean, deviation);
      std::memcpy(out, &v, sizeof v);
      return;
    }
    case DType::f64: {
      const double v = normalised<double>(x, mean, deviation);
      std::memcpy(out, &v, sizeof v);
      return;
    }
    case DType::f16:
    case DType::bf16: {
      const float v = normalised<float>(x, mean, deviation);
      const std::uint16_t bits = dtype == DType::f16 ? numerics::f32_to_f16(v) : numerics::f32_to_bf16(v);
      std::memcpy(out, &bits, sizeof bits);
      return;
    }
    default:
      *out = static_cast<std::uint8_t>(x);
  }
}

void check(const Normalise& normalise, std::int64_t channels, DType dtype) {
  const auto check_count = [&](std::string_view what, const std::vector<double>& values) {
    if (values.size() > 1 && values.size() != static_cast<std::size_t>(channels))
      fail(op, "normalise has {} values of {}, the images have {} channels", values.size(), what, channels);
    if (!values.empty() && dtype == DType::u8)
      fail(op, "normalise with {}, but the batches are u8 (raw pixels)", what);
    for (const double v : values)
      if (!std::isfinite(v) || (what == "deviation" && !(static_cast<float>(v) > 0)))
        fail(op, "normalise: {} {}, expected a finite number{}", what, v,
             what == "deviation" ? " above 0" : "");
  };
  check_count("mean", normalise.mean);
  check_count("deviation", normalise.deviation);
}

}  // namespace

Transform::Transform(const Shape& image, Seed seed, const BatchOptions& options)
    : h_(image[0]),
      w_(image[1]),
      c_(image[2]),
      augment_(options.augment),
      dtype_(options.dtype),
      move_key_(random_key(seed, "augment", static_cast<std::uint64_t>(options.epoch))),
      flip_key_(random_key(seed, "flip", static_cast<std::uint64_t>(options.epoch))) {
  if (!is_floating(dtype_) && dtype_ != DType::u8)
    fail(op, "dtype {}: images are f32, f64, f16, bf16 or u8", dtype_);
  if (augment_.crop_pad < 0 || augment_.crop_pad > largest_move || augment_.shift < 0 ||
      augment_.shift > largest_move)
    fail(op, "augment: crop_pad {} and shift {}, expected 0 to {}", augment_.crop_pad, augment_.shift,
         largest_move);
  check(options.normalise, c_, dtype_);
  const numerics::FpMode mode;
  const auto bytes = static_cast<std::size_t>(size_of(dtype_));
  table_.resize(256 * static_cast<std::size_t>(c_) * bytes);
  for (int x = 0; x < 256; ++x)
    for (std::int64_t c = 0; c < c_; ++c)
      store(dtype_, x, of_channel(options.normalise.mean, c, 0),
            of_channel(options.normalise.deviation, c, 1),
            table_.data() + static_cast<std::size_t>(x * c_ + c) * bytes);
}

Transform::Draw Transform::draw(std::int64_t row) const {
  Draw d;
  const auto element = 4 * static_cast<std::uint64_t>(row);
  const auto move = [&](std::uint64_t which, int reach) {
    const auto places = 2 * static_cast<std::uint64_t>(reach) + 1;
    return static_cast<std::int64_t>(numerics::uniform_below(move_key_, element + which, places)) - reach;
  };
  if (augment_.crop_pad > 0) {
    d.dy += move(0, augment_.crop_pad);
    d.dx += move(1, augment_.crop_pad);
  }
  if (augment_.shift > 0) {
    d.dy += move(2, augment_.shift);
    d.dx += move(3, augment_.shift);
  }
  if (augment_.flip) d.flip = numerics::uniform_below(flip_key_, static_cast<std::uint64_t>(row), 2) != 0;
  return d;
}

template <class T>
void Transform::apply_as(const std::uint8_t* image, Draw d, T* out) const {
  const T* table = reinterpret_cast<const T*>(table_.data());
  if (d.dy == 0 && d.dx == 0 && !d.flip) {
    const std::int64_t pixels = h_ * w_;
    for (std::int64_t i = 0; i < pixels; ++i)
      for (std::int64_t c = 0; c < c_; ++c) *out++ = table[*image++ * c_ + c];
    return;
  }
  for (std::int64_t i = 0; i < h_; ++i) {
    const std::int64_t y = i + d.dy;
    for (std::int64_t j = 0; j < w_; ++j) {
      const std::int64_t x = (d.flip ? w_ - 1 - j : j) + d.dx;
      const bool inside = y >= 0 && y < h_ && x >= 0 && x < w_;
      const std::uint8_t* from = inside ? image + (y * w_ + x) * c_ : nullptr;
      for (std::int64_t c = 0; c < c_; ++c) *out++ = table[(inside ? from[c] : 0) * c_ + c];
    }
  }
}

void Transform::apply(const std::uint8_t* image, std::int64_t row, std::uint8_t* out) const {
  const Draw d = draw(row);
  // Elements are only moved, so their size is all that counts.
  switch (size_of(dtype_)) {
    case 8:
      return apply_as(image, d, reinterpret_cast<std::uint64_t*>(out));
    case 4:
      return apply_as(image, d, reinterpret_cast<std::uint32_t*>(out));
    case 2:
      return apply_as(image, d, reinterpret_cast<std::uint16_t*>(out));
    default:
      return apply_as(image, d, out);
  }
}

std::vector<std::int64_t> epoch_order(std::int64_t samples, Seed seed, std::int64_t epoch, bool shuffle) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(samples));
  std::iota(order.begin(), order.end(), std::int64_t{0});
  if (!shuffle) return order;
  const RandomKey key = random_key(seed, "shuffle", static_cast<std::uint64_t>(epoch));
  for (std::size_t i = order.size(); i-- > 1;)
    std::swap(order[i], order[static_cast<std::size_t>(numerics::uniform_below(key, i, i + 1))]);
  return order;
}

}  // namespace isobit::data
