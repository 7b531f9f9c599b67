// Dataset, and the way through it: shuffled, augmented, normalised batches.
#pragma once
#include <isobit/tensor.h>

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

namespace isobit::data {

/// Labelled images in host memory. The readers return checked ones; check() does it for hand-made ones.
struct Dataset {
  Tensor images;                     ///< u8 [n, h, w, c] on the CPU
  Tensor labels;                     ///< i64 [n] on the CPU, each in [0, classes.size())
  std::vector<std::string> classes;  ///< their names
  std::string name;                  ///< for messages

  std::int64_t size() const { return images.shape(0); }
  /// [h, w, c] of one image: what nn::Input takes.
  Shape image_shape() const { return images.shape().without(0); }
  /// The first n samples (all when there are fewer); shares storage. Throws Error for n < 1.
  Dataset take(std::int64_t n) const;
  /// Throws Error unless everything above holds.
  void check() const;
};

struct TrainTest {
  Dataset train, test;
};

/// Per channel, in units of v = pixel / 255; one entry for each channel, or one for all, or none: v as it is.
struct Normalise {
  std::vector<double> mean, deviation;
};

/// Mean and standard deviation (of the population) of every channel over all pixels. The sums are exact
/// integers:
///   mean = S / (255 N),  deviation = sqrt(N Q - S^2) / (255 N),  S = sum x, Q = sum x^2, N pixels,
/// each operation after the integers rounded once in f64. A constant channel gets deviation 1.
Normalise channel_statistics(const Dataset& dataset);

/// Applied in this order; what comes in from outside has the pixel value 0.
struct Augment {
  int crop_pad = 0;   ///< pad by so many pixels on every side, crop the old size out at a random place
  int shift = 0;      ///< move by -shift .. shift pixels along each axis
  bool flip = false;  ///< mirror left and right, every second time
};

struct BatchOptions {
  bool shuffle = true;
  std::int64_t epoch = 0;        ///< draws another order and other augmentation
  std::int64_t first_batch = 0;  ///< begin here, as if the batches before had been taken: for resuming
  bool drop_last = false;        ///< leave out a last batch that is not full
  Augment augment = {};
  Normalise normalise = {};
  DType dtype = DType::f32;  ///< of the images: f32, f64, f16, bf16, or u8 (raw, nothing normalised)
  int prefetch = 2;          ///< batches made ahead by another thread; 0: made when asked for
};

struct Batch {
  Tensor images;           ///< [b, h, w, c]
  Tensor labels;           ///< i64 [b]
  std::int64_t index = 0;  ///< which batch of the epoch
  std::int64_t first = 0;  ///< which sample of the epoch (in its order) comes first
  std::int64_t size() const { return labels.shape(0); }
};

/// The batches of one epoch, for a range-based for:
///   for (const auto& [images, labels] : Batches(train, 64, Seed{2}, device)) ...
///   for (const Batch& batch : batches) ...
/// Every begin() starts the epoch anew.
///
/// What comes is a pure function of (dataset, batch size, seed, options without prefetch):
/// - order: Fisher and Yates; for i = n - 1 .. 1 samples i and j change places, j uniform over 0 .. i, drawn
/// as element
///   i of stream ("shuffle", epoch) (numerics::uniform_below, no bias). The order does not depend on the
///   batch size.
/// - augmentation of the sample at row k of the dataset: element 4k + (0 crop row, 1 crop column, 2 shift
/// row, 3 shift
///   column) of stream ("augment", epoch), and element k of stream ("flip", epoch). So a sample is changed in
///   the same way whatever batch or place it comes in.
/// - value of pixel x in channel c: ((x / 255) - mean[c]) / deviation[c], mean and deviation rounded to the
/// dtype, each
///   operation rounded to it; f16 and bf16 compute in f32 and round once at the end.
class Batches {
 public:
  /// Throws Error when the dataset is not valid, batch_size < 1, or an option is out of range.
  Batches(Dataset dataset, std::int64_t batch_size, Seed seed, Device device = {}, BatchOptions options = {});

  /// Batches of an epoch, those before first_batch included.
  std::int64_t count() const;
  std::int64_t batch_size() const { return batch_size_; }
  const BatchOptions& options() const { return options_; }
  const Dataset& dataset() const { return *dataset_; }
  /// The same, in another epoch or from another batch on; first_batch may be count(): nothing is left.
  Batches at(std::int64_t epoch, std::int64_t first_batch = 0) const;

  class Stream;
  struct End {};
  /// Single pass. Owns the thread that works ahead; destroying it in mid-epoch stops the thread.
  class Iterator {
   public:
    using value_type = Batch;
    using difference_type = std::ptrdiff_t;
    using reference = const Batch&;
    using pointer = const Batch*;
    using iterator_category = std::input_iterator_tag;

    reference operator*() const { return batch_; }
    pointer operator->() const { return &batch_; }
    /// Rethrows what went wrong on the other thread.
    Iterator& operator++();
    void operator++(int) { ++*this; }
    bool operator==(End) const { return done_; }

   private:
    friend class Batches;
    explicit Iterator(std::shared_ptr<Stream> stream);
    std::shared_ptr<Stream> stream_;
    Batch batch_;
    bool done_ = false;
  };
  Iterator begin() const;
  End end() const { return {}; }

 private:
  std::shared_ptr<const Dataset> dataset_;
  std::int64_t batch_size_;
  Seed seed_;
  Device device_;
  BatchOptions options_;
};

// Two names bind to images and labels.
template <std::size_t I>
const Tensor& get(const Batch& batch) {
  static_assert(I < 2);
  if constexpr (I == 0)
    return batch.images;
  else
    return batch.labels;
}

}  // namespace isobit::data

template <>
struct std::tuple_size<isobit::data::Batch> : std::integral_constant<std::size_t, 2> {};
template <std::size_t I>
struct std::tuple_element<I, isobit::data::Batch> {
  using type = const isobit::Tensor;
};
