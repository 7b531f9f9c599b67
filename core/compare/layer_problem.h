// Layers as problems of the comparison.
#pragma once
#include <isobit/compare_network.h>

namespace isobit::compare {

/// y, dx and the gradients of the parameters of a convolution, linear layer or pool; empty for other layers,
/// and for those whose activation has no bound.
std::vector<Problem> problems_of(const nn::Layer& layer, const Tensor& x, const Tensor& dy);

/// A parameter's name within its layer.
std::string short_name(const nn::Layer& layer, const std::string& full);
/// "y" and, where dy is given, "dx" and the gradients of the parameters that want one.
nn::StateDict computed(const nn::Layer& layer, const Tensor& x, const Tensor& dy);

}  // namespace isobit::compare
