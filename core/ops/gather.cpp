// Rows by index: gather and its adjoint scatter_add, and one_hot. Indices are checked before any kernel sees
// them.
#include "core/ops/internal.h"

namespace isobit {

namespace ops {
namespace {

std::int64_t row_size(const Shape& x, int from) {
  std::int64_t size = 1;
  for (int i = from; i < x.rank(); ++i) size *= x.begin()[i];
  return size;
}

/// index.shape followed by the axes of `rows` from `from` on.
Shape joined(const Shape& front, const Shape& rows, int from, const char* op) {
  std::array<std::int64_t, 2 * Shape::max_rank> extents{};
  std::size_t rank = 0;
  for (std::int64_t e : front) extents[rank++] = e;
  for (int i = from; i < rows.rank(); ++i) extents[rank++] = rows.begin()[i];
  if (rank > Shape::max_rank)
    fail(op, "index {} and rows {} give {} axes, at most {} are possible", front, rows, rank,
         int{Shape::max_rank});
  return Shape(std::span<const std::int64_t>(extents.data(), rank));
}

void require_index(const char* op, const Tensor& x, const Tensor& index, std::int64_t limit) {
  if (x.device() != index.device())
    fail(op, "x lives on {}, index on {}, expected one device", x.device(), index.device());
  require_indices(op, "index", index, limit);
}

}  // namespace

Tensor gather_recorded(const Tensor& x, const Tensor& index, const Shape& y_shape) {
  Tensor y = empty_as(x, y_shape);
  backend(x.device()).gather_rows(view(x), view(index), row_size(x.shape(), 1), fresh_view(y));
  if (!recording({&x})) return y;
  return record("gather", {x}, y, {index}, [from = x.shape()](const BackwardContext& c) {
    return Gradients{scatter_add_recorded(c.dy(), c.saved(0), from)};
  });
}

Tensor scatter_add_recorded(const Tensor& y, const Tensor& index, const Shape& x_shape) {
  Tensor x = empty_as(y, x_shape);
  backend(y.device())
      .scatter_add_rows(view(y), view(index), x_shape.begin()[0], row_size(x_shape, 1), fresh_view(x));
  if (!recording({&y})) return x;
  return record("scatter_add", {y}, x, {index}, [from = y.shape()](const BackwardContext& c) {
    return Gradients{gather_recorded(c.dy(), c.saved(0), from)};
  });
}

}  // namespace ops

Tensor gather(const Tensor& x, const Tensor& index) {
  ops::require_defined("gather", {&x, &index});
  if (x.rank() < 1) fail("gather", "x is a scalar, expected at least one axis");
  ops::require_index("gather", x, index, x.shape(0));
  return ops::gather_recorded(x, index, ops::joined(index.shape(), x.shape(), 1, "gather"));
}

Tensor scatter_add(const Tensor& y, const Tensor& index, std::int64_t rows) {
  ops::require_defined("scatter_add", {&y, &index});
  if (!is_floating(y.dtype())) fail("scatter_add", "y is {}, expected a floating dtype", y.dtype());
  if (rows < 0) fail("scatter_add", "{} rows, expected at least 0", rows);
  const int lead = index.rank();
  if (y.rank() < lead || !(y.shape().sub(0, lead) == index.shape()))
    fail("scatter_add", "y {} does not begin with the shape of index {}", y.shape(), index.shape());
  ops::require_index("scatter_add", y, index, rows);
  return ops::scatter_add_recorded(y, index, ops::joined(Shape{rows}, y.shape(), lead, "scatter_add"));
}

Tensor one_hot(const Tensor& labels, std::int64_t classes, double on, double off, DType dtype) {
  ops::require_defined("one_hot", {&labels});
  if (classes < 1) fail("one_hot", "{} classes, expected at least 1", classes);
  ops::require_indices("one_hot", "label", labels, classes);
  const Tensor result =
      empty(labels.shape().inserted(labels.rank(), classes), {.dtype = dtype, .device = labels.device()});
  Tensor out = result;
  backend(labels.device()).one_hot(view(labels), classes, on, off, fresh_view(out));
  return out;
}

}  // namespace isobit
