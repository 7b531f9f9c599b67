// The views of a network as figures of a page.
#pragma once
#include <isobit/batches.h>
#include <isobit/nn_module.h>
#include <isobit/visualise.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "cli/page.h"

namespace isobit::cli {

/// A picture as the network takes it, and a network's values as a picture.
class Pixels {
 public:
  Pixels(data::Normalise normalise, std::int64_t channels, Device device);
  /// u8 [n, h, w, c] to the network's input.
  Tensor input(const Tensor& images) const;
  /// One sample [1, h, w, c] back to u8 [h, w, c].
  Tensor picture(const Tensor& x) const;
  /// What the darkest and the brightest pixels become.
  double low() const { return low_; }
  double high() const { return high_; }

 private:
  data::Normalise normalise_;
  Device device_;
  double low_ = 0, high_ = 1;
};

/// A sample's gradient [1, h, w, c]: magnitudes (saliency), or signed.
Tensor magnitude_picture(const Tensor& gradient);
Tensor signed_picture(const Tensor& gradient);

/// Filters (of 2-D convolutions) and maps of every layer; of each the first `most`.
void show_layers(Page& page, const nn::Layer& net, const std::vector<nn::Activation>& layers,
                 std::int64_t most);

/// Of one unit: its map for the picture, the images of the dataset that excite it most, the synthesised
/// image, the deconvolution.
struct UnitOptions {
  std::int64_t top = 9;
  std::int64_t steps = 100;
};
/// For each unit the images that excite it most: {value, row}, the largest first, the earlier row of equals.
using Favourites = std::vector<std::pair<double, std::int64_t>>;
std::vector<Favourites> favourites(const nn::Layer& net, const std::vector<nn::Unit>& units,
                                   const data::Dataset& dataset, const Pixels& pixels, std::int64_t top);
void show_unit(Page& page, const nn::Layer& net, const nn::Unit& unit, const Tensor& image,
               const Pixels& pixels, const data::Dataset* dataset, const Favourites& favourites,
               const UnitOptions& options);

}  // namespace isobit::cli
