// Pictures from files, brought to the channels and the size that a filter or a model takes.
#pragma once
#include <isobit/tensor.h>

#include <string>

namespace isobit::cli {

/// "gray", "RGB", ...: what a picture with so many channels is.
const char* colours(std::int64_t channels);

/// u8 [h, w, c] with c 1 to 4 to 1 or 3 channels: alpha is dropped, gray repeated, colour becomes
/// (299 r + 587 g + 114 b + 500) / 1000.
Tensor with_channels(const Tensor& image, std::int64_t wanted);

/// A picture u8 [h, w, c] brought to the shape of a model's samples [h, w, 1 or 3], and what was done, in
/// words: "" where it fitted. Throws Error(op) when the model takes other samples.
struct FittedPicture {
  Tensor image;
  std::string changes;
};
FittedPicture fit_picture(const char* op, Tensor image, const Shape& wanted, bool invert);

}  // namespace isobit::cli
