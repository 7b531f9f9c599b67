// Conv and ConvTranspose.
#include "cli/onnx/layout.h"

namespace isobit::cli::onnx {
namespace {

using Sides = std::vector<std::pair<std::int64_t, std::int64_t>>;

/// kernel_shape only repeats what the filters' shape says.
void check_kernel(Call& call, const Tensor& w, int axes) {
  if (w.rank() != axes + 2) call.wrong("filters {} for {} spatial axes", w.shape(), axes);
  const auto kernel = call.integers("kernel_shape");
  if (kernel.empty()) return;
  if (kernel != std::vector<std::int64_t>(w.shape().begin() + 2, w.shape().end()))
    call.wrong("kernel_shape {} for filters {}", Shape(kernel), w.shape());
}

std::vector<Tensor> conv_node(Call& call) {
  const Tensor x = floating(call, 0), w = floating(call, 1), b = call.optional_input(2);
  const int axes = spatial_axes(call, x);
  check_kernel(call, w, axes);
  const Window at = window(call, axes);
  ConvOptions options;
  options.stride = at.stride;
  options.dilation = at.dilation;
  options.padding = at.padding;
  options.groups = call.integer("group", 1);
  return {channels_first(conv(channels_last(call, x), filters_last(w), b, options))};
}

/// The pads that give the wanted extents: ONNX shares them out evenly, the odd one before, or after with
/// SAME_UPPER.
Sides pads_for(Call& call, const Tensor& x, const Tensor& w, const std::vector<std::int64_t>& extents,
               const std::vector<std::int64_t>& behind, bool odd_after) {
  const int axes = x.rank() - 2;
  const auto strides = per_axis(call, "strides", call.integers("strides"), axes, 1);
  const auto dilations = per_axis(call, "dilations", call.integers("dilations"), axes, 1);
  // Far more than any extent, far less than what would overflow.
  constexpr std::int64_t most = std::int64_t{1} << 24;
  Sides sides;
  for (std::size_t i = 0; i < extents.size(); ++i) {
    const std::int64_t in = x.shape(static_cast<int>(i) + 2), filter = w.shape(static_cast<int>(i) + 2);
    for (const std::int64_t n : {strides[i], dilations[i], extents[i], behind[i], in, filter})
      if (n < 0 || n > most) call.wrong("{} is no stride, dilation or extent", n);
    const std::int64_t total =
        strides[i] * (in - 1) + behind[i] + dilations[i] * (filter - 1) + 1 - extents[i];
    const std::int64_t half = total >= 0 ? total / 2 : -((1 - total) / 2);  // rounded down
    const std::int64_t before = odd_after ? half : total - half;
    sides.emplace_back(before, total - before);
  }
  return sides;
}

std::vector<Tensor> conv_transpose_node(Call& call) {
  const Tensor x = floating(call, 0), w = floating(call, 1), b = call.optional_input(2);
  const int axes = spatial_axes(call, x);
  check_kernel(call, w, axes);
  const Window at = window(call, axes);
  const auto behind = per_axis(call, "output_padding", call.integers("output_padding"), axes, 0);
  const auto extents = call.integers("output_shape");
  ConvTransposeOptions options;
  options.stride = at.stride;
  options.dilation = at.dilation;
  options.padding = at.padding;
  options.groups = call.integer("group", 1);
  if (extents.empty()) {
    options.output_padding = to_per_axis(behind);
  } else {
    options.output_shape = to_per_axis(per_axis(call, "output_shape", extents, axes, 0));
    options.padding = pads_for(call, x, w, extents, behind, call.text("auto_pad", "NOTSET") == "SAME_UPPER");
  }
  return {channels_first(conv_transpose(channels_last(call, x), filters_last(w), b, options))};
}

}  // namespace

std::span<const Operator> conv_operators() {
  static constexpr Operator all[] = {{"Conv", conv_node}, {"ConvTranspose", conv_transpose_node}};
  return all;
}

}  // namespace isobit::cli::onnx
