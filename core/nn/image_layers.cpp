// Upsample, DepthToSpace, PixelShuffle: layers without parameters that change the extents of a picture.
#include <isobit/nn_layers.h>

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

std::string numbers(const PerAxis& v) {
  return fmt::format("{}", fmt::join(v.value.begin(), v.value.begin() + v.count, "x"));
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
  std::string describe() const override {
    return fmt::format("Upsample({}{})", numbers(factor_),
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
  std::string describe() const override { return fmt::format("{}({})", kind(), numbers(block_)); }
  Plan plan(const Shape& in) const override {
    Shape out = scaled(kind(), in, block_);
    std::int64_t c = in[-1];
    for (int i = 0; i < spatial_axes(kind(), in); ++i) {
      const std::int64_t b = block_.value[static_cast<std::size_t>(i)];
      if (c % b != 0)
        fail("nn", "{} channels of samples {} cannot be shared out to blocks of {}", in[-1], in,
             numbers(block_));
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

}  // namespace

Upsample::Upsample(PerAxis factor, Interpolation mode, bool align_corners)
    : Layer(make<UpsampleModule>(factor, mode, align_corners)) {}
DepthToSpace::DepthToSpace(PerAxis block, ChannelOrder order)
    : Layer(make<DepthToSpaceModule>(block, order)) {}
PixelShuffle::PixelShuffle(PerAxis block) : Layer(make<DepthToSpaceModule>(block, ChannelOrder::crd)) {}

}  // namespace isobit::nn
