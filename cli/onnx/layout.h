// ONNX's channels first to isobit's channels last, and the attributes that windows share.
#pragma once
#include <isobit/ops.h>

#include "cli/onnx/call.h"

namespace isobit::cli::onnx {

/// [n, c, ...] to [n, ..., c] and back. Error naming the operator below rank 2.
Tensor channels_last(const Call& call, const Tensor& x);
Tensor channels_first(const Tensor& y);
/// [m, c, kernel...] to [kernel..., c, m].
Tensor filters_last(const Tensor& w);
/// The axis moved to the end, and back.
Tensor axis_to_last(const Tensor& x, int axis);
Tensor axis_from_last(const Tensor& y, int axis);
/// In [0, rank); Error naming the operator elsewhere.
int axis_in(const Call& call, std::int64_t axis, int rank);

/// How many spatial axes x [n, c, ...] has: 1 to 3, Unsupported otherwise.
int spatial_axes(const Call& call, const Tensor& x);
/// One number for each of `axes` axes, or `missing` for all when the list is empty. Error naming the
/// attribute when the list is of another length.
std::vector<std::int64_t> per_axis(const Call& call, const char* name, std::vector<std::int64_t> given,
                                   int axes, std::int64_t missing);
PerAxis to_per_axis(const std::vector<std::int64_t>& values);

/// strides, dilations, and pads or auto_pad.
struct Window {
  PerAxis stride = 1, dilation = 1;
  Padding padding;
};
Window window(Call& call, int axes);
/// Attribute `name`: first all befores, then all afters, as pairs; zeros where it is missing.
std::vector<std::pair<std::int64_t, std::int64_t>> pads(Call& call, const char* name, int axes);

/// An input of a floating type; Unsupported for others.
Tensor floating(Call& call, std::size_t i);

}  // namespace isobit::cli::onnx
