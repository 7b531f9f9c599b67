// The validated problem descriptions that cross the seam. Every extent is computed here, once, by the make_*
// functions, which throw Error on anything that is not a legal problem; kernels take what they get as proven:
// no extent negative, every product of extents within 63 bits.
#pragma once
#include <isobit/shape.h>

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "core/op_codes.h"

namespace isobit {

/// One spatial axis of a convolution or pooling.
struct AxisGeometry {
  std::int64_t in = 1, filter = 1, out = 1;
  std::int64_t stride = 1, dilation = 1;
  std::int64_t pad_before = 0, pad_after = 0;
  PadMode mode = PadMode::constant;  ///< of a convolution: what coordinates outside of [0, in) read

  /// Whether elements of the input are read through coordinates outside of it, too.
  bool folds() const { return mode != PadMode::constant && (pad_before > 0 || pad_after > 0); }
};

/// x[n, d, h, w, c] * w[t, r, s, c/groups, k] -> y[n, o, p, q, k]; axis 0 is depth (d, t, o), 1 height (h, r,
/// p), 2 width (w, s, q). Missing axes have extent 1. out = (in + pad_before + pad_after - dilation * (filter
/// - 1) - 1) / stride + 1, the input coordinate of output p and tap r is p * stride + r * dilation -
/// pad_before. Filter k belongs to group k / (k_total / groups), which reads input channels [group *
/// c/groups, (group + 1) * c/groups).
struct ConvGeometry {
  std::int64_t n = 0, c = 0, k = 0, groups = 1;
  std::array<AxisGeometry, 3> axis{};
  double pad_value = 0;  ///< what coordinates outside read where the mode is constant (on any axis)

