// conv, its gradients as ops of their own, conv_transpose.
#include "tests/differential/case.h"

namespace isobit::differential {
namespace {

constexpr double kSlope = 0.125;  // as in common.py

ConvOptions conv_options(const Case& c) {
  ConvOptions o;
  o.stride = c.per_axis("stride");
  o.padding = c.padding();
  o.dilation = c.per_axis("dilation");
  o.groups = c.integer("groups");
  o.activation = c.activation();
  o.slope = kSlope;
  o.mode = c.pad_modes();
  o.pad_value = c.options.value("value", 0.0);
  o.flip = c.flag("flip");
  return o;
}

/// [n, extents, channels * groups], of x, and [filter, c, k * groups], of w.
Shape x_shape(const Case& c) {
  std::vector<std::int64_t> extents{c.integer("n")};
  for (const std::int64_t e : c.integers("in")) extents.push_back(e);
  extents.push_back(c.integer("c") * c.integer("groups"));
  return Shape(std::span<const std::int64_t>(extents));
}
Shape w_shape(const Case& c) {
  auto extents = c.integers("filter");
  extents.push_back(c.integer("c"));
  extents.push_back(c.integer("k") * c.integer("groups"));
  return Shape(std::span<const std::int64_t>(extents));
}

Tensor run_conv(const Case& c) {
  return conv(c.tensor("x"), c.tensor("w"), c.optional("b"), conv_options(c));
}

Tensor run_backward_input(const Case& c) {
  return conv_backward_input(c.tensor("dy"), c.tensor("w"), x_shape(c), conv_options(c));
}

Tensor run_backward_filter(const Case& c) {
  return conv_backward_filter(c.tensor("x"), c.tensor("dy"), w_shape(c), conv_options(c));
}

Tensor run_transpose(const Case& c) {
  ConvTransposeOptions o;
  o.stride = c.per_axis("stride");
  o.padding = c.padding();
  o.dilation = c.per_axis("dilation");
  o.groups = c.integer("groups");
  o.activation = c.activation();
  o.slope = kSlope;
  o.mode = c.pad_modes();
  o.flip = c.flag("flip");
  if (c.has("output_padding")) o.output_padding = c.per_axis("output_padding");
  if (c.has("output_shape")) o.output_shape = c.per_axis("output_shape");
  return conv_transpose(c.tensor("x"), c.tensor("w"), c.optional("b"), o);
}

}  // namespace

void add_convolutions(Functions& table) {
  table["conv"] = run_conv;
  table["conv_backward_input"] = run_backward_input;
  table["conv_backward_filter"] = run_backward_filter;
  table["conv_transpose"] = run_transpose;
}

}  // namespace isobit::differential
