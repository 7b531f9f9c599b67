// MaxPool, AveragePool, and their global kin.
#include "cli/onnx/layout.h"

namespace isobit::cli::onnx {
namespace {

PerAxis kernel(Call& call, int axes) {
  const auto extents = call.integers("kernel_shape");
  if (extents.empty()) call.wrong("kernel_shape is missing");
  return to_per_axis(per_axis(call, "kernel_shape", extents, axes, 1));
}

PoolOptions pool_options(Call& call, int axes) {
  const Window at = window(call, axes);
  PoolOptions options;
  options.stride = at.stride;
  options.dilation = at.dilation;
  options.padding = at.padding;
  options.ceil_mode = call.integer("ceil_mode", 0) != 0;
  return options;
}

std::vector<Tensor> max_pool_node(Call& call) {
  const Tensor x = floating(call, 0);
  const int axes = spatial_axes(call, x);
  const PoolOptions options = pool_options(call, axes);
  call.ignore({"storage_order"});  // of the indices
  return {channels_first(max_pool(channels_last(call, x), kernel(call, axes), options))};
}

std::vector<Tensor> average_pool_node(Call& call) {
  const Tensor x = floating(call, 0);
  const int axes = spatial_axes(call, x);
  PoolOptions options = pool_options(call, axes);
  options.count_include_pad = call.integer("count_include_pad", 0) != 0;
  return {channels_first(avg_pool(channels_last(call, x), kernel(call, axes), options))};
}

/// isobit's [n, c] with the spatial axes kept as 1.
template <Tensor (*pool)(const Tensor&)>
std::vector<Tensor> global_node(Call& call) {
  const Tensor x = floating(call, 0);
  std::vector<std::int64_t> shape(static_cast<std::size_t>(x.rank()), 1);
  const Tensor y = pool(channels_last(call, x));
  shape[0] = y.shape(0);
  shape[1] = y.shape(1);
  return {y.reshape(shape)};
}

std::vector<Tensor> nothing_yet(Call& call) {
  call.lacks("form yet");
}

}  // namespace

std::span<const Operator> pool_operators() {
  static constexpr Operator all[] = {{"MaxPool", max_pool_node},
                                     {"AveragePool", average_pool_node},
                                     {"GlobalAveragePool", global_node<global_avg_pool>},
                                     {"GlobalMaxPool", global_node<global_max_pool>},
                                     {"LpPool", nothing_yet},
                                     {"GlobalLpPool", nothing_yet},
                                     {"MaxUnpool", nothing_yet}};
  return all;
}

}  // namespace isobit::cli::onnx
