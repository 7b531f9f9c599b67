// What happens to the pixels of one sample on their way into a batch: augmentation, then normalisation.
#pragma once

#include <isobit/batches.h>

#include <cstdint>
#include <vector>

namespace isobit::data {

class Transform {
 public:
  /// Throws Error when an option is out of range for images [h, w, c].
  Transform(const Shape& image, Seed seed, const BatchOptions& options);

  /// Writes image `row` of the dataset, changed as (seed, epoch, row) say, as elements of the batch's dtype.
  void apply(const std::uint8_t* image, std::int64_t row, std::uint8_t* out) const;

 private:
  struct Draw {
    std::int64_t dy = 0, dx = 0;  // output [i, j] reads input [i + dy, j + dx]
    bool flip = false;
  };
  Draw draw(std::int64_t row) const;
  template <class T>
  void apply_as(const std::uint8_t* image, Draw d, T* out) const;

  std::int64_t h_, w_, c_;
  Augment augment_;
  DType dtype_;
  RandomKey move_key_, flip_key_;
  // The element for pixel value x in channel c, at [x * c_ + c]: every value is computed once.
  std::vector<std::uint8_t> table_;
};

/// The rows of the dataset in the order of the epoch.
std::vector<std::int64_t> epoch_order(std::int64_t samples, Seed seed, std::int64_t epoch, bool shuffle);

}  // namespace isobit::data
