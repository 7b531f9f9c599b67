// Ops on tensors. Unless said otherwise: differentiable to any order, floating tensors of one dtype on one
// device, NumPy broadcasting for operands that differ in shape, a new tensor as result; Error names the op,
// the shapes and what was expected. Each op's order of summation is in docs/numerics.md and named here in
// brackets.
#pragma once
#include <isobit/arithmetic.h>
#include <isobit/ops_pool.h>
#include <isobit/pad_mode.h>
#include <isobit/per_axis.h>
#include <isobit/tensor.h>

#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace isobit {

// ---- arithmetic (also i32, i64, u8 without gradient: integers wrap, division truncates and by zero gives 0)
Tensor add(const Tensor& a, const Tensor& b);
Tensor sub(const Tensor& a, const Tensor& b);
Tensor mul(const Tensor& a, const Tensor& b);
Tensor div(const Tensor& a, const Tensor& b);
/// NaN if either is NaN; of equal operands the first, which also gets the gradient.
Tensor maximum(const Tensor& a, const Tensor& b);
Tensor minimum(const Tensor& a, const Tensor& b);
Tensor add_scalar(const Tensor& x, double a);
Tensor mul_scalar(const Tensor& x, double a);
Tensor div_scalar(const Tensor& x, double a);
Tensor rsub_scalar(const Tensor& x, double a);  ///< a - x
inline Tensor operator+(const Tensor& a, const Tensor& b) {
  return add(a, b);
}
inline Tensor operator-(const Tensor& a, const Tensor& b) {
  return sub(a, b);
}
inline Tensor operator*(const Tensor& a, const Tensor& b) {
  return mul(a, b);
}
inline Tensor operator/(const Tensor& a, const Tensor& b) {
  return div(a, b);
}
inline Tensor operator+(const Tensor& x, double a) {
  return add_scalar(x, a);
}
inline Tensor operator+(double a, const Tensor& x) {
  return add_scalar(x, a);
}
inline Tensor operator-(const Tensor& x, double a) {
  return add_scalar(x, -a);
}
inline Tensor operator-(double a, const Tensor& x) {
  return rsub_scalar(x, a);
}
inline Tensor operator*(const Tensor& x, double a) {
  return mul_scalar(x, a);
}
inline Tensor operator*(double a, const Tensor& x) {
  return mul_scalar(x, a);
}
inline Tensor operator/(const Tensor& x, double a) {
  return div_scalar(x, a);
}
Tensor neg(const Tensor& x);
inline Tensor operator-(const Tensor& x) {
  return neg(x);
}
Tensor abs(const Tensor& x);
Tensor square(const Tensor& x);
Tensor reciprocal(const Tensor& x);

// ---- comparison and choice (bool results carry no gradient)
Tensor eq(const Tensor& a, const Tensor& b);
Tensor ne(const Tensor& a, const Tensor& b);
Tensor lt(const Tensor& a, const Tensor& b);
Tensor le(const Tensor& a, const Tensor& b);
Tensor gt(const Tensor& a, const Tensor& b);
Tensor ge(const Tensor& a, const Tensor& b);
Tensor logical_and(const Tensor& a, const Tensor& b);
Tensor logical_or(const Tensor& a, const Tensor& b);
Tensor logical_xor(const Tensor& a, const Tensor& b);
Tensor logical_not(const Tensor& a);
Tensor is_nan(const Tensor& x);
/// condition ? a : b, broadcast.
Tensor select(const Tensor& condition, const Tensor& a, const Tensor& b);

// ---- elementary functions (core/numerics/elementary-inl.h; at most 1 or 2 ulp, the same bits everywhere)
Tensor exp(const Tensor& x);
Tensor expm1(const Tensor& x);
Tensor log(const Tensor& x);
Tensor log1p(const Tensor& x);
Tensor sqrt(const Tensor& x);
Tensor sin(const Tensor& x);
Tensor cos(const Tensor& x);
Tensor erf(const Tensor& x);
Tensor tanh(const Tensor& x);
Tensor sigmoid(const Tensor& x);
Tensor relu(const Tensor& x);  ///< gradient 0 at 0
Tensor leaky_relu(const Tensor& x, double slope = 0.01);
Tensor elu(const Tensor& x, double alpha = 1);
Tensor gelu(const Tensor& x);  ///< x * Phi(x), exact form
Tensor silu(const Tensor& x);
Tensor softplus(const Tensor& x);

