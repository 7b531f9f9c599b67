// Convolutions and transposed convolutions over one, two or three spatial axes. A module serves all three
// ranks; what it makes of a sample is asked of the ops' own geometry.
#include <isobit/nn_layers.h>

#include <cmath>

#include "core/geometry.h"
#include "core/nn/axes_text.h"
#include "core/nn/layer_fields.h"
#include "core/ops/conv_transpose.h"

namespace isobit::nn {
namespace {

std::string counts(int spatial) {
  return spatial == 1 ? "1" : fmt::format("1 or {}", spatial);
}

/// One number for all of `spatial` axes or one for each, none below `least`.
void need_axes(const std::string& layer, const char* what, const PerAxis& v, int spatial,
               std::int64_t least) {
  if (v.count != 1 && v.count != spatial)
    fail(layer, "{} is given for {} axes, expected {}", what, v.count, counts(spatial));
  for (int i = 0; i < spatial; ++i)
    if (v.value[static_cast<std::size_t>(i)] < least)
      fail(layer, "{} is {}, expected at least {} on each spatial axis", what, axes_text(v), least);
}

void need_finite(const std::string& layer, const char* what, double v) {
  if (!std::isfinite(v)) fail(layer, "{} is {}, expected a finite number", what, v);
}

std::string padding_text(const Padding& padding) {
  constexpr const char* kRules[] = {"", ", same", ", same_lower", ", full", ", causal"};
  if (const auto* rule = std::get_if<SameRule>(&padding.value))
    return kRules[static_cast<std::size_t>(*rule)];
  const std::string sides = axes_text(std::get<Sides>(padding.value));
  return sides == "0" ? "" : ", padding " + sides;
}

std::string activation_text(Activate activation, double slope) {
  constexpr const char* kNames[] = {"", ", relu", ", leaky_relu", ", silu", ", sigmoid", ", tanh", ", gelu"};
  const std::string name = kNames[static_cast<std::size_t>(activation)];
  return activation == Activate::leaky_relu && slope != 0.01 ? fmt::format("{}({})", name, slope) : name;
}

/// What convolutions and transposed ones have in common: Options are those of either layer.
template <class Options>
class FilterModule : public Module {
 public:
  FilterModule(const char* name, int spatial, std::int64_t filters, const PerAxis& kernel, Options options)
      : options_(std::move(options)),
        kind_(fmt::format("{}{}D", name, spatial)),
        spatial_(spatial),
        filters_(filters),
        kernel_(kernel) {
    if (filters < 1) fail(kind_, "{} filters: there must be at least 1", filters);
    need_axes(kind_, "the kernel", kernel, spatial, 1);
    need_axes(kind_, "stride", options_.stride, spatial, 1);
    need_axes(kind_, "dilation", options_.dilation, spatial, 1);
    if (options_.groups < 1 || filters % options_.groups != 0)
      fail(kind_, "{} filters cannot be shared out to {} groups", filters, options_.groups);
    if (const auto* sides = std::get_if<Sides>(&options_.padding.value);
        sides != nullptr && sides->size() != 1 && sides->size() != static_cast<std::size_t>(spatial))
      fail(kind_, "padding is given for {} axes, expected {}", sides->size(), counts(spatial));
    if (options_.mode.count != 1 && options_.mode.count != spatial)
      fail(kind_, "padding modes are given for {} axes, expected {}", options_.mode.count, counts(spatial));
    need_finite(kind_, "slope", options_.slope);
  }
  std::string kind() const final { return kind_; }
  std::optional<OptionList> option_list() const final {
    return option_list_of("filters", filters_, "kernel", kernel_, options_);
  }
  std::string describe() const final {
    std::string text = fmt::format("{}({}, {}", kind_, filters_, kernel_.value[0]);
    for (int i = 1; i < spatial_; ++i) text += fmt::format("x{}", kernel_.value[static_cast<std::size_t>(i)]);
    text += padding_text(options_.padding);
    if (const std::string mode = axes_text(options_.mode); !mode.empty()) text += ", " + mode;
    if (const std::string stride = axes_text(options_.stride); stride != "1") text += ", stride " + stride;
    if (const std::string dilation = axes_text(options_.dilation); dilation != "1")
      text += ", dilation " + dilation;
    if (options_.groups != 1) text += fmt::format(", {} groups", options_.groups);
    if (options_.flip) text += ", flipped";
    text += own_text() + activation_text(options_.activation, options_.slope);
    return text + (options_.bias ? ")" : ", no bias)");
  }

