// Interpolation, windows, channels to positions.
#include <isobit/ops.h>

#include "module.h"

namespace isobit::python {
namespace {

Interpolation interpolation(nb::handle v) {
  return static_cast<Interpolation>(to_choice(v, "mode", {"nearest", "linear"}));
}

ResizeOptions resize_options(nb::handle mode, nb::handle coordinates, nb::handle rounding, bool antialias,
                             bool exclude_outside, const std::vector<std::pair<double, double>>& roi,
                             double extrapolation) {
  return {interpolation(mode),
          static_cast<Coordinates>(to_choice(coordinates, "coordinates",
                                             {"half_pixel", "half_pixel_symmetric", "pytorch_half_pixel",
                                              "align_corners", "asymmetric", "tf_crop_and_resize"})),
          static_cast<Rounding>(
              to_choice(rounding, "rounding", {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"})),
          antialias,
          exclude_outside,
          roi,
          extrapolation};
}

std::vector<std::pair<double, double>> regions(nb::handle roi) {
  std::vector<std::pair<double, double>> result;
  for (const nb::handle part : nb::borrow<nb::sequence>(roi))
    result.emplace_back(to_double(part[0], "roi"), to_double(part[1], "roi"));
  return result;
}

void bind_resize(nb::module_& m) {
  m.def(
      "resize",
      [](const Tensor& x, PerAxisArg extents, nb::str mode, nb::str coordinates, nb::str rounding,
         bool antialias, bool exclude_outside, nb::sequence roi, double extrapolation) {
        const PerAxis e = extents("extents");
        const ResizeOptions o = resize_options(mode, coordinates, rounding, antialias, exclude_outside,
                                               regions(roi), extrapolation);
        return unlocked(x.numel(), [&] { return resize(x, e, o); });
      },
      "x"_a, "extents"_a, "mode"_a = "linear", "coordinates"_a = "half_pixel",
      "rounding"_a = "round_prefer_floor", "antialias"_a = false, "exclude_outside"_a = false,
      "roi"_a = nb::make_tuple(), "extrapolation"_a = 0.0,
      "x at other spatial extents, one axis after the other from the last to the first (the formulas are "
      "those of "
      "ONNX's Resize, opset 19). Weights are computed in f64 and rounded once.");
  m.def(
      "resize_by",
      [](const Tensor& x, nb::handle scales, nb::str mode, nb::str coordinates, nb::str rounding,
         bool antialias, bool exclude_outside, nb::sequence roi, double extrapolation) {
        std::vector<double> s;
        if (nb::isinstance<nb::sequence>(scales))
          for (const nb::handle scale : nb::borrow<nb::sequence>(scales))
            s.push_back(to_double(scale, "scales"));
        else
          s.push_back(to_double(scales, "scales"));
        const ResizeOptions o = resize_options(mode, coordinates, rounding, antialias, exclude_outside,
                                               regions(roi), extrapolation);
        return unlocked(x.numel(), [&] { return resize_by(x, s, o); });
      },
      "x"_a, "scales"_a, "mode"_a = "linear", "coordinates"_a = "half_pixel",
      "rounding"_a = "round_prefer_floor", "antialias"_a = false, "exclude_outside"_a = false,
      "roi"_a = nb::make_tuple(), "extrapolation"_a = 0.0,
      "The same by scales, one for all axes or one for each: an axis becomes floor(in * scale) long.");
  m.def(
      "upsample",
      [](const Tensor& x, PerAxisArg factor, nb::str mode, bool align_corners) {
        const PerAxis f = factor("factor");
        const Interpolation i = interpolation(mode);
        return unlocked(x.numel(), [&] { return upsample(x, f, i, align_corners); });
      },
      "x"_a, "factor"_a, "mode"_a = "nearest", "align_corners"_a = false,
      "Each spatial axis `factor` times as long, as PyTorch's Upsample.");
}

WindowOptions window_options(const PerAxisArg& stride, const PaddingArg& padding, const PerAxisArg& dilation,
                             const PadModesArg& mode, double pad_value) {
  return {stride("stride"), padding("padding"), dilation("dilation"), mode("mode"), pad_value};
}

void bind_windows(nb::module_& m) {
  m.def(
      "unfold",
      [](const Tensor& x, PerAxisArg window, PerAxisArg stride, PaddingArg padding, PerAxisArg dilation,
         PadModesArg mode, double pad_value) {
        const PerAxis w = window("window");
        const WindowOptions o = window_options(stride, padding, dilation, mode, pad_value);
        return unlocked(x.numel(), [&] { return unfold(x, w, o); });
      },
      "x"_a, "window"_a, "stride"_a = 1, "padding"_a = "valid", "dilation"_a = 1, "mode"_a = "constant",
      "pad_value"_a = 0.0,
      "What the taps of a convolution with this window read (im2col): [n, (o,) (p,) q, taps * c], taps in "
      "row-major "
      "order with the channels inside.");
  m.def(
      "fold",
      [](const Tensor& columns, ShapeArg x_shape, PerAxisArg window, PerAxisArg stride, PaddingArg padding,
         PerAxisArg dilation, PadModesArg mode, double pad_value) {
        const Shape shape = x_shape("x_shape");
        const PerAxis w = window("window");
        const WindowOptions o = window_options(stride, padding, dilation, mode, pad_value);
        return unlocked(columns.numel(), [&] { return fold(columns, shape, w, o); });
      },
      "columns"_a, "x_shape"_a, "window"_a, "stride"_a = 1, "padding"_a = "valid", "dilation"_a = 1,
      "mode"_a = "constant", "pad_value"_a = 0.0,
      "The adjoint of unfold: each element of a tensor of shape `x_shape` is the sum of the columns that "
      "read it.");
}

ChannelOrder channel_order(nb::handle v) {
  return static_cast<ChannelOrder>(to_choice(v, "order", {"dcr", "crd"}));
}

}  // namespace

void bind_image(nb::module_& m) {
  bind_resize(m);
  bind_windows(m);
  m.def(
      "depth_to_space",
      [](const Tensor& x, PerAxisArg block, nb::str order) {
        return depth_to_space(x, block("block"), channel_order(order));
      },
      "x"_a, "block"_a, "order"_a = "dcr",
      "[n, h, w, c * block] to [n, h * b, w * b, c]; channels numbered position first (dcr: TensorFlow, "
      "ONNX) or "
      "channel first (crd: PyTorch's pixel shuffle).");
  m.def(
      "space_to_depth",
      [](const Tensor& x, PerAxisArg block, nb::str order) {
        return space_to_depth(x, block("block"), channel_order(order));
      },
      "x"_a, "block"_a, "order"_a = "dcr", "The inverse of depth_to_space.");
  m.def(
      "instance_norm",
      [](const Tensor& x, TensorArg gamma, TensorArg beta, double eps) {
        const Tensor g = gamma("gamma"), b = beta("beta");
        return unlocked([&] { return instance_norm(x, g, b, {eps}); });
      },
      "x"_a, "gamma"_a = nb::none(), "beta"_a = nb::none(), "eps"_a = 1e-5,
      "Each channel of each sample over its positions. [blocked chain over the positions]");
}

}  // namespace isobit::python
