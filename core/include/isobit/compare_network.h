// A whole network against another implementation of it, layer by layer, forward and backward
// (docs/compare.md).
//
//   const auto result = compare::compare_network(net, x, compare::on_device(other_net));
//   fmt::print("{}", result.to_string());
#pragma once
#include <isobit/compare.h>
#include <isobit/nn_module.h>

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace isobit::compare {

/// One layer without children, about to be computed by somebody else.
struct LayerCall {
  std::string path;               ///< "3.body.0"
  nn::Layer layer;                ///< of the reference network
  Tensor x, dy;                   ///< on the CPU
  std::vector<Problem> problems;  ///< y and every gradient, where the layer is one of Op; else empty
};
/// What somebody else makes of a layer: any of "y", "dx" and the parameters' names ("weight", "bias") for
/// their gradients, of the shapes that the reference has. Nothing: it cannot serve the layer.
using Implementation = std::function<nn::StateDict(const LayerCall&)>;

/// The same network, built on another device with the same parameters, which is put into evaluation mode.
/// Operands other than f32 are rounded in front of every convolution and linear layer.
Implementation on_device(const nn::Layer& net, Operands operands = Operands::f32);
/// Arrays by name: "<path>" or "<path>.y", "<path>.dx", "<path>.<parameter>".
Implementation from_tensors(const nn::StateDict& tensors);

/// One result of a layer without a derived bound, and what it reads.
struct LayerCase {
  nn::Layer layer;     ///< built on the CPU, in evaluation mode
  Tensor x, dy;        ///< dy may be undefined where y is asked
  std::string tensor;  ///< "y", "dx", or a parameter's name for its gradient
  /// "GroupNorm(4) dx, x [2,8,8,16]".
  std::string to_string() const;
};
/// isobit's own result on a device, by a copy of the layer there. Throws Error for a layer that cannot say
/// what it is made of (nn::describe).
Tensor run(const LayerCase& c, Device device = {}, DType dtype = DType::f32);
/// By the yardstick (judge_by_yardstick), of f32.
Judgement judge(const LayerCase& c, const Tensor& got);
/// A smaller case for which `fails` still says true: extents, channels and the numbers among the layer's
/// options (groups, windows) are halved and lowered, tensors and parameters cut to fit. `c` itself must fail:
/// Error otherwise.
LayerCase shrink(const LayerCase& c, const std::function<bool(const LayerCase&)>& fails);

struct LayerResult {
  std::string path, layer;  ///< "0", "Conv2D(32, 5x5, same)"
  std::string tensor;       ///< "y", "dx", "weight", "bias"
  Judgement judgement;
  /// By the derived bound. Else by a yardstick, which is what isobit's own result is off from f64
  /// (docs/compare.md).
  bool derived = true;
  std::optional<Problem> problem;       ///< where `derived`
  std::optional<LayerCase> layer_case;  ///< elsewhere
};

struct NetworkOptions {
  /// The same network in f64 on the CPU, for layers without a derived bound; those are judged by their bits
  /// alone if it is empty.
  nn::Layer in_f64 = {};
  /// Every layer gets what the other implementation gave for the layer before, where it did: for arrays from
  /// a file, which depend on each other. Else it gets the reference's.
  bool chained = false;
  bool backward = true;
  Tensor output =
      {};  ///< what the other implementation makes of x from end to end, if that is to be compared
  RandomKey seed = {1, 1};  ///< of the gradient at the network's end
  std::function<void(const std::string& path)> progress = {};
};

struct NetworkComparison {
  std::string model, reference = "cpu", other, operands = "f32";  ///< what a report says of the two
  std::vector<LayerResult> layers;
  std::vector<std::string> skipped;  ///< "4 Dropout: not served"
  /// From the first layer to the last without help: the largest difference of the outputs / their largest
  /// value; negative when it was not asked.
  double end_to_end = -1;
  bool end_to_end_equal = false;

  /// Nothing is wrong, and something was compared.
  bool ok() const;
  /// The first result whose verdict is not bit-equal; nullptr when all are.
  const LayerResult* first_difference() const;
  /// Where two layers or more are wrong, which and why: a line for each. Every layer gets the right input, so
  /// none is wrong for another's fault. Else empty.
  std::string wrong_layers() const;
  /// A table, a line for each result, and what to know of those that differ.
  std::string to_string() const;
};

/// `net` is built on the CPU; it is run in evaluation mode, and the mode restored. x is one batch. Throws
/// Error when the other implementation gives a tensor of another shape.
NetworkComparison compare_network(const nn::Layer& net, const Tensor& x, const Implementation& other,
                                  const NetworkOptions& options = {});

/// Judges a tensor by a yardstick: `exact` is isobit's own result, `reference` the same in f64 (may be
/// undefined).
Judgement judge_by_yardstick(const Tensor& exact, const Tensor& reference, const Tensor& got);

/// One page of HTML with its pictures inside, for screens of any width.
std::string to_html(const NetworkComparison& comparison);

}  // namespace isobit::compare
