// Ops on sequences, pictures and volumes, channels last: x[n, (d,) (h,) w, c] with one to three spatial axes.
// As in isobit/ops.h, which includes this: floating tensors, differentiable to any order, Error names the op,
// the numbers and what was expected.
#pragma once
#include <isobit/ops.h>

namespace isobit {

// ---- interpolation
enum class Interpolation : std::uint8_t { nearest, linear };

/// Where output j of an axis lies on the input, in elements; `scale` is out / in, or the given scale.
enum class Coordinates : std::uint8_t {
  half_pixel,            ///< (j + 0.5) / scale - 0.5: the centres of pixels
  half_pixel_symmetric,  ///< the same about the middle of the axis, where a scale gives no whole extent
  pytorch_half_pixel,    ///< half_pixel, but 0 where there is one output
  align_corners,       ///< j * (in - 1) / (in * scale - 1): first on first, last on last; 0 where that has no
                       ///< length
  asymmetric,          ///< j / scale
  tf_crop_and_resize,  ///< over the part `roi` of the axis; what lies outside the axis is `extrapolation`
};

/// Which element is nearest.
enum class Rounding : std::uint8_t { round_prefer_floor, round_prefer_ceil, floor, ceil };

struct ResizeOptions {
  Interpolation mode = Interpolation::linear;
  Coordinates coordinates = Coordinates::half_pixel;
  Rounding rounding = Rounding::round_prefer_floor;  ///< of nearest
  /// Linear, where the output is smaller: the triangle is as wide as 1 / scale, its weights divided by their
  /// sum.
  bool antialias = false;
  /// Neighbours beyond the edge take no part, the others' weights are divided by their sum. Else they read
  /// the edge element.
  bool exclude_outside = false;
  /// Of tf_crop_and_resize: {begin, end} of each spatial axis as shares of its length - 1.
  std::vector<std::pair<double, double>> roi = {};
  double extrapolation = 0;
};

/// x at other spatial extents, one axis after the other from the last to the first, each a sum of few
/// products (the formulas are those of ONNX's Resize, opset 19). Weights are computed in f64 and rounded once
/// to f32 (f64 for f64); neighbours of weight 0 take no part. f16 and bf16 pass through all axes in f32 and
/// are rounded once. [on each axis: the first neighbour's product rounded, then chain of fma over the others,
/// ascending; gradient: the same over the outputs that read the element, ascending] Error when an extent is
/// 0, when `extents`, `scales` or `roi` do not fit the spatial axes, ...
Tensor resize(const Tensor& x, PerAxis extents, const ResizeOptions& options = {});
/// The same by scales, one for all axes or one for each: an axis becomes floor(in * scale) long, and
/// coordinates are reckoned with the scale as it is given. Error when a scale is not positive and finite.
Tensor resize_by(const Tensor& x, std::span<const double> scales, const ResizeOptions& options = {});
inline Tensor resize_by(const Tensor& x, std::initializer_list<double> scales,
                        const ResizeOptions& options = {}) {
  return resize_by(x, std::span(scales.begin(), scales.size()), options);
}
/// Each spatial axis `factor` times as long, as PyTorch's Upsample: nearest repeats elements, linear is
/// (bi-, tri)linear by half pixels, or with first on first and last on last.
Tensor upsample(const Tensor& x, PerAxis factor, Interpolation mode = Interpolation::nearest,
                bool align_corners = false);

// ---- windows
struct WindowOptions {
  PerAxis stride = 1;
  Padding padding = {};
  PerAxis dilation = 1;
  PadModes mode = PadMode::constant;
  double pad_value = 0;  ///< where an axis' mode is constant
};
/// What the taps of a convolution with this window read (im2col): [n, (o,) (p,) q, taps * c], taps in
/// row-major order with the channels inside. conv(x, w) is linear(unfold(x), w as [taps * c, k]). Any dtype
/// (gradient for floating). [gradient: fold]
Tensor unfold(const Tensor& x, PerAxis window, const WindowOptions& options = {});
/// The adjoint of unfold: each element of a tensor of shape `x_shape` is the sum of the columns that read it.
/// pad_value counts for nothing. [chain from +0 over the taps, ascending; where a mode other than constant
/// reads elements through the padding: that of the padded tensor, then the sum that the gradient of pad is]
Tensor fold(const Tensor& columns, const Shape& x_shape, PerAxis window, const WindowOptions& options = {});

// ---- channels to positions and back
/// How channels are numbered by the position in the block and the channel of the result.
enum class ChannelOrder : std::uint8_t {
  dcr,  ///< position * channels + channel (TensorFlow, ONNX's default)
  crd,  ///< channel * positions + position (PyTorch's pixel shuffle)
};
/// [n, (d,) (h,) w, c * block] to [n, (d * b0,) (h * b1,) w * b2, c], block being the product of the axes' b.
/// Moves elements; any dtype (gradient for floating).
Tensor depth_to_space(const Tensor& x, PerAxis block, ChannelOrder order = ChannelOrder::dcr);
/// The inverse.
Tensor space_to_depth(const Tensor& x, PerAxis block, ChannelOrder order = ChannelOrder::dcr);

// ---- norm
/// Each channel of each sample over its positions: group_norm with as many groups as channels. gamma and beta
/// may be undefined. [blocked chain over the positions]
Tensor instance_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta,
                     const NormOptions& options = {});

}  // namespace isobit
