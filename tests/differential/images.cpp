// Interpolation, unfold and fold, blocks of channels, instance norm.
#include <isobit/ops_image.h>

#include "tests/differential/case.h"

namespace isobit::differential {
namespace {

/// What PyTorch's names of interpolation mean.
ResizeOptions resize_options(const std::string& rule) {
  ResizeOptions o;
  if (rule == "align_corners") o.coordinates = Coordinates::align_corners;
  if (rule == "antialias") o.antialias = o.exclude_outside = true;
  if (rule == "nearest" || rule == "nearest-exact") o.mode = Interpolation::nearest;
  if (rule == "nearest") {
    o.coordinates = Coordinates::asymmetric;
    o.rounding = Rounding::floor;
  }
  if (rule == "nearest-exact") o.rounding = Rounding::round_prefer_ceil;
  return o;
}

Tensor run_resize(const Case& c) {
  const ResizeOptions o = resize_options(c.word("interpolation"));
  if (!c.has("scale")) return resize(c.tensor("x"), c.per_axis("out"), o);
  const auto scales = c.options.at("scale").get<std::vector<double>>();
  return resize_by(c.tensor("x"), std::span(scales), o);
}

Tensor run_upsample(const Case& c) {
  const std::string rule = c.word("interpolation");
  return upsample(c.tensor("x"), c.per_axis("scale"),
                  rule == "nearest" ? Interpolation::nearest : Interpolation::linear,
                  rule == "align_corners");
}

WindowOptions window_options(const Case& c) {
  WindowOptions o;
  o.stride = c.per_axis("stride");
  o.padding = c.padding();
  o.dilation = c.per_axis("dilation");
  o.mode = c.pad_modes();
  o.pad_value = c.number("value");
  return o;
}

Tensor run_unfold(const Case& c) {
  return unfold(c.tensor("x"), c.per_axis("window"), window_options(c));
}

Tensor run_fold(const Case& c) {
  std::vector<std::int64_t> extents{c.integer("n")};
  for (const std::int64_t e : c.integers("in")) extents.push_back(e);
  extents.push_back(c.integer("c"));
  return fold(c.tensor("x"), Shape(std::span<const std::int64_t>(extents)), c.per_axis("window"),
              window_options(c));
}

ChannelOrder order_of(const Case& c) {
  return c.word("order") == "crd" ? ChannelOrder::crd : ChannelOrder::dcr;
}
Tensor run_depth_to_space(const Case& c) {
  return depth_to_space(c.tensor("x"), c.per_axis("window"), order_of(c));
}
Tensor run_space_to_depth(const Case& c) {
  return space_to_depth(c.tensor("x"), c.per_axis("window"), order_of(c));
}

Tensor run_instance_norm(const Case& c) {
  return instance_norm(c.tensor("x"), c.optional("gamma"), c.optional("beta"), {.eps = c.number("eps")});
}

}  // namespace

void add_images(Functions& table) {
  table["resize"] = run_resize;
  table["upsample"] = run_upsample;
  table["unfold"] = run_unfold;
  table["fold"] = run_fold;
  table["depth_to_space"] = run_depth_to_space;
  table["space_to_depth"] = run_space_to_depth;
  table["instance_norm"] = run_instance_norm;
}

}  // namespace isobit::differential
