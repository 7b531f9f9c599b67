// MaxPool, AveragePool, LpPool, their global kin, MaxUnpool.
//
// ONNX numbers an element over the whole tensor in channels first, isobit within its sample and channel.
#include "cli/onnx/layout.h"

namespace isobit::cli::onnx {
namespace {

std::vector<std::int64_t> kernel_shape(Call& call, int axes) {
  const auto extents = call.integers("kernel_shape");
  if (extents.empty()) call.wrong("kernel_shape is missing");
  return per_axis(call, "kernel_shape", extents, axes, 1);
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

/// Position p of an array of these extents, counted with the first axis fastest.
std::int64_t column_major(std::int64_t p, std::span<const std::int64_t> extents) {
  std::int64_t result = 0;
  std::int64_t stride = 1;
  for (const std::int64_t e : extents) stride *= e;
  for (std::size_t i = extents.size(); i-- > 0; p /= extents[i]) {
    stride /= extents[i];
    result += p % extents[i] * stride;
  }
  return result;
}

std::vector<Tensor> max_pool_node(Call& call) {
  const Tensor x = floating(call, 0);
  const int axes = spatial_axes(call, x);
  const PerAxis window = to_per_axis(kernel_shape(call, axes));
  const PoolOptions options = pool_options(call, axes);
  const bool columns = call.integer("storage_order", 0) != 0;
  if (!call.wants_output(1)) return {channels_first(max_pool(channels_last(call, x), window, options))};
  const MaxPoolResult result = max_pool_with_indices(channels_last(call, x), window, options);
  const Tensor index = channels_first(result.index);
  std::vector<std::int64_t> positions = index.to_vector<std::int64_t>();
  const Shape spatial = x.shape().sub(2, x.rank());
  const auto plane = static_cast<std::size_t>(index.shape().sub(2, index.rank()).numel());
  for (std::size_t i = 0; i < positions.size(); ++i) {
    if (columns) positions[i] = column_major(positions[i], spatial.extents());
    positions[i] += static_cast<std::int64_t>(i / plane) * spatial.numel();
  }
  return {channels_first(result.y), from_vector(positions, index.shape(), call.device())};
}

std::vector<Tensor> average_pool_node(Call& call) {
  const Tensor x = floating(call, 0);
  const int axes = spatial_axes(call, x);
  PoolOptions options = pool_options(call, axes);
  options.count_include_pad = call.integer("count_include_pad", 0) != 0;
  return {channels_first(avg_pool(channels_last(call, x), to_per_axis(kernel_shape(call, axes)), options))};
}

/// p was a real number in operator set 1.
double exponent(Call& call) {
  return call.version() < 2 ? call.real("p", 2) : static_cast<double>(call.integer("p", 2));
}
std::vector<Tensor> lp_pool_node(Call& call) {
  const Tensor x = floating(call, 0);
  const int axes = spatial_axes(call, x);
  const PerAxis window = to_per_axis(kernel_shape(call, axes));
  return {channels_first(lp_pool(channels_last(call, x), window, exponent(call), pool_options(call, axes)))};
}

/// isobit's [n, c] with the spatial axes kept as 1.
Tensor with_spatial_ones(const Tensor& y, int rank) {
  std::vector<std::int64_t> shape(static_cast<std::size_t>(rank), 1);
  shape[0] = y.shape(0);
  shape[1] = y.shape(1);
  return y.reshape(shape);
}
template <Tensor (*pool)(const Tensor&)>
std::vector<Tensor> global_node(Call& call) {
  const Tensor x = floating(call, 0);
  return {with_spatial_ones(pool(channels_last(call, x)), x.rank())};
}
std::vector<Tensor> global_lp_node(Call& call) {
  const Tensor x = floating(call, 0);
  return {with_spatial_ones(global_lp_pool(channels_last(call, x), exponent(call)), x.rank())};
}

/// Indices count in the shape that the window gives; a larger output_shape adds zeros behind it.
std::vector<Tensor> max_unpool_node(Call& call) {
  const Tensor x = floating(call, 0), index = call.input(1);
  const int axes = spatial_axes(call, x);
  if (index.dtype() != DType::i64 || index.shape() != x.shape())
    call.wrong("indices {} {} for {}", index.dtype(), index.shape(), x.shape());
  const auto kernel = kernel_shape(call, axes);
  const auto strides = per_axis(call, "strides", call.integers("strides"), axes, 1);
  const auto sides = pads(call, "pads", axes);
  const auto wanted = call.whole_numbers(2);
  constexpr std::int64_t most = std::int64_t{1} << 24;
  Shape y = x.shape();
  for (int i = 0; i < axes; ++i) {
    const auto at = static_cast<std::size_t>(i);
    for (const std::int64_t n : {kernel[at], strides[at], sides[at].first, sides[at].second, x.shape(i + 2)})
      if (n < 0 || n > most) call.wrong("{} is no extent, stride or pad", n);
    y = y.with(i + 2, (x.shape(i + 2) - 1) * strides[at] + kernel[at] - sides[at].first - sides[at].second);
  }
  const std::int64_t plane = y.sub(2, y.rank()).numel(), inputs = x.shape().sub(2, x.rank()).numel();
  std::vector<std::int64_t> positions = index.to_vector<std::int64_t>();
  for (std::size_t i = 0; i < positions.size(); ++i) {
    const std::int64_t first = static_cast<std::int64_t>(i) / inputs * plane;
    if (positions[i] < first || positions[i] - first >= plane)
      call.wrong("index {} is not in the plane of its sample and channel, [{}, {})", positions[i], first,
                 first + plane);
    positions[i] -= first;
  }
  const Tensor within = from_vector(positions, index.shape(), call.device());
  const Tensor rows = channels_last(call, x);
  Shape last = y.without(1);
  last = last.inserted(last.rank(), y[1]);
  Tensor result = channels_first(max_unpool(rows, channels_last(call, within), last));
  if (wanted.empty()) return {result};
  if (wanted.size() != static_cast<std::size_t>(x.rank()) || wanted[0] != y[0] || wanted[1] != y[1])
    call.wrong("output_shape has {} numbers for {}", wanted.size(), y);
  std::vector<std::pair<std::int64_t, std::int64_t>> behind(wanted.size());
  for (std::size_t i = 2; i < wanted.size(); ++i) {
    const std::int64_t extent = y[static_cast<int>(i)];
    if (wanted[i] < extent) call.wrong("output_shape asks for {}, the window gives {}", wanted[i], extent);
    behind[i].second = wanted[i] - extent;
  }
  return {pad(result, behind)};
}

}  // namespace

std::span<const Operator> pool_operators() {
  static constexpr Operator all[] = {{"MaxPool", max_pool_node},
                                     {"AveragePool", average_pool_node},
                                     {"LpPool", lp_pool_node},
                                     {"GlobalAveragePool", global_node<global_avg_pool>},
                                     {"GlobalMaxPool", global_node<global_max_pool>},
                                     {"GlobalLpPool", global_lp_node},
                                     {"MaxUnpool", max_unpool_node}};
  return all;
}

}  // namespace isobit::cli::onnx
