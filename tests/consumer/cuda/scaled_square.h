// An op that isobit does not have.
#pragma once
#include <isobit/tensor.h>

/// y = scale * x * x for an f32 tensor on a CUDA device. Differentiable, to any order.
isobit::Tensor scaled_square(const isobit::Tensor& x, float scale);
