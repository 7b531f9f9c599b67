// Comparisons, logic on bools, and choice. Only select carries a gradient.
#include "core/ops/internal.h"

namespace isobit {

namespace ops {
namespace {

Tensor comparison(BinaryOp op, const Tensor& a, const Tensor& b) {
  const char* name = name_of(op);
  require_defined(name, {&a, &b});
  require_alike(name, a, b);
  if (a.dtype() == DType::boolean) fail(name, "operands are bool, expected numbers (use logical_xor)");
  return run_binary(op, 0, a, b, DType::boolean);
}

void require_bool(const char* name, const Tensor& t) {
  if (t.dtype() != DType::boolean) fail(name, "operand is {}, expected bool", t.dtype());
}

Tensor logic(BinaryOp op, const Tensor& a, const Tensor& b) {
  const char* name = name_of(op);
  require_defined(name, {&a, &b});
  require_alike(name, a, b);
  require_bool(name, a);
  return run_binary(op, 0, a, b, DType::boolean);
}

}  // namespace
}  // namespace ops

Tensor eq(const Tensor& a, const Tensor& b) {
  return ops::comparison(BinaryOp::eq, a, b);
}
Tensor ne(const Tensor& a, const Tensor& b) {
  return ops::comparison(BinaryOp::ne, a, b);
}
Tensor lt(const Tensor& a, const Tensor& b) {
  return ops::comparison(BinaryOp::lt, a, b);
}
Tensor le(const Tensor& a, const Tensor& b) {
  return ops::comparison(BinaryOp::le, a, b);
}
Tensor gt(const Tensor& a, const Tensor& b) {
  return ops::comparison(BinaryOp::gt, a, b);
}
Tensor ge(const Tensor& a, const Tensor& b) {
  return ops::comparison(BinaryOp::ge, a, b);
}
Tensor logical_and(const Tensor& a, const Tensor& b) {
  return ops::logic(BinaryOp::logical_and, a, b);
}
Tensor logical_or(const Tensor& a, const Tensor& b) {
  return ops::logic(BinaryOp::logical_or, a, b);
}
Tensor logical_xor(const Tensor& a, const Tensor& b) {
  return ops::logic(BinaryOp::logical_xor, a, b);
}

Tensor logical_not(const Tensor& a) {
  ops::require_defined("logical_not", {&a});
  ops::require_bool("logical_not", a);
  return ops::run_unary(UnaryOp::logical_not, {}, a, DType::boolean);
}

Tensor is_nan(const Tensor& x) {
  ops::require_defined("is_nan", {&x});
  if (!is_floating(x.dtype())) fail("is_nan", "x is {}, expected a floating dtype", x.dtype());
  return ops::run_unary(UnaryOp::is_nan, {}, x, DType::boolean);
}

Tensor select(const Tensor& condition, const Tensor& a, const Tensor& b) {
  ops::require_defined("select", {&condition, &a, &b});
  ops::require_bool("select", condition);
  ops::require_alike("select", a, b);
  const Device device = a.device();
  if (condition.device() != device)
    fail("select", "condition lives on {}, the operands on {}, expected one device", condition.device(),
         device);
  const Shape operands[] = {condition.shape(), a.shape(), b.shape()};
  Shape shape;
  const StridedGeometry g = make_broadcast_geometry("select", operands, &shape);
  Tensor y = empty(shape, {.dtype = a.dtype(), .device = device});
  backend(device).select(g, view(condition), view(a), view(b), fresh_view(y));
  if (!recording({&a, &b})) return y;
  return record("select", {a, b}, y, {condition}, [sa = a.shape(), sb = b.shape()](const BackwardContext& c) {
    const Tensor chosen = c.saved(0), zero = ops::scalar_like(c.dy(), 0);
    ops::Gradients g(2);
    if (c.needs(0)) g[0] = sum_to(select(chosen, c.dy(), zero), sa);
    if (c.needs(1)) g[1] = sum_to(select(chosen, zero, c.dy()), sb);
    return g;
  });
}

}  // namespace isobit
