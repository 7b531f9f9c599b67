// What a network has learned and what it looks at: the views of the Deep Visualization Toolbox (Yosinski,
// Clune, Nguyen, Fuchs, Lipson 2015). All run the network in evaluation mode (restored afterwards), change
// nothing in it, and give the same bits on every device.
//
// Layers are named by their paths, "0" or "3.body.1". Sequential and Residual are gone through; any other
// module is one layer, whatever is in it.
#pragma once
#include <isobit/nn_module.h>
#include <isobit/random.h>

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace isobit::nn {

/// What a layer gives for an input.
struct Activation {
  std::string path, kind;  ///< of the layer
  Tensor y;                ///< [n, ..., c]
};
/// Of every layer in order of execution, recording nothing. `until`: stop behind this path; empty: the whole
/// network. Throws Error that lists the paths there are when `until` is none of them.
std::vector<Activation> activations(const Layer& net, const Tensor& x, const std::string& until = "");

/// One channel of a layer's output.
struct Unit {
  std::string layer;
  std::int64_t channel = 0;
};
/// "3.body.1:7": layer and channel. Throws Error when the text is not of that form.
Unit parse_unit(const std::string& text);

/// The largest value of the channel for each sample of x: f64 on the CPU, in order. Throws Error when the
/// layer or the channel is not there.
std::vector<double> excitement(const Layer& net, const Tensor& x, const Unit& unit);

/// What an input has to do with one value of the network. Positions with a gradient other than 0 lie in rows
/// [top, bottom) and columns [left, right) of images [h, w, c]: what the value depends on.
struct InputView {
  Tensor gradient;            ///< shape of x
  double value = 0;           ///< that is looked at
  std::int64_t position = 0;  ///< of the maximum: row-major in the map of the channel
  std::int64_t top = 0, left = 0, bottom = 0, right = 0;  ///< 0 where x is no image or the gradient is 0
};
/// d(the channel's largest value)/dx for one sample x[1, ...], f32 or f64: by how much each input moves it
/// (Simonyan, Vedaldi, Zisserman 2013). For the network's output give the last layer's path and the class.
InputView saliency(const Layer& net, const Tensor& x, const Unit& unit);
/// The same value sent back through a deconvolution (Zeiler, Fergus 2013): each ReLU layer passes on what is
/// positive of that which comes from above, whatever it saw itself; all else is the gradient's way, so that
/// max pools put values back where they came from. ReLUs that are an option of a convolution keep their
/// gradient.
InputView deconvolution(const Layer& net, const Tensor& x, const Unit& unit);

struct AscentOptions {
  std::int64_t steps = 100;
  double rate = 0.1;      ///< of the root mean square of the change of a step
  double decay = 0.01;    ///< share by which everything is drawn to 0 in each step
  std::int64_t blur = 4;  ///< before every so-manieth step the image is blurred (1 2 1 by 1 2 1); 0: never
  double low = -1, high = 1;  ///< the input's values stay between them
  double noise = 0.2;  ///< how far from 0 it begins, uniformly, as a share of high - low: at 0 itself every
                       ///< ReLU of a layer can be shut, and then there is no way up
  Seed seed = {1};     ///< of that noise
  std::function<void(std::int64_t step, double value)> progress = {};
};
struct Ascent {
  Tensor x;          ///< [1, ...sample]
  double value = 0;  ///< of the unit for x
};
/// An input that excites the unit: gradient ascent on the channel's value in the middle of its map (the
/// network's own neuron where there is no map) from noise, kept in bounds by decay and blur. Throws Error for
/// options out of range, and when the network is not built or its dtype is no f32 or f64.
Ascent exciting_input(const Layer& net, const Unit& unit, const AscentOptions& options = {});

}  // namespace isobit::nn
