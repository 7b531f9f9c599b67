// Conv and ConvTranspose.
#include "cli/onnx/layout.h"

namespace isobit::cli::onnx {
namespace {

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

std::vector<Tensor> conv_transpose_node(Call& call) {
  call.lacks("form yet");
}

}  // namespace

std::span<const Operator> conv_operators() {
  static constexpr Operator all[] = {{"Conv", conv_node}, {"ConvTranspose", conv_transpose_node}};
  return all;
}

}  // namespace isobit::cli::onnx
