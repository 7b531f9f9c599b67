// MaxPool, AveragePool, LpPool, their global kin, and MaxUnpool.
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

TensorOptions whole_on(const Tensor& x) {
  return {.dtype = DType::i64, .device = x.device()};
}
Tensor whole(const Tensor& like, std::int64_t value) {
  return full({}, value, whole_on(like));
}

/// Where channel c of sample n begins in a tensor [n, c, positions]: (n * channels + c) * positions, for
/// x[n, ..., c].
Tensor plane_starts(const Tensor& x, std::int64_t positions) {
  const std::int64_t channels = x.shape(-1);
  std::vector<std::int64_t> ones(static_cast<std::size_t>(x.rank()), 1);
  ones[0] = x.shape(0);
  const Tensor samples =
      arange(x.shape(0), 0, static_cast<double>(channels * positions), whole_on(x)).reshape(ones);
  return add(samples, arange(channels, 0, static_cast<double>(positions), whole_on(x)));
}

std::int64_t positions_of(const Tensor& x) {
  std::int64_t positions = 1;
  for (int i = 1; i + 1 < x.rank(); ++i) positions *= x.shape(i);
  return positions;
}

/// Row-major positions in x[n, ..., c] as column-major ones: the first spatial axis runs fastest.
Tensor column_major(const Tensor& x, Tensor position) {
  Tensor result = whole(x, 0);
  std::int64_t step = positions_of(x);
  for (int i = x.rank() - 2; i >= 1; --i) {
    const Tensor extent = whole(x, x.shape(i)), rest = div(position, extent);
    step /= x.shape(i);
    result = add(result, mul(sub(position, mul(rest, extent)), whole(x, step)));
    position = rest;
  }
  return result;
}

std::vector<Tensor> max_pool_node(Call& call) {
  const Tensor x = floating(call, 0);
  const int axes = spatial_axes(call, x);
  const PoolOptions options = pool_options(call, axes);
  const std::int64_t order = call.integer("storage_order", 0);
  if (order != 0 && order != 1) call.wrong("storage_order is {}, expected 0 or 1", order);
  const Tensor last = channels_last(call, x);
  const MaxPoolResult r = max_pool_with_indices(last, kernel(call, axes), options);
  if (!call.wants_output(1)) return {channels_first(r.y)};
  const Tensor position = order == 0 ? r.index : column_major(last, r.index);
  return {channels_first(r.y), channels_first(add(position, plane_starts(last, positions_of(last))))};
}

std::vector<Tensor> average_pool_node(Call& call) {
  const Tensor x = floating(call, 0);
  const int axes = spatial_axes(call, x);
  PoolOptions options = pool_options(call, axes);
  options.count_include_pad = call.integer("count_include_pad", 0) != 0;
  return {channels_first(avg_pool(channels_last(call, x), kernel(call, axes), options))};
}

/// isobit's [n, c] with the spatial axes of x kept as 1.
Tensor global_of(const Tensor& x, const Tensor& y) {
  std::vector<std::int64_t> shape(static_cast<std::size_t>(x.rank()), 1);
  shape[0] = y.shape(0);
  shape[1] = y.shape(1);
  return y.reshape(shape);
}

template <Tensor (*pool)(const Tensor&)>
std::vector<Tensor> global_node(Call& call) {
  const Tensor x = floating(call, 0);
  return {global_of(x, pool(channels_last(call, x)))};
}

/// The exponent was a real number in the first version of the operators.
double power(Call& call) {
  return call.version() < 2 ? call.real("p", 2) : static_cast<double>(call.integer("p", 2));
}

std::vector<Tensor> lp_pool_node(Call& call) {
  const Tensor x = floating(call, 0);
  const int axes = spatial_axes(call, x);
  const PoolOptions options = pool_options(call, axes);
  const double p = power(call);
  return {channels_first(lp_pool(channels_last(call, x), kernel(call, axes), p, options))};
}

std::vector<Tensor> global_lp_node(Call& call) {
  const Tensor x = floating(call, 0);
  return {global_of(x, global_lp_pool(channels_last(call, x), power(call)))};
}

/// The indices are those of a MaxPool whose input has the extents that kernel, strides and pads come to; a
/// larger output_shape adds zeros behind them.
std::vector<Tensor> max_unpool_node(Call& call) {
  const Tensor x = channels_last(call, floating(call, 0)), index = channels_last(call, call.input(1));
  const int axes = spatial_axes(call, x);
  const auto extents = per_axis(call, "kernel_shape", call.integers("kernel_shape"), axes, 1);
  const auto strides = per_axis(call, "strides", call.integers("strides"), axes, 1);
  const auto sides = pads(call, "pads", axes);
  std::vector<std::int64_t> shape{x.shape(0)};
  for (std::size_t i = 0; i < extents.size(); ++i)
    shape.push_back((x.shape(static_cast<int>(i) + 1) - 1) * strides[i] - sides[i].first - sides[i].second +
                    extents[i]);
  shape.push_back(x.shape(-1));
  const Shape unpooled{std::span<const std::int64_t>(shape)};
  std::int64_t positions = 1;
  for (int i = 1; i <= axes; ++i) positions *= unpooled[i];
  const Tensor y = max_unpool(x, sub(index, plane_starts(x, positions)), unpooled);
  if (call.inputs() < 3) return {channels_first(y)};
  const std::vector<std::int64_t> wanted = call.whole_numbers(2);
  if (wanted.size() != shape.size() || wanted[0] != y.shape(0) || wanted[1] != y.shape(-1))
    call.wrong("output_shape has {} numbers, expected [n, c, ...] of x {}", wanted.size(), x.shape());
  std::vector<std::pair<std::int64_t, std::int64_t>> widths(shape.size());
  for (std::size_t i = 2; i < wanted.size(); ++i) widths[i - 1].second = wanted[i] - shape[i - 1];
  return {channels_first(pad(y, widths))};
}

}  // namespace

std::span<const Operator> pool_operators() {
  static constexpr Operator all[] = {{"MaxPool", max_pool_node},
                                     {"AveragePool", average_pool_node},
                                     {"GlobalAveragePool", global_node<global_avg_pool>},
                                     {"GlobalMaxPool", global_node<global_max_pool>},
                                     {"LpPool", lp_pool_node},
                                     {"GlobalLpPool", global_lp_node},
                                     {"MaxUnpool", max_unpool_node}};
  return all;
}

}  // namespace isobit::cli::onnx
