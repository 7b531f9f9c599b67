// Gradient clipping by joint norm and by value.
#include <isobit/autograd.h>
#include <isobit/ops.h>
#include <isobit/optim_clip.h>

#include <cmath>

namespace isobit::optim {

double clip_norm(std::span<const Tensor> parameters, double max_norm) {
  if (!(max_norm > 0) || max_norm - max_norm != 0)
    fail("clip_norm", "max_norm is {}, it must be positive and finite", max_norm);
  NoGrad no_grad;
  double total = 0;
  for (const Tensor& parameter : parameters) {
    const Tensor g = parameter.grad();
    if (!g.defined()) continue;
    // One row, reduced over its last axis: the lanes tree over the flattened gradient.
    total += sum(square(g.reshape({1, g.numel()})), {1}).item();
  }
  const double norm = std::sqrt(total);
  if (norm - norm != 0)
    fail("clip_norm", "the norm of the gradients is {}: the loss has diverged, lower the learning rate",
         norm);
  if (norm > max_norm)
    for (Tensor parameter : parameters) {
      const Tensor g = parameter.grad();
      if (g.defined()) parameter.set_grad(mul_scalar(g, max_norm / norm));
    }
  return norm;
}

void clip_value(std::span<const Tensor> parameters, double limit) {
  if (!(limit >= 0)) fail("clip_value", "the limit is {}, it must not be negative", limit);
  NoGrad no_grad;
  for (Tensor parameter : parameters) {
    const Tensor g = parameter.grad();
    if (!g.defined()) continue;
    const TensorOptions options{g.dtype(), g.device()};
    parameter.set_grad(minimum(maximum(g, full(Shape{}, -limit, options)), full(Shape{}, limit, options)));
  }
}

}  // namespace isobit::optim
