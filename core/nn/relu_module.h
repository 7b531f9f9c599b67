// The ReLU layer's module: a type that Sequential knows, so that the layer before it may apply it
// (Module::forward_with).
#pragma once
#include <isobit/nn_module.h>
#include <isobit/ops.h>

namespace isobit::nn {

class ReluModule final : public Module {
 public:
  std::string kind() const override { return "ReLU"; }
  std::optional<OptionList> option_list() const override { return OptionList(); }
  Tensor forward(const Tensor& x) override { return relu(x); }
};

}  // namespace isobit::nn
