// Arithmetic on two tensors with NumPy broadcasting. A broadcast operand's gradient is summed down to its
// shape (sum_to), in the order of sum.
#include "core/ops/internal.h"

namespace isobit {

namespace ops {

Tensor run_binary(BinaryOp op, double a, const Tensor& x, const Tensor& y, DType result) {
  const Device device = x.device();
  const Shape operands[] = {x.shape(), y.shape()};
  Shape shape;
  const StridedGeometry g = make_broadcast_geometry(name_of(op), operands, &shape);
  Tensor out = empty(shape, {.dtype = result, .device = device});
  backend(device).binary(op, a, g, view(x), view(y), fresh_view(out));
  return out;
}

namespace {

/// Checked numeric operands, result of their dtype.
Tensor arithmetic(BinaryOp op, const Tensor& a, const Tensor& b) {
  const char* name = name_of(op);
  require_defined(name, {&a, &b});
  require_alike(name, a, b);
  const DType dtype = a.dtype();
  if (dtype == DType::boolean) fail(name, "operands are bool, expected numbers");
  return run_binary(op, 0, a, b, dtype);
}

/// dy where a (first = true) or b was chosen, else 0. A NaN is chosen, the first of two.
Tensor chosen(const Tensor& dy, const Tensor& first_wins, bool first) {
  const Tensor zero = scalar_like(dy, 0);
  return first ? select(first_wins, dy, zero) : select(first_wins, zero, dy);
}

Tensor extreme(BinaryOp op, const Tensor& a, const Tensor& b) {
  Tensor y = arithmetic(op, a, b);
  if (!recording({&a, &b})) return y;
  const bool greatest = op == BinaryOp::maximum;
  return record(name_of(op), {a, b}, y, {a, b}, [greatest](const BackwardContext& c) {
    const Tensor x0 = c.saved(0), x1 = c.saved(1);
    Tensor first_wins;
    {
      NoGrad off;
      first_wins = logical_or(greatest ? ge(x0, x1) : le(x0, x1), is_nan(x0));
    }
    Gradients g(2);
    if (c.needs(0)) g[0] = sum_to(chosen(c.dy(), first_wins, true), x0.shape());
    if (c.needs(1)) g[1] = sum_to(chosen(c.dy(), first_wins, false), x1.shape());
    return g;
  });
}

}  // namespace
}  // namespace ops

using ops::Gradients;

Tensor add(const Tensor& a, const Tensor& b) {
  Tensor y = ops::arithmetic(BinaryOp::add, a, b);
  if (!recording({&a, &b})) return y;
  return record("add", {a, b}, y, {}, [sa = a.shape(), sb = b.shape()](const BackwardContext& c) {
    Gradients g(2);
    if (c.needs(0)) g[0] = sum_to(c.dy(), sa);
    if (c.needs(1)) g[1] = sum_to(c.dy(), sb);
    return g;
  });
}

Tensor sub(const Tensor& a, const Tensor& b) {
  Tensor y = ops::arithmetic(BinaryOp::sub, a, b);
  if (!recording({&a, &b})) return y;
  return record("sub", {a, b}, y, {}, [sa = a.shape(), sb = b.shape()](const BackwardContext& c) {
    Gradients g(2);
    if (c.needs(0)) g[0] = sum_to(c.dy(), sa);
    if (c.needs(1)) g[1] = sum_to(neg(c.dy()), sb);
    return g;
  });
}

Tensor mul(const Tensor& a, const Tensor& b) {
  Tensor y = ops::arithmetic(BinaryOp::mul, a, b);
  if (!recording({&a, &b})) return y;
  return record("mul", {a, b}, y, {a, b}, [](const BackwardContext& c) {
    const Tensor x0 = c.saved(0), x1 = c.saved(1);
    Gradients g(2);
    if (c.needs(0)) g[0] = sum_to(mul(c.dy(), x1), x0.shape());
    if (c.needs(1)) g[1] = sum_to(mul(c.dy(), x0), x1.shape());
    return g;
  });
}

Tensor div(const Tensor& a, const Tensor& b) {
  Tensor y = ops::arithmetic(BinaryOp::div, a, b);
  if (!recording({&a, &b})) return y;
  return record("div", {a, b}, y, {b, y}, [sa = a.shape()](const BackwardContext& c) {
    const Tensor divisor = c.saved(0);
    Gradients g(2);
    if (c.needs(0)) g[0] = sum_to(div(c.dy(), divisor), sa);
    if (c.needs(1)) g[1] = sum_to(neg(div(mul(c.dy(), c.saved(1)), divisor)), divisor.shape());
    return g;
  });
}

Tensor maximum(const Tensor& a, const Tensor& b) {
  return ops::extreme(BinaryOp::maximum, a, b);
}
Tensor minimum(const Tensor& a, const Tensor& b) {
  return ops::extreme(BinaryOp::minimum, a, b);
}

}  // namespace isobit
