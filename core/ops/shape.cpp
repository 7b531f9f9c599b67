// Ops that move elements and compute nothing.
#include "core/ops/internal.h"

namespace isobit {

namespace ops {
namespace {

Tensor pad_recorded(const PadGeometry& g, const Tensor& x, const Shape& y_shape) {
  Tensor y = empty_as(x, y_shape);
  backend(x.device()).pad(g, view(x), fresh_view(y));
  if (!recording({&x})) return y;
  return record("pad", {x}, y, {}, [g, from = x.shape()](const BackwardContext& c) {
    return Gradients{pad_backward_recorded(g, c.dy(), from)};
  });
}

}  // namespace

Tensor pad_backward_recorded(const PadGeometry& g, const Tensor& dy, const Shape& x_shape) {
  Tensor dx = empty_as(dy, x_shape);
  backend(dy.device()).pad_backward(g, view(dy), fresh_view(dx));
  if (!recording({&dy})) return dx;
  return record("pad_backward", {dy}, dx, {}, [g, to = dy.shape()](const BackwardContext& c) {
    PadGeometry zeros = g;
    zeros.value = 0;
    return Gradients{pad_recorded(zeros, c.dy(), to)};
  });
}

}  // namespace ops

Tensor broadcast_to(const Tensor& x, const Shape& shape) {
  ops::require_defined("broadcast_to", {&x});
  if (x.shape() == shape) return x;
  // The target takes part as an operand of its own, so that geometry refuses what does not fit.
  const Shape operands[] = {x.shape(), shape};
  Shape common;
  const StridedGeometry g = make_broadcast_geometry("broadcast_to", operands, &common);
  if (!(common == shape)) fail("broadcast_to", "x {} does not broadcast to {}", x.shape(), shape);
  Tensor y = ops::empty_as(x, shape);
  backend(x.device()).strided_copy(g, view(x), fresh_view(y));
  if (!recording({&x})) return y;
  return record("broadcast_to", {x}, y, {}, [from = x.shape()](const BackwardContext& c) {
    return ops::Gradients{sum_to(c.dy(), from)};
  });
}

Tensor permute(const Tensor& x, std::span<const int> axes) {
  ops::require_defined("permute", {&x});
  const int rank = x.rank();
  if (axes.size() != static_cast<std::size_t>(rank))
    fail("permute", "{} axes for x {}, expected {}", axes.size(), x.shape(), rank);
  std::array<int, Shape::max_rank> order{}, inverse{};
  std::array<bool, Shape::max_rank> seen{};
  for (int i = 0; i < rank; ++i) {
    order[i] = normalized_axis("permute", axes[static_cast<std::size_t>(i)], rank);
    if (seen[order[i]]) fail("permute", "axis {} is given twice (x {})", order[i], x.shape());
    seen[order[i]] = true;
    inverse[order[i]] = i;
  }
  Shape shape;
  const StridedGeometry g =
      make_permute_geometry(x.shape(), std::span<const int>(order.data(), axes.size()), &shape);
  Tensor y = ops::empty_as(x, shape);
  backend(x.device()).strided_copy(g, view(x), fresh_view(y));
  if (!recording({&x})) return y;
  return record("permute", {x}, y, {}, [inverse, rank](const BackwardContext& c) {
    return ops::Gradients{
        permute(c.dy(), std::span<const int>(inverse.data(), static_cast<std::size_t>(rank)))};
  });
}

namespace {

/// Axis `from` moved to position `to`, the others in their order.
Tensor move_axis(const Tensor& x, int from, int to) {
  std::array<int, Shape::max_rank> axes{};
  int next = 0;
  for (int i = 0; i < x.rank(); ++i) {
    if (i == to) {
      axes[i] = from;
      continue;
    }
    if (next == from) ++next;
    axes[i] = next++;
  }
  return permute(x, std::span<const int>(axes.data(), static_cast<std::size_t>(x.rank())));
}

}  // namespace

Tensor transpose(const Tensor& x) {
  ops::require_defined("transpose", {&x});
  if (x.rank() < 2) fail("transpose", "x {} has {} axes, expected at least 2", x.shape(), x.rank());
  return move_axis(x, x.rank() - 1, x.rank() - 2);
}

Tensor to_nchw(const Tensor& x) {
  ops::require_defined("to_nchw", {&x});
  if (x.rank() < 2) fail("to_nchw", "x {} has {} axes, expected [n, ..., c]", x.shape(), x.rank());
  return move_axis(x, x.rank() - 1, 1);
}

Tensor from_nchw(const Tensor& x) {
  ops::require_defined("from_nchw", {&x});
  if (x.rank() < 2) fail("from_nchw", "x {} has {} axes, expected [n, c, ...]", x.shape(), x.rank());
  return move_axis(x, 1, x.rank() - 1);
}

Tensor pad(const Tensor& x, std::span<const std::pair<std::int64_t, std::int64_t>> widths, double value) {
  ops::require_defined("pad", {&x});
  const PadMode mode = PadMode::constant;
  return pad(x, widths, std::span(&mode, 1), value);
}

Tensor pad(const Tensor& x, std::span<const std::pair<std::int64_t, std::int64_t>> widths,
           std::span<const PadMode> modes, double value) {
  ops::require_defined("pad", {&x});
  Shape shape;
  PadGeometry g = make_pad_geometry("pad", x.shape(), widths, modes, &shape);
  g.value = value;
  return ops::pad_recorded(g, x, shape);
}

Tensor flip(const Tensor& x, std::span<const int> axes) {
  ops::require_defined("flip", {&x});
  const ops::AxisList list = ops::make_axes("flip", x.shape(), axes);
  if (axes.empty() || x.numel() == 0) return x;
  StridedGeometry g;
  g.rank = std::max(x.rank(), 1);
  std::int64_t stride = 1;
  for (int i = x.rank() - 1; i >= 0; --i) {
    const std::int64_t extent = x.shape().begin()[i];
    g.extent[i] = extent;
    g.stride[0][i] = list.mask[i] ? -stride : stride;
    if (list.mask[i]) g.offset[0] += (extent - 1) * stride;
    stride *= extent;
  }
  Tensor y = ops::empty_as(x, x.shape());
  backend(x.device()).strided_copy(g, view(x), fresh_view(y));
  if (!recording({&x})) return y;
  return record("flip", {x}, y, {},
                [reversed = std::vector<int>(axes.begin(), axes.end())](const BackwardContext& c) {
                  return ops::Gradients{flip(c.dy(), reversed)};
                });
}

Tensor concat(std::span<const Tensor> parts, int axis) {
  if (parts.empty()) fail("concat", "no tensors given, expected at least one");
  for (const Tensor& t : parts) ops::require_defined("concat", {&t});
  const Tensor& first = parts[0];
  const int along = normalized_axis("concat", axis, first.rank());
  bool wants_gradient = false;
  std::int64_t extent = 0;
  for (const Tensor& t : parts) {
    ops::require_alike("concat", first, t);
    if (t.rank() != first.rank() || !(t.shape().with(along, 0) == first.shape().with(along, 0)))
      fail("concat", "shapes {} and {} differ outside axis {}", first.shape(), t.shape(), along);
    if (__builtin_add_overflow(extent, t.shape(along), &extent))
      fail("concat", "extents along axis {} do not fit 63 bits", along);
    wants_gradient = wants_gradient || recording({&t});
  }
  const Shape shape = first.shape().with(along, extent);
  Tensor y;
  std::int64_t outer = 1;
  for (int i = 0; i < along; ++i) outer *= first.shape().begin()[i];
  if (outer == 1) {
    y = ops::empty_as(first, shape);
    Backend& device = backend(first.device());
    char* to = static_cast<char*>(fresh_view(y).data);
    for (const Tensor& t : parts) {
      if (t.bytes() == 0) continue;
      device.copy(to, t.raw(), t.bytes());
      to += t.bytes();
    }
  } else {
    // One above the other with the axis in front, then back: transposes are one kernel call each, rows would
    // be one copy each.
    NoGrad off;
    std::vector<Tensor> moved;
    moved.reserve(parts.size());
    for (const Tensor& t : parts) moved.push_back(move_axis(t, along, 0));
    y = move_axis(concat(moved, 0), 0, along);
  }
  if (!wants_gradient) return y;
  std::vector<std::int64_t> extents;
  for (const Tensor& t : parts) extents.push_back(t.shape(along));
  return record("concat", parts, y, {}, [extents, along](const BackwardContext& c) {
    ops::Gradients g(extents.size());
    std::array<std::pair<std::int64_t, std::int64_t>, Shape::max_rank> crop{};
    const std::int64_t total = c.dy().shape(along);
    std::int64_t begin = 0;
    for (std::size_t i = 0; i < extents.size(); begin += extents[i++]) {
      if (!c.needs(static_cast<int>(i))) continue;
      crop[along] = {-begin, begin + extents[i] - total};
      g[i] = pad(c.dy(), std::span(crop).first(static_cast<std::size_t>(c.dy().rank())));
    }
    return g;
  });
}

Tensor stack(std::span<const Tensor> parts, int axis) {
  if (parts.empty()) fail("stack", "no tensors given, expected at least one");
  ops::require_defined("stack", {&parts[0]});
  const Shape& shape = parts[0].shape();
  const int along = normalized_axis("stack", axis, shape.rank() + 1);
  std::vector<Tensor> rows;
  rows.reserve(parts.size());
  for (const Tensor& t : parts) {
    ops::require_defined("stack", {&t});
    if (!(t.shape() == shape)) fail("stack", "shapes {} and {} differ", shape, t.shape());
    rows.push_back(t.reshape(shape.inserted(along, 1)));
  }
  return concat(rows, along);
}

Tensor flatten(const Tensor& x, int from_axis) {
  ops::require_defined("flatten", {&x});
  const int rank = x.rank();
  // from_axis == rank keeps every axis and adds one of extent 1: a batch of numbers becomes [n, 1].
  const int from = from_axis == rank ? rank : normalized_axis("flatten", from_axis, rank);
  std::array<std::int64_t, Shape::max_rank + 1> extents{};
  std::int64_t rest = 1;
  for (int i = 0; i < rank; ++i)
    (i < from ? extents[i] : rest) = (i < from ? 1 : rest) * x.shape().begin()[i];
  extents[from] = rest;
  return x.reshape(std::span<const std::int64_t>(extents.data(), static_cast<std::size_t>(from) + 1));
}

}  // namespace isobit
