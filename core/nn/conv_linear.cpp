// Layers with filters: Conv2D and Linear.
#include <isobit/nn_layers.h>

#include "core/geometry.h"

namespace isobit::nn {
namespace {

void need_image(const char* layer, const Shape& in) {
  if (in.rank() != 3) fail("nn", "{} needs samples [h, w, c], got {}", layer, in);
}

class Conv2DModule final : public Module {
 public:
  Conv2DModule(std::int64_t filters, PerAxis kernel, Conv2DOptions options)
      : filters_(filters), kernel_(kernel), options_(std::move(options)) {
    if (filters < 1) fail("Conv2D", "{} filters: there must be at least 1", filters);
    if (kernel.count > 2) fail("Conv2D", "the kernel has {} extents, an image has 2", kernel.count);
    for (int i = 0; i < 2; ++i)
      if (kernel.value[static_cast<std::size_t>(i)] < 1)
        fail("Conv2D", "the kernel is {} x {}: its extents must be at least 1", kernel.value[0],
             kernel.value[1]);
    if (options_.groups < 1 || filters % options_.groups != 0)
      fail("Conv2D", "{} filters cannot be shared out to {} groups", filters, options_.groups);
    conv_ = {options_.stride, options_.padding, options_.dilation, options_.groups, options_.activation};
  }
  std::string kind() const override { return "Conv2D"; }
  std::string describe() const override {
    std::string text = fmt::format("Conv2D({}, {}x{}", filters_, kernel_.value[0], kernel_.value[1]);
    const auto* rule = std::get_if<SameRule>(&options_.padding.value);
    constexpr const char* kRules[] = {"", ", same", ", same", ", full", ", causal"};
    if (rule) text += kRules[static_cast<std::size_t>(*rule)];
    if (!rule) text += ", padded";
    if (options_.stride.value[0] != 1 || options_.stride.value[1] != 1)
      text += fmt::format(", stride {}", per_axis(options_.stride));
    if (options_.dilation.value[0] != 1 || options_.dilation.value[1] != 1)
      text += fmt::format(", dilation {}", per_axis(options_.dilation));
    if (options_.groups != 1) text += fmt::format(", {} groups", options_.groups);
    constexpr const char* kActivations[] = {"",          ", relu", ", leaky_relu", ", silu",
                                            ", sigmoid", ", tanh", ", gelu"};
    text += kActivations[static_cast<std::size_t>(options_.activation)];
    return text + ")";
  }
  Plan plan(const Shape& in) const override {
    need_image("Conv2D", in);
    const std::int64_t c = in[2], groups = options_.groups;
    if (c < 1 || c % groups != 0)
      fail("Conv2D", "{} input channels cannot be shared out to {} groups", c, groups);
    const std::int64_t r = kernel_.value[0], s = kernel_.value[1];
    const Shape w{r, s, c / groups, filters_};
    const ConvGeometry g = make_conv_geometry(in.inserted(0, 1), w, conv_);
    Plan plan;
    plan.output = Shape{g.axis[1].out, g.axis[2].out, filters_};
    plan.multiply_adds = g.positions() * filters_ * g.terms();
    const Fans fans{r * s * (c / groups), r * s * (filters_ / groups)};
    plan.parameters.push_back({"weight", w, options_.init.or_else(kaiming_uniform()), fans});
    if (options_.bias)
      plan.parameters.push_back({"bias", Shape{filters_}, options_.bias_init.or_else(zeros()), fans});
    return plan;
  }
  Tensor forward(const Tensor& x) override {
    return conv(x, parameter(0), options_.bias ? parameter(1) : Tensor(), conv_);
  }

 private:
  static std::string per_axis(const PerAxis& v) {
    return v.value[0] == v.value[1] ? std::to_string(v.value[0])
                                    : fmt::format("{}x{}", v.value[0], v.value[1]);
  }
  std::int64_t filters_;
  PerAxis kernel_;
  Conv2DOptions options_;
  ConvOptions conv_;
};

class LinearModule final : public Module {
 public:
  LinearModule(std::int64_t outputs, LinearOptions options) : outputs_(outputs), options_(options) {
    if (outputs < 1) fail("Linear", "{} outputs: there must be at least 1", outputs);
  }
  std::string kind() const override { return "Linear"; }
  std::string describe() const override { return fmt::format("Linear({})", outputs_); }
  Plan plan(const Shape& in) const override {
    if (in.rank() < 1) fail("nn", "Linear needs samples [..., c], got {}", in);
    const std::int64_t c = in[-1];
    Plan plan;
    plan.output = in.with(-1, outputs_);
    plan.multiply_adds = in.numel() * outputs_;
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

Conv2D::Conv2D(std::int64_t filters, PerAxis kernel, Conv2DOptions options)
    : Layer(make<Conv2DModule>(filters, kernel, std::move(options))) {}
Linear::Linear(std::int64_t outputs, LinearOptions options) : Layer(make<LinearModule>(outputs, options)) {}

}  // namespace isobit::nn
