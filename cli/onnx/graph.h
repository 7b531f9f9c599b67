// A model computed by isobit's ops.
#pragma once
#include "cli/onnx/model.h"

namespace isobit::cli::onnx {

/// Whether a model is one of those that must be computed, and what keeps isobit from it.
struct Fitness {
  bool wanted =
      false;  ///< it has an operator of those that isobit is about, or none that isobit does not have
  std::string missing;  ///< the reason why it cannot be computed; empty when it can
};
Fitness fitness(const Model& model);

/// The graph's outputs for `inputs`, in the model's order, on their device. Throws Error for a model that
/// does not hold together (a node that reads what nothing made, shapes that do not fit) and Unsupported.
std::vector<Tensor> compute(const Model& model, const std::vector<Tensor>& inputs, Device device);

}  // namespace isobit::cli::onnx
