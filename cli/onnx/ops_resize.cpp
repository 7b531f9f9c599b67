// Resize, Upsample, DepthToSpace and SpaceToDepth.
#include <isobit/ops_image.h>

#include <algorithm>
#include <cmath>

#include "cli/onnx/layout.h"

namespace isobit::cli::onnx {
namespace {

template <class Value>
struct Named {
  std::string_view name;
  Value value;
};
/// Of `what`, the value of that name; Unsupported where isobit has none.
template <class Value, std::size_t n>
Value named(const Call& call, const char* what, const std::string& name, const Named<Value> (&all)[n]) {
  for (const auto& one : all)
    if (one.name == name) return one.value;
  call.lacks(fmt::format("{} '{}'", what, name));
}

constexpr Named<Interpolation> interpolations[] = {{"nearest", Interpolation::nearest},
                                                   {"linear", Interpolation::linear},
                                                   {"bilinear", Interpolation::linear}};
constexpr Named<Coordinates> coordinates[] = {{"half_pixel", Coordinates::half_pixel},
                                              {"half_pixel_symmetric", Coordinates::half_pixel_symmetric},
                                              {"pytorch_half_pixel", Coordinates::pytorch_half_pixel},
                                              {"align_corners", Coordinates::align_corners},
                                              {"asymmetric", Coordinates::asymmetric},
                                              {"tf_crop_and_resize", Coordinates::tf_crop_and_resize}};
constexpr Named<Rounding> roundings[] = {{"round_prefer_floor", Rounding::round_prefer_floor},
                                         {"round_prefer_ceil", Rounding::round_prefer_ceil},
                                         {"floor", Rounding::floor},
                                         {"ceil", Rounding::ceil}};

/// Values of the axes named, as one for every axis; the others get `rest`. `values` for all axes where none
/// are named.
template <class T>
std::vector<T> for_all_axes(const Call& call, const char* what, const std::vector<T>& values,
                            const std::vector<int>& axes, const std::vector<T>& rest) {
  if (values.size() != axes.size()) call.wrong("{} {} for {} axes", values.size(), what, axes.size());
  std::vector<T> all = rest;
  for (std::size_t i = 0; i < axes.size(); ++i) all[static_cast<std::size_t>(axes[i])] = values[i];
  return all;
}

/// isobit leaves samples and channels alone.
template <class T>
std::vector<T> spatial(const Call& call, const std::vector<T>& all, T sample, T channel) {
  if (all[0] != sample || all[1] != channel) call.lacks("other extents of samples or channels");
  return {all.begin() + 2, all.end()};
}

/// What an aspect ratio that is kept makes of the extents that were asked for.
std::vector<std::int64_t> kept_aspect(const Call& call, const std::string& policy, const Tensor& x,
                                      const std::vector<int>& axes, std::vector<std::int64_t> sizes) {
  if (policy == "stretch") return sizes;
  if (policy != "not_larger" && policy != "not_smaller")
    call.wrong("keep_aspect_ratio_policy is '{}'", policy);
  double scale = 0;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    const double s = static_cast<double>(sizes[i]) / static_cast<double>(x.shape(axes[i]));
    scale = i == 0 ? s : policy == "not_larger" ? std::min(scale, s) : std::max(scale, s);
  }
  for (std::size_t i = 0; i < sizes.size(); ++i)
    sizes[i] = static_cast<std::int64_t>(std::floor(scale * static_cast<double>(x.shape(axes[i])) + 0.5));
  return sizes;
}

/// Until operator set 10: x and scales, which stand at x / scale.
std::vector<Tensor> early(Call& call, const std::vector<double>& scales) {
  const Tensor x = floating(call, 0);
  spatial_axes(call, x);
  if (scales.size() != static_cast<std::size_t>(x.rank()))
    call.wrong("{} scales for {}", scales.size(), x.shape());
  ResizeOptions options;
  options.mode = named(call, "mode", call.text("mode", "nearest"), interpolations);
  options.coordinates = Coordinates::asymmetric;
  options.rounding = Rounding::floor;
  return {channels_first(resize_by(channels_last(call, x), spatial(call, scales, 1.0, 1.0), options))};
}
std::vector<Tensor> upsample_node(Call& call) {
  return early(call, call.version() < 9 ? call.reals("scales") : call.real_numbers(1));
}

/// Where outputs lie and which element is nearest.
void set_places(Call& call, ResizeOptions& options) {
  const std::string where = call.text("coordinate_transformation_mode", "half_pixel");
  const std::string nearest = call.text("nearest_mode", "round_prefer_floor");
  options.rounding = named(call, "nearest_mode", nearest, roundings);
  if (where != "tf_half_pixel_for_nn") {
    options.coordinates = named(call, "coordinate_transformation_mode", where, coordinates);
    return;
  }
  // Half a pixel behind half_pixel: floor(c + 1/2) rounds c, halves up; and c + 1/2 rounded, halves down, is
  // ceil(c).
  if (options.rounding == Rounding::floor)
    options.rounding = Rounding::round_prefer_ceil;
  else if (options.rounding == Rounding::round_prefer_floor)
    options.rounding = Rounding::ceil;
  else
    call.lacks("tf_half_pixel_for_nn with nearest_mode '" + nearest + "'");
}

std::vector<Tensor> resize_node(Call& call) {
  if (call.version() < 11) return early(call, call.real_numbers(1));
  const Tensor x = floating(call, 0);
  const int count = spatial_axes(call, x);
  const auto roi = call.real_numbers(1), scales = call.real_numbers(2);
  const auto sizes = call.whole_numbers(3);
  ResizeOptions options;
  options.mode = named(call, "mode", call.text("mode", "nearest"), interpolations);
  set_places(call, options);
  options.antialias = call.integer("antialias", 0) != 0;
  options.exclude_outside = call.integer("exclude_outside", 0) != 0;
  options.extrapolation = call.real("extrapolation_value", 0);
  call.ignore({"cubic_coeff_a"});
  std::vector<int> axes;
  for (const std::int64_t axis : call.integers("axes")) axes.push_back(axis_in(call, axis, x.rank()));
  if (axes.empty())
    for (int i = 0; i < x.rank(); ++i) axes.push_back(i);
  const auto rank = static_cast<std::size_t>(x.rank());
  if (options.coordinates == Coordinates::tf_crop_and_resize) {
    if (roi.size() != 2 * axes.size()) call.wrong("roi has {} numbers for {} axes", roi.size(), axes.size());
    const auto half = roi.begin() + static_cast<std::ptrdiff_t>(axes.size());
    const auto begin = spatial(
        call, for_all_axes(call, "begins of roi", {roi.begin(), half}, axes, std::vector<double>(rank, 0)),
        0.0, 0.0);
    const auto end = spatial(
        call, for_all_axes(call, "ends of roi", {half, roi.end()}, axes, std::vector<double>(rank, 1)), 1.0,
        1.0);
    for (std::size_t i = 0; i < begin.size(); ++i) options.roi.emplace_back(begin[i], end[i]);
  }
  const std::string policy = call.text("keep_aspect_ratio_policy", "stretch");
  const Tensor rows = channels_last(call, x);
  if (scales.empty() == sizes.empty())
    call.wrong("{} scales and {} sizes, expected one of them", scales.size(), sizes.size());
  if (!scales.empty()) {
    const auto all = for_all_axes(call, "scales", scales, axes, std::vector<double>(rank, 1));
    return {channels_first(resize_by(rows, spatial(call, all, 1.0, 1.0), options))};
  }
  if (sizes.size() != axes.size()) call.wrong("{} sizes for {} axes", sizes.size(), axes.size());
  const std::vector<std::int64_t> old(x.shape().begin(), x.shape().end());
  const auto all = for_all_axes(call, "sizes", kept_aspect(call, policy, x, axes, sizes), axes, old);
  const auto extents = spatial(call, all, old[0], old[1]);
  return {channels_first(resize(rows, to_per_axis(per_axis(call, "sizes", extents, count, 1)), options))};
}

ChannelOrder channel_order(Call& call, int named_from) {
  const std::string mode = call.version() < named_from ? "DCR" : call.text("mode", "DCR");
  if (mode != "DCR" && mode != "CRD") call.wrong("mode is '{}', expected DCR or CRD", mode);
  return mode == "DCR" ? ChannelOrder::dcr : ChannelOrder::crd;
}
template <Tensor (*op)(const Tensor&, PerAxis, ChannelOrder), int named_from>
std::vector<Tensor> block_node(Call& call) {
  const Tensor x = call.input(0);
  spatial_axes(call, x);
  const std::int64_t block = call.integer("blocksize", 0);
  return {channels_first(op(channels_last(call, x), block, channel_order(call, named_from)))};
}

}  // namespace

std::span<const Operator> resize_operators() {
  static constexpr Operator all[] = {{"Resize", resize_node},
                                     {"Upsample", upsample_node},
                                     {"DepthToSpace", block_node<depth_to_space, 11>},
                                     {"SpaceToDepth", block_node<space_to_depth, 28>}};
  return all;
}

}  // namespace isobit::cli::onnx