 protected:
  /// What the description says of options that the other layer does not have.
  virtual std::string own_text() const = 0;

  /// The channels of a sample that fits.
  std::int64_t channels_of(const Shape& in) const {
    constexpr const char* kSamples[] = {"", "[w, c]", "[h, w, c]", "[d, h, w, c]"};
    if (in.rank() != spatial_ + 1) fail("nn", "{} needs samples {}, got {}", kind_, kSamples[spatial_], in);
    const std::int64_t c = in[-1];
    if (c < 1 || c % options_.groups != 0)
      fail(kind_, "{} input channels cannot be shared out to {} groups", c, options_.groups);
    return c;
  }
  /// The kernel's extents and the last two.
  Shape weight_shape(std::int64_t depth, std::int64_t last) const {
    std::array<std::int64_t, 5> extents{};
    for (int i = 0; i < spatial_; ++i)
      extents[static_cast<std::size_t>(i)] = kernel_.value[static_cast<std::size_t>(i)];
    const auto spatial = static_cast<std::size_t>(spatial_);
    extents[spatial] = depth;
    extents[spatial + 1] = last;
    return Shape(std::span<const std::int64_t>(extents.data(), spatial + 2));
  }
  /// y is the whole shape, of a batch of one; c the channels of the input.
  Plan planned(const ConvGeometry& g, const Shape& y, const Shape& w, std::int64_t c) const {
    Plan plan;
    plan.output = y.sub(1, y.rank());
    // Each element of the filters once for each position of the convolution: of y, or of a transposed one's
    // x.
    if (__builtin_mul_overflow(g.positions(), w.numel(), &plan.multiply_adds))
      fail(kind_, "{} positions times filters {}: the multiply-adds do not fit 63 bits", g.positions(), w);
    const Fans fans{g.taps() * (c / options_.groups), g.taps() * (filters_ / options_.groups)};
    plan.parameters.push_back({"weight", w, options_.init.or_else(kaiming_uniform()), fans});
    if (options_.bias)
      plan.parameters.push_back({"bias", Shape{filters_}, options_.bias_init.or_else(zeros()), fans});
    return plan;
  }
  Tensor bias() const { return options_.bias ? parameter(1) : Tensor(); }
  std::int64_t filters() const { return filters_; }
  const Options& options() const { return options_; }

 private:
  Options options_;
  std::string kind_;
  int spatial_;
  std::int64_t filters_;
  PerAxis kernel_;
};

class ConvModule final : public FilterModule<ConvLayerOptions> {
 public:
  ConvModule(int spatial, std::int64_t filters, const PerAxis& kernel, ConvLayerOptions options)
      : FilterModule("Conv", spatial, filters, kernel, std::move(options)) {
    const ConvLayerOptions& o = this->options();
    need_finite(kind(), "pad_value", o.pad_value);
    conv_ = {o.stride, o.padding, o.dilation, o.groups, o.activation, o.slope, o.mode, o.pad_value, o.flip};
  }
  Plan plan(const Shape& in) const override {
    const std::int64_t c = channels_of(in);
    const Shape x = in.inserted(0, 1), w = weight_shape(c / options().groups, filters());
    const ConvGeometry g = make_conv_geometry(kind().c_str(), x, w, conv_);
    return planned(g, conv_output_shape(g, x.rank()), w, c);
  }
  Tensor forward(const Tensor& x) override { return conv(x, parameter(0), bias(), conv_); }
  bool takes(const Behind&) const override { return conv_.activation == Activate::none; }
  Tensor forward_with(const Tensor& x, const Behind& behind) override {
    if (!takes(behind)) return Module::forward_with(x, behind);
    ConvOptions options = conv_;
    if (behind.relu) options.activation = Activate::relu;
    if (!behind.norm) return conv(x, parameter(0), bias(), options);
    return conv_batch_norm_inference(x, parameter(0), bias(), *behind.norm, options);
  }

