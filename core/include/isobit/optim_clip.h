// Gradient clipping.
#pragma once
#include <isobit/tensor.h>

#include <span>

namespace isobit::optim {

/// Scales all gradients by max_norm / norm when their joint Euclidean norm exceeds max_norm, and returns the
/// norm from before. Each parameter's sum of squares runs by lanes over its flattened gradient in the
/// gradient's type; the sums are added in f64 in the order of the parameters; norm is the square root of
/// that. The factor is rounded to the gradient's type. Parameters without a gradient are left out. Throws
/// Error when max_norm is not positive and finite or the norm is not finite (and then nothing has changed).
double clip_norm(std::span<const Tensor> parameters, double max_norm);
/// Clamps every element of every gradient to [-limit, limit]; NaN stays NaN. Throws Error unless limit >= 0.
void clip_value(std::span<const Tensor> parameters, double limit);

}  // namespace isobit::optim