// ---- reductions over the given axes (none given: all), each removed or kept with extent 1
/// [lanes over the last axis, blocked chain over middle axes, batch tree over axis 0.] Also i32, i64. Empty
/// sum: +0.
Tensor sum(const Tensor& x, std::span<const int> axes = {}, bool keep = false);
/// sum / count. Error on an empty mean.
Tensor mean(const Tensor& x, std::span<const int> axes = {}, bool keep = false);
/// NaN wins, then the first of equals in row-major order, which gets the gradient. Error when a reduced
/// extent is 0.
Tensor max(const Tensor& x, std::span<const int> axes = {}, bool keep = false);
Tensor min(const Tensor& x, std::span<const int> axes = {}, bool keep = false);
/// i64 row-major position of max's choice within the reduced axes.
Tensor argmax(const Tensor& x, std::span<const int> axes = {}, bool keep = false);
inline Tensor sum(const Tensor& x, std::initializer_list<int> axes, bool keep = false) {
  return sum(x, std::span(axes.begin(), axes.size()), keep);
}
inline Tensor mean(const Tensor& x, std::initializer_list<int> axes, bool keep = false) {
  return mean(x, std::span(axes.begin(), axes.size()), keep);
}
inline Tensor max(const Tensor& x, std::initializer_list<int> axes, bool keep = false) {
  return max(x, std::span(axes.begin(), axes.size()), keep);
}
inline Tensor min(const Tensor& x, std::initializer_list<int> axes, bool keep = false) {
  return min(x, std::span(axes.begin(), axes.size()), keep);
}
inline Tensor argmax(const Tensor& x, std::initializer_list<int> axes, bool keep = false) {
  return argmax(x, std::span(axes.begin(), axes.size()), keep);
}
/// sum of x down to `shape`: the adjoint of broadcasting. [as sum]
Tensor sum_to(const Tensor& x, const Shape& shape);

// ---- shape (reshape, slice, to, clone are members of Tensor)
Tensor broadcast_to(const Tensor& x, const Shape& shape);
/// Output axis i is input axis axes[i]. Any dtype (gradient for floating).
Tensor permute(const Tensor& x, std::span<const int> axes);
inline Tensor permute(const Tensor& x, std::initializer_list<int> axes) {
  return permute(x, std::span(axes.begin(), axes.size()));
}
Tensor transpose(const Tensor& x);  ///< the last two axes
/// [n, ..., c] to [n, c, ...] and back: for people and files that think channels first.
Tensor to_nchw(const Tensor& x);
Tensor from_nchw(const Tensor& x);
Tensor concat(std::span<const Tensor> parts, int axis = 0);
Tensor stack(std::span<const Tensor> parts, int axis = 0);
/// {before, after} for each axis, outermost first; negative crops. Constant value. Any dtype.
Tensor pad(const Tensor& x, std::span<const std::pair<std::int64_t, std::int64_t>> widths, double value = 0);
inline Tensor pad(const Tensor& x, std::initializer_list<std::pair<std::int64_t, std::int64_t>> widths,
                  double value = 0) {
  return pad(x, std::span(widths.begin(), widths.size()), value);
}
/// The same with a mode for all axes, or one for each; widths beyond the axis go on by the mode's rule
/// (isobit/pad_mode.h). [gradient: the elements that read one are added in row-major order]
Tensor pad(const Tensor& x, std::span<const std::pair<std::int64_t, std::int64_t>> widths,
           std::span<const PadMode> modes, double value = 0);
