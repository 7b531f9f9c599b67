// Softmax and LogSoftmax.
#include "cli/onnx/layout.h"

namespace isobit::cli::onnx {
namespace {

/// From operator set 13 on over one axis; before, over all axes from one on, as if they were one.
template <Tensor (*rows)(const Tensor&)>
std::vector<Tensor> row_node(Call& call) {
  const Tensor x = floating(call, 0);
  const bool one_axis = call.version() >= 13;
  const int axis = axis_in(call, call.integer("axis", one_axis ? -1 : 1), x.rank());
  if (one_axis) return {axis_from_last(rows(axis_to_last(x, axis)), axis)};
  const std::int64_t count = x.shape().sub(0, axis).numel(), length = x.shape().sub(axis, x.rank()).numel();
  return {rows(x.reshape({count, length})).reshape(x.shape())};
}

}  // namespace

std::span<const Operator> row_operators() {
  static constexpr Operator all[] = {{"Softmax", row_node<softmax>}, {"LogSoftmax", row_node<log_softmax>}};
  return all;
}

}  // namespace isobit::cli::onnx