 private:
  std::string own_text() const override {
    return options().pad_value != 0 ? fmt::format(", pad value {}", options().pad_value) : "";
  }
  ConvOptions conv_;
};

class ConvTransposeModule final : public FilterModule<ConvTransposeLayerOptions> {
 public:
  ConvTransposeModule(int spatial, std::int64_t filters, const PerAxis& kernel,
                      ConvTransposeLayerOptions options)
      : FilterModule("ConvTranspose", spatial, filters, kernel, std::move(options)) {
    const ConvTransposeLayerOptions& o = this->options();
    need_axes(kind(), "output_padding", o.output_padding, spatial, 0);
    for (std::size_t i = 0; i < static_cast<std::size_t>(spatial); ++i)
      if (o.output_padding.value[i] >= o.stride.value[i])
        fail(kind(), "output_padding is {}, expected below the stride, which is {}",
             axes_text(o.output_padding), axes_text(o.stride));
    if (o.output_shape) {
      need_axes(kind(), "output_shape", *o.output_shape, spatial, 1);
      if (axes_text(o.output_padding) != "0")
        fail(kind(), "output_padding is {} beside an output_shape of {}, expected one of them",
             axes_text(o.output_padding), axes_text(*o.output_shape));
    }
    conv_ = {o.stride, o.padding, o.dilation, o.groups,         o.activation,
             o.slope,  o.mode,    o.flip,     o.output_padding, o.output_shape};
  }
  Plan plan(const Shape& in) const override {
    const std::int64_t c = channels_of(in);
    const Shape w = weight_shape(filters() / options().groups, c);
    const ConvTransposeGeometry g = make_conv_transpose_geometry(kind().c_str(), in.inserted(0, 1), w, conv_);
    return planned(g.conv, g.y, w, c);
  }
  Tensor forward(const Tensor& x) override { return conv_transpose(x, parameter(0), bias(), conv_); }

 private:
  std::string own_text() const override {
    const ConvTransposeLayerOptions& o = options();
    if (o.output_shape) return ", output " + axes_text(*o.output_shape);
    const std::string extra = axes_text(o.output_padding);
    return extra == "0" ? "" : ", output padding " + extra;
  }
  ConvTransposeOptions conv_;
};

}  // namespace

Conv1D::Conv1D(std::int64_t filters, PerAxis kernel, ConvLayerOptions options)
    : Layer(make<ConvModule>(1, filters, kernel, std::move(options))) {}
Conv2D::Conv2D(std::int64_t filters, PerAxis kernel, ConvLayerOptions options)
    : Layer(make<ConvModule>(2, filters, kernel, std::move(options))) {}
Conv3D::Conv3D(std::int64_t filters, PerAxis kernel, ConvLayerOptions options)
    : Layer(make<ConvModule>(3, filters, kernel, std::move(options))) {}
ConvTranspose1D::ConvTranspose1D(std::int64_t filters, PerAxis kernel, ConvTransposeLayerOptions options)
    : Layer(make<ConvTransposeModule>(1, filters, kernel, std::move(options))) {}
ConvTranspose2D::ConvTranspose2D(std::int64_t filters, PerAxis kernel, ConvTransposeLayerOptions options)
    : Layer(make<ConvTransposeModule>(2, filters, kernel, std::move(options))) {}
ConvTranspose3D::ConvTranspose3D(std::int64_t filters, PerAxis kernel, ConvTransposeLayerOptions options)
    : Layer(make<ConvTransposeModule>(3, filters, kernel, std::move(options))) {}

}  // namespace isobit::nn
