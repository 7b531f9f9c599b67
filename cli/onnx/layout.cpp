// Permutations between the two layouts, and windows.
#include "cli/onnx/layout.h"

#include <isobit/error.h>

#include <numeric>

namespace isobit::cli::onnx {

Tensor channels_last(const Call& call, const Tensor& x) {
  if (x.rank() < 2) call.wrong("the input is {}, expected [n, c, ...]", x.shape());
  return axis_to_last(x, 1);
}
Tensor channels_first(const Tensor& y) {
  return axis_from_last(y, 1);
}

Tensor filters_last(const Tensor& w) {
  std::vector<int> axes;
  for (int i = 2; i < w.rank(); ++i) axes.push_back(i);
  axes.push_back(1);
  axes.push_back(0);
  return permute(w, axes);
}

Tensor axis_to_last(const Tensor& x, int axis) {
  std::vector<int> axes;
  for (int i = 0; i < x.rank(); ++i)
    if (i != axis) axes.push_back(i);
  axes.push_back(axis);
  return permute(x, axes);
}
Tensor axis_from_last(const Tensor& y, int axis) {
  std::vector<int> axes(static_cast<std::size_t>(y.rank() - 1));
  std::iota(axes.begin(), axes.end(), 0);
  axes.insert(axes.begin() + axis, y.rank() - 1);
  return permute(y, axes);
}

int axis_in(const Call& call, std::int64_t axis, int rank) {
  if (axis < -rank || axis >= rank) call.wrong("axis {} of a tensor of rank {}", axis, rank);
  return static_cast<int>(axis < 0 ? axis + rank : axis);
}

int spatial_axes(const Call& call, const Tensor& x) {
  if (x.rank() < 2) call.wrong("the input is {}, expected [n, c, ...]", x.shape());
  const int axes = x.rank() - 2;
  if (axes < 1 || axes > 3) throw Unsupported(fmt::format("{} of {} spatial axes", call.op(), axes));
  return axes;
}

std::vector<std::int64_t> per_axis(const Call& call, const char* name, std::vector<std::int64_t> given,
                                   int axes, std::int64_t missing) {
  if (given.empty()) given.assign(static_cast<std::size_t>(axes), missing);
  if (given.size() != static_cast<std::size_t>(axes))
    call.wrong("'{}' has {} numbers for {} axes", name, given.size(), axes);
  return given;
}

PerAxis to_per_axis(const std::vector<std::int64_t>& values) {
  if (values.size() == 3) return {values[0], values[1], values[2]};
  if (values.size() == 2) return {values[0], values[1]};
  if (values.size() == 1) return values[0];
  fail("onnx", "{} numbers for 1 to 3 spatial axes", values.size());
}

std::vector<std::pair<std::int64_t, std::int64_t>> pads(Call& call, const char* name, int axes) {
  const auto all = per_axis(call, name, call.integers(name), 2 * axes, 0);
  std::vector<std::pair<std::int64_t, std::int64_t>> sides;
  for (int i = 0; i < axes; ++i)
    sides.emplace_back(all[static_cast<std::size_t>(i)],
                       all[static_cast<std::size_t>(axes) + static_cast<std::size_t>(i)]);
  return sides;
}

Window window(Call& call, int axes) {
  Window w;
  w.stride = to_per_axis(per_axis(call, "strides", call.integers("strides"), axes, 1));
  w.dilation = to_per_axis(per_axis(call, "dilations", call.integers("dilations"), axes, 1));
  const std::string rule = call.text("auto_pad", "NOTSET");
  const auto sides = pads(call, "pads", axes);
  if (rule == "NOTSET")
    w.padding = sides;
  else if (rule == "VALID")
    w.padding = SameRule::valid;
  else if (rule == "SAME_UPPER")
    w.padding = SameRule::same_upper;
  else if (rule == "SAME_LOWER")
    w.padding = SameRule::same_lower;
  else
    call.wrong("auto_pad is '{}', expected NOTSET, VALID, SAME_UPPER or SAME_LOWER", rule);
  return w;
}

Tensor floating(Call& call, std::size_t i) {
  const Tensor t = call.input(i);
  if (!is_floating(t.dtype())) throw Unsupported(fmt::format("isobit has no {} of {}", call.op(), t.dtype()));
  return t;
}

}  // namespace isobit::cli::onnx