inline Tensor pad(const Tensor& x, std::initializer_list<std::pair<std::int64_t, std::int64_t>> widths,
                  PadMode mode, double value = 0) {
  return pad(x, std::span(widths.begin(), widths.size()), std::span(&mode, 1), value);
}
/// Reverses the axes. Any dtype.
Tensor flip(const Tensor& x, std::span<const int> axes);
inline Tensor flip(const Tensor& x, std::initializer_list<int> axes) {
  return flip(x, std::span(axes.begin(), axes.size()));
}
/// Row index[i] of x for each i; index i64 of any shape, result shape index.shape + x.shape[1:]. Error on an
/// index outside. [gradient: chain in ascending position]
Tensor gather(const Tensor& x, const Tensor& index);
/// The adjoint of gather: rows of y added to row index[i] of `rows` zero rows.
Tensor scatter_add(const Tensor& y, const Tensor& index, std::int64_t rows);
/// [n] i64 to [n, classes]: on where the class is the label, else off. Error on a label outside.
Tensor one_hot(const Tensor& labels, std::int64_t classes, double on = 1, double off = 0,
               DType dtype = DType::f32);
Tensor flatten(const Tensor& x, int from_axis = 1);

// ---- matrices. `math`: the arithmetic of the call and of its gradients (isobit/arithmetic.h), else the
// scope's
/// [..., m, k] x [..., k, n]; leading axes broadcast. [blocked chain over k; a gradient that reduces over
/// broadcast axes: sum]
Tensor matmul(const Tensor& a, const Tensor& b, bool transpose_a = false, bool transpose_b = false,
              std::optional<Math> math = {});
/// x[n.., c] * w[c, k] + b[k] (b may be undefined). [blocked chain over c; gradient of w: batch tree over n]
Tensor linear(const Tensor& x, const Tensor& w, const Tensor& b = {}, std::optional<Math> math = {});

// ---- convolution
enum class Activate : std::uint8_t { none, relu, leaky_relu, silu, sigmoid, tanh, gelu };

struct ConvOptions {
  PerAxis stride = 1;
  Padding padding = {};
  PerAxis dilation = 1;
  std::int64_t groups = 1;
  Activate activation =
      Activate::none;                 ///< applied after the bias; the same bits as the op applied afterwards
  double slope = 0.01;                ///< of leaky_relu
  PadModes mode = PadMode::constant;  ///< what the padding holds, inside the convolution: nothing is copied
  double pad_value = 0;               ///< where an axis' mode is constant
  bool flip = false;                  ///< true convolution: the filters reversed on their spatial axes
  /// Of this call and its gradients (isobit/arithmetic.h); none: the scope's.
  std::optional<Math> math = {};
};
/// Correlation, as networks use it: x[n, (d,) (h,) w, c] with filters w[(t,) (r,) s, c/groups, k] plus bias
/// b[k] (may be undefined) gives y[n, (o,) (p,) q, k]. [blocked chain over (t, r, s, c); gradients:
/// ConvGeometry's in core/backend.h] Error naming both numbers when the filter's depth is not the input's,
/// when the filter exceeds the padded input, ...
Tensor conv(const Tensor& x, const Tensor& w, const Tensor& b = {}, const ConvOptions& options = {});

/// d<conv(x, w), dy>/dx for an input of shape x_shape; its own gradients are conv and conv_backward_filter.
Tensor conv_backward_input(const Tensor& dy, const Tensor& w, const Shape& x_shape,
                           const ConvOptions& options = {});
/// d<conv(x, w), dy>/dw for filters of shape w_shape. [batch tree]
Tensor conv_backward_filter(const Tensor& x, const Tensor& dy, const Shape& w_shape,
                            const ConvOptions& options = {});

