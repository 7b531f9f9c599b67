// Upsample, DepthToSpace, PixelShuffle, Pad: layers without parameters that change the extents of a picture.
#include <isobit/nn_layers.h>

#include "core/geometry.h"
#include "core/nn/axes_text.h"
#include "core/nn/layer_fields.h"

namespace isobit::nn {
namespace {

/// Spatial axes of samples [(d,) (h,) w, c].
int spatial_axes(const std::string& layer, const Shape& in) {
  if (in.rank() < 2 || in.rank() > 4) fail("nn", "{} needs samples [(d,) (h,) w, c], got {}", layer, in);
  return in.rank() - 1;
}

void need_positive(const char* layer, const char* what, const PerAxis& v) {
  for (int i = 0; i < v.count; ++i)
    if (v.value[static_cast<std::size_t>(i)] < 1)
      fail(layer, "{} is {}, expected at least 1", what, v.value[static_cast<std::size_t>(i)]);
}

/// `in` with its spatial extents multiplied.
Shape scaled(const std::string& layer, const Shape& in, const PerAxis& v) {
  const int spatial = spatial_axes(layer, in);
  if (v.count != 1 && v.count != spatial)
    fail("nn", "{} has a number for each of {} axes, samples {} have {} spatial", layer, v.count, in,
         spatial);
  Shape out = in;
  for (int i = 0; i < spatial; ++i) {
    std::int64_t extent;
    if (__builtin_mul_overflow(in[i], v.value[static_cast<std::size_t>(i)], &extent))
      fail("nn", "{}: axis {} of samples {} times {} does not fit 63 bits", layer, i, in,
           v.value[static_cast<std::size_t>(i)]);
    out = out.with(i, extent);
  }
  return out;
}

class UpsampleModule final : public Module {
 public:
  UpsampleModule(PerAxis factor, Interpolation mode, bool align_corners)
      : factor_(factor), mode_(mode), align_corners_(align_corners) {
    need_positive("Upsample", "the factor", factor);
    if (align_corners && mode != Interpolation::linear)
      fail("Upsample", "align_corners is asked of nearest, expected Interpolation::linear");
  }
  std::string kind() const override { return "Upsample"; }
  std::optional<OptionList> option_list() const override {
    return option_list_of("factor", factor_, "mode", mode_, "align_corners", align_corners_);
  }
  std::string describe() const override {
    return fmt::format("Upsample({}{})", axes_text(factor_),
                       mode_ == Interpolation::nearest ? ", nearest" : ", linear");
  }
  Plan plan(const Shape& in) const override {
    Plan plan;
    plan.output = scaled(kind(), in, factor_);
    return plan;
  }
  Tensor forward(const Tensor& x) override { return upsample(x, factor_, mode_, align_corners_); }

 private:
  PerAxis factor_;
  Interpolation mode_;
  bool align_corners_;
};

class DepthToSpaceModule final : public Module {
 public:
  DepthToSpaceModule(PerAxis block, ChannelOrder order) : block_(block), order_(order) {
    need_positive("DepthToSpace", "the block", block);
  }
  std::string kind() const override { return order_ == ChannelOrder::crd ? "PixelShuffle" : "DepthToSpace"; }
  std::string describe() const override { return fmt::format("{}({})", kind(), axes_text(block_)); }
  std::optional<OptionList> option_list() const override { return option_list_of("block", block_); }
  Plan plan(const Shape& in) const override {
    Shape out = scaled(kind(), in, block_);
    std::int64_t c = in[-1];
    for (int i = 0; i < spatial_axes(kind(), in); ++i) {
      const std::int64_t b = block_.value[static_cast<std::size_t>(i)];
      if (c % b != 0)
        fail("nn", "{} channels of samples {} cannot be shared out to blocks of {}", in[-1], in,
             axes_text(block_));
      c /= b;
    }
    Plan plan;
    plan.output = out.with(-1, c);
    return plan;
  }
  Tensor forward(const Tensor& x) override { return depth_to_space(x, block_, order_); }

 private:
  PerAxis block_;
  ChannelOrder order_;
};

class PadModule final : public Module {
 public:
  PadModule(const Padding& widths, const PadOptions& options) : options_(options) {
    const auto* sides = std::get_if<Sides>(&widths.value);
    if (sides == nullptr)
      fail("Pad", "a rule for the padding needs a filter, expected widths or {{before, after}} pairs");
    const auto modes = static_cast<std::size_t>(options.mode.count);
    if (sides->empty() || sides->size() > 3)
      fail("Pad", "widths are given for {} axes, expected 1 to 3", sides->size());
    if (options.mode.count < 1 || options.mode.count > 3 ||
        (modes != 1 && sides->size() != 1 && modes != sides->size()))
      fail("Pad", "modes are given for {} axes, widths for {}", options.mode.count, sides->size());
    sides_ = *sides;
  }
  std::string kind() const override { return "Pad"; }
  std::optional<OptionList> option_list() const override {
    return option_list_of("widths", Padding(sides_), options_);
  }
  std::string describe() const override {
    std::string text = "Pad(" + axes_text(sides_);
    if (const std::string mode = axes_text(options_.mode); !mode.empty()) text += ", " + mode;
    if (options_.value != 0) text += fmt::format(", value {}", options_.value);
    return text + ")";
  }
  Plan plan(const Shape& in) const override {
    const Axes axes = axes_of(in);
    Shape out;
    make_pad_geometry("Pad", in.inserted(0, 1), axes.widths, axes.modes, &out);
    Plan plan;
    plan.output = out.sub(1, out.rank());
    return plan;
  }
  Tensor forward(const Tensor& x) override {
    if (!x.defined() || x.rank() < 1)
      fail("Pad", "x is {}, expected a batch [n, (d,) (h,) w, c]", x.defined() ? "a scalar" : "undefined");
    const Axes axes = axes_of(x.shape().sub(1, x.rank()));
    return pad(x, axes.widths, axes.modes, options_.value);
  }

 private:
  struct Axes {
    Sides widths;
    std::vector<PadMode> modes;
  };
  /// Of a batch of such samples: nothing is padded but the spatial axes.
  Axes axes_of(const Shape& sample) const {
    const int spatial = spatial_axes("Pad", sample);
    const auto modes = static_cast<std::size_t>(options_.mode.count);
    const std::size_t given = std::max(sides_.size(), modes);
    if (given != 1 && given != static_cast<std::size_t>(spatial))
      fail("nn", "Pad is given for {} axes, samples {} have {} spatial", given, sample, spatial);
    const auto all = static_cast<std::size_t>(spatial) + 2;
    Axes axes{Sides(all), std::vector<PadMode>(all, PadMode::constant)};
    for (std::size_t i = 0; i < static_cast<std::size_t>(spatial); ++i) {
      axes.widths[i + 1] = sides_[sides_.size() == 1 ? 0 : i];
      axes.modes[i + 1] = options_.mode.value[modes == 1 ? 0 : i];
    }
    return axes;
  }

  Sides sides_;
  PadOptions options_;
};

}  // namespace

Upsample::Upsample(PerAxis factor, Interpolation mode, bool align_corners)
    : Layer(make<UpsampleModule>(factor, mode, align_corners)) {}
DepthToSpace::DepthToSpace(PerAxis block, ChannelOrder order)
    : Layer(make<DepthToSpaceModule>(block, order)) {}
PixelShuffle::PixelShuffle(PerAxis block) : Layer(make<DepthToSpaceModule>(block, ChannelOrder::crd)) {}
Pad::Pad(Padding widths, PadOptions options) : Layer(make<PadModule>(widths, options)) {}

}  // namespace isobit::nn