  /// Whether the input gradient adds up what several coordinates say (on any axis).
  bool folds() const { return axis[0].folds() || axis[1].folds() || axis[2].folds(); }
  std::int64_t c_per_group() const { return c / groups; }
  std::int64_t k_per_group() const { return k / groups; }
  /// Positions of one sample: o * p * q.
  std::int64_t positions() const { return axis[0].out * axis[1].out * axis[2].out; }
  std::int64_t taps() const { return axis[0].filter * axis[1].filter * axis[2].filter; }
  /// Terms of one output element.
  std::int64_t terms() const { return taps() * c_per_group(); }
  std::int64_t x_size() const { return n * axis[0].in * axis[1].in * axis[2].in * c; }
  std::int64_t w_size() const { return taps() * c_per_group() * k; }
  std::int64_t y_size() const { return n * positions() * k; }
  /// For traces and errors, in the compact grammar of the shape files: mb2g1ic3ih8iw9oc5kh3kw2...
  std::string to_string() const;
};

/// How many axes (2 or 3) to_string() shows.
int shown_axes(const ConvGeometry& g);

/// Options of a convolution as a user gives them, per spatial axis of the tensors' rank.
struct ConvOptions;  // isobit/ops.h
/// x and w of rank 3, 4 or 5 (one, two or three spatial axes). Throws Error(op) naming both shapes and the
/// numbers that clash.
ConvGeometry make_conv_geometry(const char* op, const Shape& x, const Shape& w, const ConvOptions& options);
inline ConvGeometry make_conv_geometry(const Shape& x, const Shape& w, const ConvOptions& options) {
  return make_conv_geometry("conv", x, w, options);
}
/// The shape of y for an x of rank `rank`.
Shape conv_output_shape(const ConvGeometry& g, int rank);
/// x[n.., c] * w[c, k] as a convolution with a 1x1 window: axis 0 holds the samples, all between it and the
/// last the positions.
ConvGeometry make_linear_geometry(const Shape& x, const Shape& w);

/// Windows over x[n, d, h, w, c] -> y[n, o, p, q, c]. ceil_mode windows that would start beyond input and
/// left padding are dropped (already in `out`).
struct PoolGeometry {
  std::int64_t n = 0, c = 0;
  std::array<AxisGeometry, 3> axis{};
  bool count_include_pad =
      false;         ///< average: divide by the window clipped to the padded input instead of to the input
  bool sum = false;  ///< average: divide by nothing
  /// The window of output o is the input [floor(o * in / out), ceil((o + 1) * in / out)) of each axis;
  /// filter, stride, dilation and padding mean nothing.
  bool adaptive = false;
  std::int64_t positions() const { return axis[0].out * axis[1].out * axis[2].out; }
  std::string to_string() const;
};
struct PerAxis;      // isobit/ops.h
struct PoolOptions;  // isobit/ops.h
/// x of rank 3, 4 or 5. `op` is named in errors: "max_pool", "avg_pool". Throws Error naming the shape and
/// the numbers that clash unless every window holds at least one element of x.
PoolGeometry make_pool_geometry(const char* op, const Shape& x, const PerAxis& window,
                                const PoolOptions& options);
Shape pool_output_shape(const PoolGeometry& g, int rank);
/// `out` windows on each spatial axis of x, each of at least one element and together all of them.
PoolGeometry make_adaptive_pool_geometry(const char* op, const Shape& x, const PerAxis& out);

/// A loop over `extent` (row major, dense output) that reads up to three operands by strides in elements (0 =
/// broadcast). Adjacent axes are merged wherever all operands allow; rank >= 1.
struct StridedGeometry {
  int rank = 1;
  std::array<std::int64_t, Shape::max_rank> extent{1};
  std::array<std::array<std::int64_t, Shape::max_rank>, 3> stride{};
  std::array<std::int64_t, 3> offset{};  ///< first element of each operand
  std::int64_t numel() const {
    std::int64_t product = 1;
    for (int i = 0; i < rank; ++i) product *= extent[i];
    return product;
  }
};
/// NumPy's broadcasting of up to three shapes; `out` receives the common shape. Throws Error(op) that names
/// the shapes.
StridedGeometry make_broadcast_geometry(const char* op, std::span<const Shape> operands, Shape* out);
/// Output axis i is input axis axes[i].
StridedGeometry make_permute_geometry(const Shape& in, std::span<const int> axes, Shape* out);

/// A reduction over some axes of a dense tensor. Kept and reduced axes are merged where neighbours agree, so
/// the form is an alternation of kept and reduced axes; axis 0 is never merged when it is reduced. Order of
/// summation:
///   lanes      when the last axis is reduced and is not axis 0, each term is the `lanes` sum over it,
///   middle     the remaining reduced axes but axis 0, in row-major order: a blocked chain of those terms,
///   batch      when axis 0 is reduced: leaves of leaf_samples(product of the middle extents) samples, in
///   each a blocked
///              chain over (sample, middle), joined by the batch tree.
struct ReduceGeometry {
  int rank = 1;
  std::array<std::int64_t, Shape::max_rank> extent{1};
  std::array<bool, Shape::max_rank> reduced{};
  bool batch = false;  ///< axis 0 is reduced: batch tree over it
  bool lanes = false;  ///< the last axis is reduced (and is not the batch axis): lanes over it
  std::int64_t kept() const {
    std::int64_t product = 1;
    for (int i = 0; i < rank; ++i)
      if (!reduced[i]) product *= extent[i];
    return product;
  }
  std::int64_t reduced_size() const {
    std::int64_t product = 1;
    for (int i = 0; i < rank; ++i)
      if (reduced[i]) product *= extent[i];
    return product;
  }
  /// Extent of the reduced axes other than the batch axis and the lanes axis.
  std::int64_t middle() const {
    std::int64_t product = 1;
    for (int i = batch ? 1 : 0; i < rank - (lanes ? 1 : 0); ++i)
      if (reduced[i]) product *= extent[i];
    return product;
  }
  std::string to_string() const;
};
/// `axes` lie in [0, rank), each at most once. Axes of extent 1 between the first and the last count as
/// neither kept nor reduced.
ReduceGeometry make_reduce_geometry(const Shape& x, std::span<const int> axes);

/// c[b, m, n] = a[b, m, k] b[b, k, n], each operand possibly stored transposed; batches by element stride (0
/// repeats). Order: blocked chain over k.
struct MatmulGeometry {
  std::int64_t batch = 1, m = 0, n = 0, k = 0;
  bool transpose_a = false, transpose_b = false;  ///< a stored [k, m]; b stored [n, k]
  std::int64_t stride_a = 0, stride_b = 0;        ///< elements between batches; c is dense
  std::string to_string() const;
};

/// Statistics are taken over some indices of x[a, b, g, d] and indexed by the others; the affine parameters
/// are indexed by channel g * d_extent + d.
///   batch_norm: a = n, b = positions, g = channels, d = 1; statistics [g] over (a, b): batch tree, like sum
///   over axes 0, 1 layer_norm: a = rows, b = g = 1, d = columns; statistics [a] over d: lanes group_norm: a
///   = n, b = positions, g = groups, d = channels / groups; statistics [a, g]: blocked chain over b of lanes
///   over d
struct NormGeometry {
  std::int64_t a = 0, b = 1, g = 1, d = 1;
  bool over_batch = false;  ///< batch_norm
  std::int64_t statistics() const { return over_batch ? g : a * g; }
  std::int64_t count() const { return over_batch ? a * b : b * d; }
  std::int64_t channels() const { return g * d; }
  std::int64_t numel() const { return a * b * g * d; }
};

/// Each channel of x[rows, c] and its window: the channels from e - before to e + after that exist. (Widths
/// beyond the row are cut off: both are below c.) scale = alpha / size.
struct LocalResponseGeometry {
  std::int64_t rows = 0, c = 0, before = 0, after = 0;
  double scale = 0, beta = 0, bias = 0;
  std::int64_t numel() const { return rows * c; }
};
struct LocalResponseOptions;  // isobit/ops.h
/// x[..., c]; a window is the channel, floor((size - 1) / 2) before it and ceil((size - 1) / 2) after it.
/// Throws Error naming the shape or the number that is none.
LocalResponseGeometry make_local_response_geometry(const char* op, const Shape& x, std::int64_t size,
                                                   const LocalResponseOptions& options);

/// Padding of every axis of x (negative = crop). Element u of an axis of y is the element of x that
/// coordinate u - before reads in the axis' mode (core/numerics/pad_index.h), or the value.
struct PadGeometry {
  int rank = 1;
  std::array<std::int64_t, Shape::max_rank> in{}, out{}, before{};  ///< out = before + in + after
  std::array<PadMode, Shape::max_rank> mode{};
  double value = 0;  ///< where any axis says so

  /// Whether any element of x is read through a coordinate outside of it.
  bool folds() const {
    for (int i = 0; i < rank; ++i)
      if (mode[i] != PadMode::constant && (before[i] > 0 || out[i] - in[i] - before[i] > 0)) return true;
    return false;
  }
};
/// {before, after} of each axis, and its mode (one for all, or one for each). Throws Error(op) when a crop
/// takes more than there is, or an axis without elements is to be padded with some.
PadGeometry make_pad_geometry(const char* op, const Shape& x,
                              std::span<const std::pair<std::int64_t, std::int64_t>> widths,
                              std::span<const PadMode> modes, Shape* out);

/// x[outer, in, inner] -> y[outer, out, inner], each line along the middle axis times a matrix of few entries
/// a row: what interpolation, and its adjoint, are on one axis.
struct ResampleGeometry {
  std::int64_t outer = 0, in = 0, out = 0, inner = 0;
};

}  // namespace isobit
