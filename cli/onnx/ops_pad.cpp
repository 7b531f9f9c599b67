// Pad: widths as attribute (until operator set 10) or input, for all axes or those named.
#include "cli/onnx/layout.h"

namespace isobit::cli::onnx {
namespace {

std::vector<std::int64_t> widths(Call& call) {
  if (call.version() >= 11) return call.whole_numbers(1);
  return call.integers(call.version() >= 2 ? "pads" : "paddings");
}

double value(Call& call, const Tensor& x) {
  if (call.version() < 11) return call.real("value", 0);
  const Tensor v = call.optional_input(2);
  if (!v.defined()) return 0;
  if (v.dtype() != x.dtype()) call.wrong("the value is {}, the input {}", v.dtype(), x.dtype());
  return v.item();
}

PadMode mode_of(Call& call) {
  const std::string name = call.text("mode", "constant");
  if (name == "constant") return PadMode::constant;
  if (name == "reflect") return PadMode::reflect;
  if (name == "edge") return PadMode::replicate;
  if (name == "wrap") return PadMode::circular;
  call.wrong("mode is '{}', expected constant, reflect, edge or wrap", name);
}

std::vector<Tensor> pad_node(Call& call) {
  const Tensor x = call.input(0);
  const auto given = widths(call);
  std::vector<std::int64_t> axes = call.version() >= 18 ? call.whole_numbers(3) : std::vector<std::int64_t>();
  if (axes.empty())
    for (int i = 0; i < x.rank(); ++i) axes.push_back(i);
  if (given.size() != 2 * axes.size()) call.wrong("{} pads for {} axes", given.size(), axes.size());
  std::vector<std::pair<std::int64_t, std::int64_t>> sides(static_cast<std::size_t>(x.rank()));
  for (std::size_t i = 0; i < axes.size(); ++i)
    sides[static_cast<std::size_t>(axis_in(call, axes[i], x.rank()))] = {given[i], given[axes.size() + i]};
  const PadMode mode = mode_of(call);
  return {pad(x, sides, std::span(&mode, 1), value(call, x))};
}

}  // namespace

std::span<const Operator> pad_operators() {
  static constexpr Operator all[] = {{"Pad", pad_node}};
  return all;
}

}  // namespace isobit::cli::onnx
