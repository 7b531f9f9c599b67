// max_unpool: element (n, o, c) of x goes to row (n, index[n, o, c], c) of y taken as rows of one element, by
// the ops of rows, so its gradient reads the same rows.
#include "core/ops/internal.h"

namespace isobit {

Tensor max_unpool(const Tensor& x, const Tensor& index, const Shape& y_shape) {
  constexpr const char* kOp = "max_unpool";
  ops::require_pool_input(kOp, x);
  ops::require_defined(kOp, {&index});
  const int rank = x.rank();
  if (rank < 3) fail(kOp, "x {} has {} axes, expected [n, ..., c] with spatial axes", x.shape(), rank);
  ops::require_shape(kOp, "index", index, x.shape());
  if (x.device() != index.device())
    fail(kOp, "x lives on {}, index on {}, expected one device", x.device(), index.device());
  if (y_shape.rank() != rank || y_shape[0] != x.shape(0) || y_shape[-1] != x.shape(-1))
    fail(kOp, "output shape {} does not fit x {}: expected {} axes, of them the first {} and the last {}",
         y_shape, x.shape(), rank, x.shape(0), x.shape(-1));
  const std::int64_t channels = x.shape(-1);
  std::int64_t positions = 1;
  for (int i = 1; i + 1 < rank; ++i) positions *= y_shape[i];
  ops::require_indices(kOp, "index", index, positions);
  const TensorOptions whole{.dtype = DType::i64, .device = x.device()};
  std::array<std::int64_t, Shape::max_rank> ones{};
  ones.fill(1);
  ones[0] = x.shape(0);
  const Shape per_sample(std::span<const std::int64_t>(ones.data(), static_cast<std::size_t>(rank)));
  const auto sample = static_cast<double>(positions * channels);
  const Tensor first = add(arange(x.shape(0), 0, sample, whole).reshape(per_sample),
                           arange(channels, 0, 1, whole));  // row of (n, position 0, c)
  const Tensor row = add(mul(index, full({}, channels, whole)), first);
  const std::int64_t count = x.numel();
  return ops::scatter_add_recorded(x.reshape({count}), row.reshape({count}), Shape{y_shape.numel()})
      .reshape(y_shape);
}

}  // namespace isobit
