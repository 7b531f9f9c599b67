#include "cli/fit_picture.h"

#include <isobit/data.h>
#include <isobit/error.h>

namespace isobit::cli {

const char* colours(std::int64_t channels) {
  constexpr const char* names[] = {"no channel", "gray", "gray with alpha", "RGB", "RGBA"};
  return channels >= 0 && channels <= 4 ? names[channels] : "many channels";
}

Tensor with_channels(const Tensor& image, std::int64_t wanted) {
  const std::int64_t c = image.shape(2), pixels = image.shape(0) * image.shape(1);
  const auto in = image.data<std::uint8_t>();
  std::vector<std::uint8_t> out(static_cast<std::size_t>(pixels * wanted));
  for (std::int64_t i = 0; i < pixels; ++i) {
    const std::uint8_t* pixel = in.data() + i * c;
    std::uint8_t* to = out.data() + i * wanted;
    if (wanted == 1)
      to[0] =
          c < 3 ? pixel[0]
                : static_cast<std::uint8_t>((299 * pixel[0] + 587 * pixel[1] + 114 * pixel[2] + 500) / 1000);
    else
      for (int k = 0; k < 3; ++k) to[k] = c < 3 ? pixel[0] : pixel[k];
  }
  return from_vector(out, {image.shape(0), image.shape(1), wanted});
}

FittedPicture fit_picture(const char* op, Tensor image, const Shape& wanted, bool invert) {
  FittedPicture result;
  const auto note = [&](const std::string& text) {
    result.changes += (result.changes.empty() ? "" : ", ") + text;
  };
  if (wanted.rank() != 3) fail(op, "the model takes samples {}, not pictures [h, w, c]", wanted);
  if (wanted[2] != 1 && wanted[2] != 3)
    fail(op, "the model takes {} channels, pictures have 1 or 3", wanted[2]);
  if (image.shape(2) != wanted[2]) {
    note(fmt::format("{} to {}", colours(image.shape(2)), colours(wanted[2])));
    image = with_channels(image, wanted[2]);
  }
  if (image.shape(0) != wanted[0] || image.shape(1) != wanted[1]) {
    note(fmt::format("resized to {} x {}", wanted[0], wanted[1]));
    image = data::resize_bilinear(image, wanted[0], wanted[1]);
  }
  if (invert) {
    note("inverted");
    Tensor negative = empty(image.shape(), {DType::u8});
    const auto from = image.data<std::uint8_t>();
    const auto to = negative.mutable_data<std::uint8_t>();
    for (std::size_t i = 0; i < from.size(); ++i) to[i] = static_cast<std::uint8_t>(255 - from[i]);
    image = negative;
  }
  result.image = image;
  return result;
}

}  // namespace isobit::cli
