// The family, op by op. A new op of it, or a new option, is a line here: docs/support.md and the test of it
// follow.
#include "core/verify/support_entries.h"

namespace isobit::verify {
namespace {

using Entries = SupportEntries;
using Inputs = std::vector<Tensor>;
using Sides = std::vector<std::pair<std::int64_t, std::int64_t>>;

/// [windows of one to three axes, c, k]
Shape filters(int axes, std::int64_t c, std::int64_t k) {
  const std::int64_t windows[] = {3, 2, 3};
  std::vector<std::int64_t> shape;
  for (int i = 0; i < axes; ++i) shape.push_back(windows[i]);
  shape.push_back(c);
  shape.push_back(k);
  return Shape(std::span<const std::int64_t>(shape));
}

}  // namespace

Shape support_image(int axes, std::int64_t n, std::int64_t c) {
  const std::int64_t extents[] = {5, 4, 6};
  std::vector<std::int64_t> shape{n};
  for (int i = 0; i < axes; ++i) shape.push_back(extents[i]);
  shape.push_back(c);
  return Shape(std::span<const std::int64_t>(shape));
}
void add_convolutions(Entries& all) {
  for (int axes = 1; axes <= 3; ++axes) {
    const std::string rank = kRanks[axes];
    const auto add = [&](const std::string& op, const std::string& mode, std::int64_t c,
                         const ConvOptions& o) {
      all.push_back({op + " " + rank,
                     mode,
                     {support_image(axes, 2, c), filters(axes, c / o.groups, 6), {6}},
                     [o](const Inputs& in) { return conv(in[0], in[1], in[2], o); }});
    };
    for (const PadMode mode : kAllModes) {
      ConvOptions o;
      o.padding = Padding(Sides(static_cast<std::size_t>(axes), {2, 1}));
      o.mode = mode;
      add("conv", mode == PadMode::constant ? "zeros" : name_of(mode), 3, o);
      if (mode == PadMode::constant) {
        o.pad_value = 0.5;
        add("conv", "value", 3, o);
      }
      o.stride = 2;
      o.dilation = axes == 1 ? 2 : 1;
      o.groups = 2;
      add("conv, strided, groups", name_of(mode), 4, o);
      o.groups = 3;
      o.padding = 7;
      add("conv, depthwise with a multiplier, beyond the input", name_of(mode), 3, o);
    }
    const std::pair<const char*, SameRule> rules[] = {{"valid", SameRule::valid},
                                                      {"same_upper", SameRule::same_upper},
                                                      {"same_lower", SameRule::same_lower},
                                                      {"full", SameRule::full},
                                                      {"causal", SameRule::causal}};
    for (const auto& [name, rule] : rules) {
      ConvOptions o;
      o.padding = rule;
      o.stride = 2;
      add("conv, extent", name, 3, o);
    }
    ConvOptions flipped;
    flipped.flip = true;
    flipped.padding = Padding(Sides(static_cast<std::size_t>(axes), {1, -1}));
    add("conv, true convolution, cropped", "zeros", 3, flipped);

    ConvTransposeOptions t;
    t.stride = 2;
    t.padding = 1;
    t.output_padding = 1;
    t.groups = 2;
    all.push_back({"conv_transpose " + rank,
                   "output padding",
                   {support_image(axes, 2, 6), filters(axes, 2, 6), {4}},
                   [t](const Inputs& in) { return conv_transpose(in[0], in[1], in[2], t); }});
    ConvTransposeOptions dilated;
    dilated.dilation = 2;
    dilated.padding = Same;
    dilated.mode = PadMode::reflect;
    all.push_back({"conv_transpose " + rank,
                   "reflect",
                   {support_image(axes, 2, 3), filters(axes, 2, 3), {2}},
                   [dilated](const Inputs& in) { return conv_transpose(in[0], in[1], in[2], dilated); }});
  }
  const std::pair<const char*, Activate> activations[] = {
      {"relu", Activate::relu}, {"leaky_relu", Activate::leaky_relu},
      {"silu", Activate::silu}, {"sigmoid", Activate::sigmoid},
      {"tanh", Activate::tanh}, {"gelu", Activate::gelu}};
  for (const auto& [name, activation] : activations) {
    ConvOptions o;
    o.padding = Same;
    o.activation = activation;
    all.push_back({"conv, fused activation",
                   name,
                   {support_image(2, 2, 3), filters(2, 3, 5), {5}},
                   [o](const Inputs& in) { return conv(in[0], in[1], in[2], o); }});
  }
  for (const PadMode mode : kAllModes) {
    ConvOptions o;
    o.padding = 2;
    o.mode = mode;
    const Shape x = support_image(2, 2, 3), w = filters(2, 3, 4);
    const Shape y{2, 7, 7, 4};
    all.push_back({"conv_backward_input", name_of(mode), {y, w}, [x, o](const Inputs& in) {
                     return conv_backward_input(in[0], in[1], x, o);
                   }});
    all.push_back({"conv_backward_filter", name_of(mode), {x, y}, [w, o](const Inputs& in) {
                     return conv_backward_filter(in[0], in[1], w, o);
                   }});
  }
}

void add_padding(Entries& all) {
  for (const PadMode mode : kAllModes)
    for (int axes = 1; axes <= 3; ++axes) {
      std::vector<std::pair<std::int64_t, std::int64_t>> widths(static_cast<std::size_t>(axes) + 2);
      for (int i = 1; i <= axes; ++i) widths[static_cast<std::size_t>(i)] = {7, i};
      all.push_back(
          {std::string("pad ") + kRanks[axes],
           name_of(mode),
           {support_image(axes, 2, 3)},
           [widths, mode](const Inputs& in) { return pad(in[0], widths, std::span(&mode, 1), 0.5); }});
    }
}

SupportEntries support_entries() {
  SupportEntries all;
  add_convolutions(all);
  add_padding(all);
  add_pooling(all);
  add_images(all);
  return all;
}

}  // namespace isobit::verify
