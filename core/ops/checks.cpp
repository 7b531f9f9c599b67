// Checks and small helpers that every op family uses.
#include "core/graph_recording.h"
#include "core/ops/internal.h"

#include <cmath>

namespace isobit::ops {

void require_defined(const char* op, std::initializer_list<const Tensor*> tensors) {
  int position = 0;
  for (const Tensor* t : tensors) {
    if (!t->defined()) fail(op, "operand {} is an undefined tensor", position);
    ++position;
  }
}

void require_alike(const char* op, const Tensor& a, const Tensor& b) {
  if (a.device() != b.device())
    fail(op, "operands live on {} and {}, expected one device (use to(device))", a.device(), b.device());
  if (a.dtype() != b.dtype())
    fail(op, "operands are {} and {}, expected one dtype (use to(dtype))", a.dtype(), b.dtype());
}

void require_shape(const char* op, const char* what, const Tensor& t, const Shape& expected) {
  if (!(t.shape() == expected)) fail(op, "{} has shape {}, expected {}", what, t.shape(), expected);
}

void require_finite(const char* op, const char* what, double value) {
  if (!std::isfinite(value)) fail(op, "{} is {}, expected a finite number", what, value);
}

namespace {

void look_at_indices(const char* op, const char* what, const Tensor& index, std::int64_t limit) {
  const std::int64_t count = index.numel();
  constexpr int kAll[] = {0};
  const ReduceGeometry g = make_reduce_geometry(Shape{count}, kAll);
  Backend& device = backend(index.device());
  for (const ReduceOp extreme : {ReduceOp::min, ReduceOp::max}) {
    Tensor value = empty_as(index, {}), position = empty_as(index, {});
    device.reduce_extreme(extreme, g, view(index), fresh_view(value), fresh_view(position));
    std::int64_t found = 0, where = 0;
    value.copy_to_host(&found);
    if (found >= 0 && found < limit) continue;
    position.copy_to_host(&where);
    fail(op, "{} {} at position {} is outside [0, {})", what, found, where, limit);
  }
}

}  // namespace

void require_indices(const char* op, const char* what, const Tensor& index, std::int64_t limit) {
  if (index.dtype() != DType::i64) fail(op, "{} is {}, expected i64", what, index.dtype());
  if (index.numel() == 0) return;
  GraphRecording* const recording = GraphRecording::current();
  if (recording == nullptr) [[likely]]
    return look_at_indices(op, what, index, limit);
  if (recording->computes(index))
    fail(op,
         "{} is computed within the step that is recorded as a graph, where nobody can look at it before it "
         "is used: compute it outside and pass it in",
         what);
  recording->touch(index, false);
  const GraphRecording::Pause pause(*recording);
  look_at_indices(op, what, index, limit);
  recording->before_replay_check(
      [=, what = std::string(what)] { look_at_indices(op, what.c_str(), index, limit); });
}

AxisList make_axes(const char* op, const Shape& x, std::span<const int> axes) {
  AxisList result;
  if (axes.empty()) {
    result.count = x.rank();
    for (int i = 0; i < x.rank(); ++i) {
      result.axis[i] = i;
      result.mask[i] = true;
    }
    return result;
  }
  for (int axis : axes) {
    const int i = normalized_axis(op, axis, x.rank());
    if (result.mask[i]) fail(op, "axis {} is given twice (x {})", i, x);
    result.mask[i] = true;
  }
  for (int i = 0; i < x.rank(); ++i)
    if (result.mask[i]) result.axis[result.count++] = i;
  return result;
}

Shape reduced_shape(const Shape& x, const AxisList& axes, bool keep) {
  std::array<std::int64_t, Shape::max_rank> extents{};
  std::size_t rank = 0;
  for (int i = 0; i < x.rank(); ++i) {
    if (!axes.mask[i])
      extents[rank++] = x.begin()[i];
    else if (keep)
      extents[rank++] = 1;
  }
  return Shape(std::span<const std::int64_t>(extents.data(), rank));
}

Tensor scalar_like(const Tensor& t, double value) {
  Tensor result = empty_as(t, {});
  backend(t.device()).fill(fresh_view(result), value);
  return result;
}

}  // namespace isobit::ops
