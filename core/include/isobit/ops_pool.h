// Pooling: windows over the spatial axes of x[n, (d,) (h,) w, c] -> y[n, (o,) (p,) q, c], every channel by
// itself; one to three spatial axes, floating tensors. What isobit/ops.h says of all ops holds here. Error
// naming the numbers when a window is beyond the padded input, a padding is not below what the window spans,
// or a window has no element of x.
#pragma once
#include <isobit/per_axis.h>
#include <isobit/tensor.h>

#include <optional>

namespace isobit {

struct PoolOptions {
  std::optional<PerAxis> stride = {};  ///< default: the window
  Padding padding = {};
  PerAxis dilation = 1;
  /// A last partial window counts, unless it would begin in the padding after the input (ONNX's rule).
  bool ceil_mode = false;
  bool count_include_pad = false;  ///< avg_pool only
};

/// The largest element of each window; padding never counts. NaN wins, then the first of equals in row-major
/// order, which gets the gradient. [gradient: chain over the outputs that chose the element]
Tensor max_pool(const Tensor& x, PerAxis window, const PoolOptions& options = {});

struct MaxPoolResult {
  Tensor y;      ///< differentiable
  Tensor index;  ///< i64, shape of y: the maximum's position (d * H + h) * W + w in its sample
};
/// max_pool, and where the maxima are.
MaxPoolResult max_pool_with_indices(const Tensor& x, PerAxis window, const PoolOptions& options = {});

/// Puts x[n, ..., c] back to where it came from: y of shape `y_shape` (n and c are x's) is 0 but for
/// y[n, index[n, o, c], c], to which x[n, o, c] is added; index as max_pool_with_indices gives it, or any
/// other. Elements that one place gets from several windows are added up (other libraries keep one of them):
/// so max_unpool is the adjoint of reading by the same positions, which is its gradient. [chain from +0 in
/// row-major order of o] Error on an index outside of a sample of y, naming its value and position.
Tensor max_unpool(const Tensor& x, const Tensor& index, const Shape& y_shape);

/// Sum of a window's elements divided by their number (count_include_pad: by that of the taps in the padded
/// input). [chain in row-major order, one division; gradient: chain of dy / count over the windows]
Tensor avg_pool(const Tensor& x, PerAxis window, const PoolOptions& options = {});
/// The same without the division.
Tensor sum_pool(const Tensor& x, PerAxis window, const PoolOptions& options = {});

/// (sum over the window of |x|^p)^(1/p), p >= 1; padding counts as 0. Computed in f32 (f64 in f64) and
/// rounded once: |x|^p by products for whole p up to 1024 (the low bit of p first), else exp(p log|x|); the
/// sum by sum_pool; the root by a sqrt for each factor 2 of p, what remains by exp(log s / p). Nothing is
/// scaled: |x|^p may overflow or vanish. Where a window holds only zeros (or all |x|^p vanish) y is 0 and so
/// are its derivatives of every order, as PyTorch's first; the derivative of |x| at 0 is 0, and for p that is
/// not whole all derivatives of |x|^p there. (PyTorch's lp_pool takes x^p for odd p, without the absolute
/// value; ONNX |x|^p.)
Tensor lp_pool(const Tensor& x, PerAxis window, double p = 2, const PoolOptions& options = {});

/// `output` windows on each spatial axis whatever its extent: the window of output o is the input
/// [floor(o * in / output), ceil((o + 1) * in / output)); neighbours may overlap. As avg_pool and max_pool
/// otherwise.
Tensor adaptive_avg_pool(const Tensor& x, PerAxis output);
Tensor adaptive_max_pool(const Tensor& x, PerAxis output);
MaxPoolResult adaptive_max_pool_with_indices(const Tensor& x, PerAxis output);

/// Mean, maximum or p-norm (as lp_pool) over all spatial axes, of any number: [n, ..., c] to [n, c]. [blocked
/// chain in row-major order of the positions]
Tensor global_avg_pool(const Tensor& x);
Tensor global_max_pool(const Tensor& x);
Tensor global_lp_pool(const Tensor& x, double p = 2);

}  // namespace isobit
