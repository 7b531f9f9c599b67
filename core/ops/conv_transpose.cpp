// Transposed convolution: the gradient of a convolution with respect to its input, as an op. What it adds to
// conv_backward_input is the shape of y, which the shape of x alone does not tell.
#include "core/ops/conv_transpose.h"

#include "core/ops/internal.h"

namespace isobit {
namespace {

/// The extent of y on spatial axis i.
std::int64_t output_extent(const char* op, const ConvTransposeOptions& options, const Shape& x,
                           const Shape& w, int i) {
  const auto at = static_cast<std::size_t>(i);
  const std::int64_t in = x.begin()[i + 1], stride = options.stride.value[at],
                     extra = options.output_padding.value[at];
  if (options.output_shape) {
    if (extra != 0)
      fail(op, "output_padding is {} on spatial axis {} beside an output_shape, expected one of them", extra,
           i);
    return options.output_shape->value[at];
  }
  if (in < 1) fail(op, "spatial axis {} of x {} has extent 0, expected at least 1", i, x);
  if (stride < 1) fail(op, "stride is {} on spatial axis {}, expected at least 1", stride, i);
  if (options.dilation.value[at] < 1)
    fail(op, "dilation is {} on spatial axis {}, expected at least 1", options.dilation.value[at], i);
  if (extra < 0 || extra >= stride)
    fail(op, "output_padding is {} on spatial axis {}, expected from 0 to below the stride {}", extra, i,
         stride);
  const auto too_large = [&] { fail(op, "spatial axis {} of y does not fit 63 bits (x {}, w {})", i, x, w); };
  // What the filter reaches beyond the stride's first row, less the padding.
  std::int64_t reach = 0, rows = 0;
  if (__builtin_mul_overflow(options.dilation.value[at], w.begin()[i] - 1, &reach) ||
      __builtin_mul_overflow(in - 1, stride, &rows))
    too_large();
  std::int64_t cut = 0;
  if (const auto* rule = std::get_if<SameRule>(&options.padding.value)) {
    // Same: all of in * stride rows. Full cuts what the filter reaches on both sides, causal on one.
    if (*rule == SameRule::same_upper || *rule == SameRule::same_lower) cut = reach + 1 - stride;
    if (*rule == SameRule::full && __builtin_mul_overflow(reach, 2, &cut)) too_large();
    if (*rule == SameRule::causal) cut = reach;
  } else {
    const auto& sides = std::get<1>(options.padding.value);
    const auto& side = sides[sides.size() == 1 ? 0 : at];
    if (__builtin_add_overflow(side.first, side.second, &cut)) too_large();
  }
  std::int64_t extent;
  if (__builtin_add_overflow(rows, reach, &extent) || __builtin_add_overflow(extent, 1 + extra, &extent) ||
      __builtin_sub_overflow(extent, cut, &extent))
    too_large();
  if (extent < 1)
    fail(op, "spatial axis {} of y would have {} rows (x {}, w {}, padding {} in all), expected at least 1",
         i, extent, x, w, cut);
  return extent;
}

}  // namespace

ConvTransposeGeometry make_conv_transpose_geometry(const char* op, const Shape& x, const Shape& w,
                                                   const ConvTransposeOptions& options) {
  if (x.rank() < 3 || x.rank() > 5)
    fail(op, "x {} has {} axes, expected 3, 4 or 5: [n, (d,) (h,) w, c]", x, x.rank());
  if (w.rank() != x.rank()) fail(op, "filter w {} has {} axes, x {} has {}", w, w.rank(), x, x.rank());
  const int spatial = x.rank() - 2;
  const auto counted = [&](const char* what, const PerAxis& v) {
    if (v.count != 1 && v.count != spatial)
      fail(op, "{} is given for {} axes, x {} has {}", what, v.count, x, spatial);
  };
  counted("stride", options.stride);
  counted("dilation", options.dilation);
  counted("output_padding", options.output_padding);
  if (options.output_shape) counted("output_shape", *options.output_shape);
  if (const auto* sides = std::get_if<1>(&options.padding.value);
      sides != nullptr && sides->size() != 1 && sides->size() != static_cast<std::size_t>(spatial))
    fail(op, "padding is given for {} axes, x {} has {}", sides->size(), x, spatial);
  if (options.groups < 1) fail(op, "groups is {}, expected at least 1", options.groups);
  const std::int64_t channels = x.begin()[x.rank() - 1];
  const std::int64_t given = w.begin()[w.rank() - 1], depth = w.begin()[w.rank() - 2];
  if (given != channels) fail(op, "filters w {} give {} channels back, x {} has {}", w, given, x, channels);
  std::array<std::int64_t, 5> extents{};
  extents[0] = x.begin()[0];
  for (int i = 0; i < spatial; ++i) {
    if (w.begin()[i] < 1)
      fail(op, "filter has extent 0 on spatial axis {}, expected at least 1 (w {})", i, w);
    extents[static_cast<std::size_t>(i) + 1] = output_extent(op, options, x, w, i);
  }
  std::int64_t k;
  if (__builtin_mul_overflow(depth, options.groups, &k))
    fail(op, "{} groups of {} channels do not fit 63 bits", options.groups, depth);
  extents[static_cast<std::size_t>(spatial) + 1] = k;

  ConvOptions of;
  of.stride = options.stride;
  of.padding = options.padding;
  of.dilation = options.dilation;
  of.groups = options.groups;
  of.mode = options.mode;
  of.flip = options.flip;
  ConvTransposeGeometry g;
  g.y = Shape(std::span<const std::int64_t>(extents.data(), static_cast<std::size_t>(x.rank())));
  g.conv = make_conv_geometry(op, g.y, w, of);
  if (const Shape from = conv_output_shape(g.conv, x.rank()); !(x == from))
    fail(op, "x has shape {}, expected {}", x, from);
  return g;
}

Tensor conv_transpose(const Tensor& x, const Tensor& w, const Tensor& b,
                      const ConvTransposeOptions& options) {
  constexpr const char* kOp = "conv_transpose";
  const MathScope arithmetic(options.math);
  ops::require_defined(kOp, {&x, &w});
  ops::require_alike(kOp, x, w);
  if (!is_floating(x.dtype())) fail(kOp, "x is {}, expected a floating dtype", x.dtype());
  const ConvTransposeGeometry g = make_conv_transpose_geometry(kOp, x.shape(), w.shape(), options);
  if (b.defined()) {
    ops::require_alike(kOp, x, b);
    if (b.rank() != 1 || b.shape().begin()[0] != g.conv.c)
      fail(kOp, "bias has shape {}, expected [{}]", b.shape(), g.conv.c);
  }
  ops::require_finite(kOp, "slope", options.slope);
  Tensor y = ops::conv_backward_input_recorded(g.conv, x, ops::oriented_filter(w, options.flip), g.y);
  if (b.defined()) y = add(y, b);
  return ops::activated(options.activation, options.slope, y);
}

}  // namespace isobit