struct ConvTransposeOptions {
  PerAxis stride = 1;
  Padding padding = {};  ///< of the convolution whose gradient this is: it makes y smaller
  PerAxis dilation = 1;
  std::int64_t groups = 1;
  Activate activation = Activate::none;
  double slope = 0.01;  ///< of leaky_relu
  PadModes mode = PadMode::constant;
  bool flip = false;
  /// Rows that a stride leaves open, added behind: below the stride of the axis.
  PerAxis output_padding = 0;
  /// The spatial extents of y themselves; output_padding then stays 0.
  std::optional<PerAxis> output_shape = {};
  std::optional<Math> math = {};  ///< of this call and its gradients; none: the scope's
};
/// The gradient of a convolution as an op of its own: x[n, (d,) (h,) w, c] with the filters w[(t,) (r,) s,
/// k/groups, c] of a convolution from k to c channels, plus bias b[k] (may be undefined), gives y[n, (o,)
/// (p,) q, k] = conv_backward_input(x, w, shape of y) + b. An axis of y has (in - 1) * stride + dilation *
/// (filter
/// - 1) + 1 - padding + output_padding rows; with Same, in * stride. [blocked chain over (t, r, s, c) of the
/// element's stride phase] Error where no convolution maps y's shape to x's.
Tensor conv_transpose(const Tensor& x, const Tensor& w, const Tensor& b = {},
                      const ConvTransposeOptions& options = {});

// ---- rows of the last axis [lanes]
Tensor softmax(const Tensor& x);
Tensor log_softmax(const Tensor& x);

// ---- losses. Sums over the batch run by the batch tree and are divided once, by the size of the whole batch
// (isobit/parts.h), so they may be computed in parts.
struct CrossEntropyOptions {
  double label_smoothing = 0;  ///< in [0, 1): target = (1 - s) * target + s / classes
};
/// logits [n, ..., classes]; target: i64 class indices [n, ...], or probabilities of the logits' shape. Mean
/// over the batch and all positions. Error on a label outside [0, classes).
Tensor cross_entropy(const Tensor& logits, const Tensor& target, const CrossEntropyOptions& options = {});
/// Mean of (x - target)^2 over all elements.
Tensor mse(const Tensor& x, const Tensor& target);

// ---- norms (channels last). gamma and beta may be undefined.
struct NormOptions {
  double eps = 1e-5;
};
struct BatchNormResult {
  Tensor y, mean, variance;  ///< statistics of the batch [c] (no gradient), for running averages
};
/// Statistics over all axes but the last. [batch tree]
BatchNormResult batch_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta,
                           const NormOptions& options = {});
/// With given statistics (evaluation): differentiable in x, gamma and beta.
Tensor batch_norm_inference(const Tensor& x, const Tensor& gamma, const Tensor& beta, const Tensor& mean,
                            const Tensor& variance, const NormOptions& options = {});

/// What batch_norm_inference takes beside x.
struct GivenNorm {
  Tensor gamma, beta;     ///< may be undefined
  Tensor mean, variance;  ///< [filters]
  double eps = 1e-5;
};
/// activation(batch_norm_inference(conv(x, w, b), ...)) with those bits: where no history is wanted in one
/// pass, the norm and the activation being done to what lies in the caches. Errors of both.
Tensor conv_batch_norm_inference(const Tensor& x, const Tensor& w, const Tensor& b, const GivenNorm& norm,
                                 const ConvOptions& options = {});
/// Over the last axis. [lanes]
Tensor layer_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, const NormOptions& options = {});
/// Per sample and group of channels. [blocked chain over positions of lanes over the group's channels]
Tensor group_norm(const Tensor& x, std::int64_t groups, const Tensor& gamma, const Tensor& beta,
                  const NormOptions& options = {});

struct LocalResponseOptions {
  double alpha = 1e-4, beta = 0.75, bias = 1;
};
/// x / (bias + alpha / size * (sum of x^2 over a window of `size` channels))^beta, x[..., c]: the channel,
/// floor((size - 1) / 2) before it and ceil((size - 1) / 2) after it, as far as they exist (ONNX's LRN).
/// [chain over the window]
Tensor local_response_norm(const Tensor& x, std::int64_t size, const LocalResponseOptions& options = {});

/// x_i * keep_i / (1 - p); element i of the whole batch draws at counter i of the key's stream
/// (isobit/parts.h shifts it).
Tensor dropout(const Tensor& x, double p, RandomKey key);

}  // namespace isobit

#include <isobit/ops_image.h>
