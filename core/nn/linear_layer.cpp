// Linear: a matrix over the last axis.
#include <isobit/nn_layers.h>

#include "core/nn/layer_fields.h"

namespace isobit::nn {
namespace {

class LinearModule final : public Module {
 public:
  LinearModule(std::int64_t outputs, LinearOptions options) : outputs_(outputs), options_(options) {
    if (outputs < 1) fail("Linear", "{} outputs: there must be at least 1", outputs);
  }
  std::string kind() const override { return "Linear"; }
  std::string describe() const override { return fmt::format("Linear({})", outputs_); }
  std::optional<OptionList> option_list() const override {
    return option_list_of("outputs", outputs_, options_);
  }
  Plan plan(const Shape& in) const override {
    if (in.rank() < 1) fail("nn", "Linear needs samples [..., c], got {}", in);
    const std::int64_t c = in[-1];
    Plan plan;
    plan.output = in.with(-1, outputs_);
    if (__builtin_mul_overflow(in.numel(), outputs_, &plan.multiply_adds))
      fail("Linear", "samples {} times {} outputs: the multiply-adds do not fit 63 bits", in, outputs_);
    const Fans fans{c, outputs_};
    plan.parameters.push_back({"weight", Shape{c, outputs_}, options_.init.or_else(kaiming_uniform()), fans});
    if (options_.bias)
      plan.parameters.push_back({"bias", Shape{outputs_}, options_.bias_init.or_else(zeros()), fans});
    return plan;
  }
  Tensor forward(const Tensor& x) override {
    return linear(x, parameter(0), options_.bias ? parameter(1) : Tensor());
  }

 private:
  std::int64_t outputs_;
  LinearOptions options_;
};

}  // namespace

Linear::Linear(std::int64_t outputs, LinearOptions options) : Layer(make<LinearModule>(outputs, options)) {}

}  // namespace isobit::nn
