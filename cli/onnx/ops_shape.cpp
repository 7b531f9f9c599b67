// What moves elements and makes shapes, around the operators that this is about. Of any type.
#include <algorithm>
#include <cmath>

#include "cli/onnx/layout.h"

namespace isobit::cli::onnx {
namespace {

Tensor numbers(const Call& call, const std::vector<std::int64_t>& values) {
  return from_vector(values, Shape{static_cast<std::int64_t>(values.size())}, call.device());
}

std::vector<Tensor> identity_node(Call& call) {
  return {call.input(0)};
}

std::vector<Tensor> constant_node(Call& call) {
  if (call.has("value")) return {call.tensor("value")};
  if (call.has("value_int"))
    return {full(Shape{}, call.integer("value_int", 0), {DType::i64, call.device()})};
  if (call.has("value_float"))
    return {full(Shape{}, call.real("value_float", 0), {DType::f32, call.device()})};
  if (call.has("value_ints")) return {numbers(call, call.integers("value_ints"))};
  if (call.has("value_floats")) {
    const auto values = call.reals("value_floats");
    return {
        from_vector(values, Shape{static_cast<std::int64_t>(values.size())}, call.device()).to(DType::f32)};
  }
  call.lacks("value of that type");
}

std::vector<Tensor> constant_of_shape_node(Call& call) {
  const auto extents = call.whole_numbers(0);
  const Tensor value =
      call.has("value") ? call.tensor("value") : zeros(Shape{1}, {DType::f32, call.device()});
  if (value.numel() != 1) call.wrong("the value has {} elements", value.numel());
  return {broadcast_to(value.reshape(Shape{}), Shape(extents))};
}

std::vector<Tensor> shape_node(Call& call) {
  const Shape& shape = call.input(0).shape();
  const auto bound = [&](const char* name, std::int64_t missing) {
    const std::int64_t i = call.integer(name, missing);
    return static_cast<int>(std::clamp<std::int64_t>(i < 0 ? i + shape.rank() : i, 0, shape.rank()));
  };
  const int from = bound("start", 0), to = std::max(from, bound("end", shape.rank()));
  return {numbers(call, {shape.begin() + from, shape.begin() + to})};
}
/// start, limit and step are scalars of one type.
std::vector<Tensor> range_node(Call& call) {
  const DType dtype = call.input(0).dtype();
  const double start = call.input(0).item(), limit = call.input(1).item(), step = call.input(2).item();
  const double count = step == 0 ? -1 : std::ceil((limit - start) / step);
  if (!(count < 1 << 30) || step == 0) call.wrong("from {} to {} by {}", start, limit, step);
  return {arange(static_cast<std::int64_t>(std::max(count, 0.0)), start, step, {dtype, call.device()})};
}
std::vector<Tensor> size_node(Call& call) {
  return {full(Shape{}, call.input(0).numel(), {DType::i64, call.device()})};
}

/// 0 keeps the extent, unless the node says otherwise.
std::vector<Tensor> reshape_node(Call& call) {
  const Tensor x = call.input(0);
  auto extents = call.version() < 5 ? call.integers("shape") : call.whole_numbers(1);
  if (call.integer("allowzero", 0) == 0)
    for (std::size_t i = 0; i < extents.size(); ++i)
      if (extents[i] == 0) extents[i] = x.shape(static_cast<int>(i));
  return {x.reshape(extents)};
}

std::vector<Tensor> flatten_node(Call& call) {
  const Tensor x = call.input(0);
  const std::int64_t given = call.integer("axis", 1);
  const int axis = given == x.rank() ? x.rank() : axis_in(call, given, x.rank());
  return {x.reshape({x.shape().sub(0, axis).numel(), x.shape().sub(axis, x.rank()).numel()})};
}

std::vector<std::int64_t> axes_of(Call& call) {
  return call.version() < 13 ? call.integers("axes") : call.whole_numbers(1);
}
std::vector<Tensor> squeeze_node(Call& call) {
  const Tensor x = call.input(0);
  std::vector<bool> gone(static_cast<std::size_t>(x.rank()));
  const auto given = axes_of(call);
  for (const std::int64_t axis : given) gone[static_cast<std::size_t>(axis_in(call, axis, x.rank()))] = true;
  std::vector<std::int64_t> kept;
  for (int i = 0; i < x.rank(); ++i) {
    const bool goes = given.empty() ? x.shape(i) == 1 : gone[static_cast<std::size_t>(i)];
    if (goes && x.shape(i) != 1) call.wrong("axis {} of {} is not 1", i, x.shape());
    if (!goes) kept.push_back(x.shape(i));
  }
  return {x.reshape(kept)};
}
std::vector<Tensor> unsqueeze_node(Call& call) {
  const Tensor x = call.input(0);
  const auto given = axes_of(call);
  const int rank = x.rank() + static_cast<int>(given.size());
  if (rank > Shape::max_rank) throw Unsupported(fmt::format("rank {}", rank));
  std::vector<std::int64_t> extents(static_cast<std::size_t>(rank), 0);
  for (const std::int64_t axis : given) extents[static_cast<std::size_t>(axis_in(call, axis, rank))] = 1;
  if (std::count(extents.begin(), extents.end(), 1) != static_cast<std::ptrdiff_t>(given.size()))
    call.wrong("an axis is named twice");
  int next = 0;
  for (std::int64_t& extent : extents)
    if (extent == 0) extent = x.shape(next++);
  return {x.reshape(extents)};
}

std::vector<Tensor> transpose_node(Call& call) {
  const Tensor x = call.input(0);
  const auto given = call.integers("perm");
  std::vector<int> axes;
  for (const std::int64_t axis : given) axes.push_back(axis_in(call, axis, x.rank()));
  if (given.empty())
    for (int i = x.rank() - 1; i >= 0; --i) axes.push_back(i);
  return {permute(x, axes)};
}

std::vector<Tensor> concat_node(Call& call) {
  std::vector<Tensor> parts;
  for (std::size_t i = 0; i < call.inputs(); ++i) parts.push_back(call.input(i));
  if (parts.empty()) call.wrong("nothing to join");
  return {concat(parts, axis_in(call, call.integer("axis", 1), parts[0].rank()))};
}

std::vector<Tensor> expand_node(Call& call) {
  const Tensor x = call.input(0);
  const auto wanted = call.whole_numbers(1);
  // Each extent is the larger one: 1 in the wanted shape keeps the tensor's.
  std::vector<std::int64_t> extents(std::max(wanted.size(), static_cast<std::size_t>(x.rank())), 1);
  for (std::size_t i = 0; i < wanted.size(); ++i) extents[extents.size() - wanted.size() + i] = wanted[i];
  for (int i = 0; i < x.rank(); ++i) {
    std::int64_t& extent = extents[extents.size() - static_cast<std::size_t>(x.rank() - i)];
    if (extent == 1) extent = x.shape(i);
  }
  return {broadcast_to(x, Shape(extents))};
}

/// By cutting at both ends: steps of 1.
std::vector<Tensor> slice_node(Call& call) {
  const Tensor x = call.input(0);
  const bool attributes = call.version() < 10;
  const auto starts = attributes ? call.integers("starts") : call.whole_numbers(1);
  const auto ends = attributes ? call.integers("ends") : call.whole_numbers(2);
  auto axes = attributes ? call.integers("axes") : call.whole_numbers(3);
  const auto steps = attributes ? std::vector<std::int64_t>() : call.whole_numbers(4);
  if (axes.empty())
    for (std::size_t i = 0; i < starts.size(); ++i) axes.push_back(static_cast<std::int64_t>(i));
  if (starts.size() != ends.size() || starts.size() != axes.size())
    call.wrong("starts, ends and axes differ in number");
  if (std::any_of(steps.begin(), steps.end(), [](std::int64_t s) { return s != 1; }))
    call.lacks("step other than 1");
  std::vector<std::pair<std::int64_t, std::int64_t>> cut(static_cast<std::size_t>(x.rank()));
  for (std::size_t i = 0; i < axes.size(); ++i) {
    const int axis = axis_in(call, axes[i], x.rank());
    const std::int64_t extent = x.shape(axis);
    const auto place = [&](std::int64_t p) {
      return std::clamp<std::int64_t>(p < 0 ? p + extent : p, 0, extent);
    };
    const std::int64_t from = place(starts[i]), to = std::max(from, place(ends[i]));
    cut[static_cast<std::size_t>(axis)] = {-from, to - extent};
  }
  return {pad(x, cut)};
}

/// isobit gathers rows of the first axis.
std::vector<Tensor> gather_node(Call& call) {
  const Tensor x = call.input(0), given = call.input(1);
  const int axis = axis_in(call, call.integer("axis", 0), x.rank());
  if (given.dtype() != DType::i64 && given.dtype() != DType::i32) call.wrong("indices are {}", given.dtype());
  Tensor index = given.to(DType::i64);
  index = select(lt(index, zeros(Shape{}, {DType::i64, call.device()})),
                 index + full(Shape{}, x.shape(axis), {DType::i64, call.device()}), index);
  std::vector<int> order{axis};
  for (int i = 0; i < x.rank(); ++i)
    if (i != axis) order.push_back(i);
  const Tensor rows = gather(permute(x, order), index);
  // [index..., before..., after...] to [before..., index..., after...]
  std::vector<int> back;
  for (int i = 0; i < axis; ++i) back.push_back(index.rank() + i);
  for (int i = 0; i < index.rank(); ++i) back.push_back(i);
  for (int i = index.rank() + axis; i < rows.rank(); ++i) back.push_back(i);
  return {permute(rows, back)};
}

std::vector<Tensor> cast_to(Call& call, std::int64_t code) {
  constexpr std::pair<std::int64_t, DType> types[] = {{1, DType::f32},  {2, DType::u8},      {6, DType::i32},
                                                      {7, DType::i64},  {9, DType::boolean}, {10, DType::f16},
                                                      {11, DType::f64}, {16, DType::bf16}};
  call.ignore({"saturate", "round_mode"});  // of 8-bit floating types
  for (const auto& [number, dtype] : types)
    if (number == code) return {call.input(0).to(dtype)};
  throw Unsupported(fmt::format("element type number {}", code));
}
std::vector<Tensor> cast_node(Call& call) {
  return cast_to(call, call.integer("to", 0));
}
std::vector<Tensor> cast_like_node(Call& call) {
  const DType dtype = call.input(1).dtype();
  call.ignore({"saturate", "round_mode"});
  return {call.input(0).to(dtype)};
}

}  // namespace

std::span<const Operator> shape_operators() {
  static constexpr Operator all[] = {
      {"Identity", identity_node, false},
      {"Constant", constant_node, false},
      {"ConstantOfShape", constant_of_shape_node, false},
      {"Shape", shape_node, false},
      {"Size", size_node, false},
      {"Range", range_node, false},
      {"Reshape", reshape_node, false},
      {"Flatten", flatten_node, false},
      {"Squeeze", squeeze_node, false},
      {"Unsqueeze", unsqueeze_node, false},
      {"Transpose", transpose_node, false},
      {"Concat", concat_node, false},
      {"Expand", expand_node, false},
      {"Slice", slice_node, false},
      {"Gather", gather_node, false},
      {"Cast", cast_node, false},
      {"CastLike", cast_like_node, false},
  };
  return all;
}

}  // namespace isobit::cli::onnx
