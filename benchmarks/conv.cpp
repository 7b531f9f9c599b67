#include "benchmarks/conv.h"

#include <isobit/error.h>
#include <isobit/ops.h>

#include "benchmarks/whole.h"

namespace isobit::bench {
namespace {

constexpr Direction kDirections[] = {Direction::forward, Direction::backward_data,
                                     Direction::backward_weights};

// A transposed convolution is the gradient of one, and the other way round.
const char* kernel_of(Direction direction, bool transposed) {
  if (direction == Direction::backward_weights) return "conv_backward_filter";
  return (direction == Direction::forward) != transposed ? "conv_forward" : "conv_backward_input";
}

nlohmann::json question_of(const ConvCase& shape, const std::string& kernel) {
  const ConvOptions& o = shape.problem.options;
  const auto axes = static_cast<std::size_t>(shape.problem.x.rank() - 2);
  std::vector<std::int64_t> stride, dilation, before, after;
  std::string mode;
  for (std::size_t i = 0; i < axes; ++i) {
    const auto& [in_front, behind] = std::get<1>(o.padding.value)[i];
    stride.push_back(o.stride.value[i]);
    dilation.push_back(o.dilation.value[i]);
    before.push_back(in_front);
    after.push_back(behind);
    if (o.mode.value[i] != PadMode::constant) mode = name_of(o.mode.value[i]);
  }
  if (mode.empty() && o.pad_value != 0) mode = "value";
  const auto list = [](const Shape& s) {
    return std::vector<std::int64_t>(s.extents().begin(), s.extents().end());
  };
  return {{"op", kernel},
          {"transposed", shape.transposed},
          {"x", list(shape.problem.x)},
          {"w", list(shape.problem.w)},
          {"y", list(shape.y())},
          {"stride", stride},
          {"dilation", dilation},
          {"pad_before", before},
          {"pad_after", after},
          {"groups", o.groups},
          {"pad_mode", mode}};
}

}  // namespace

std::string name_of(Direction direction) {
  switch (direction) {
    case Direction::forward:
      return "fwd";
    case Direction::backward_data:
      return "bwd_d";
    default:
      return "bwd_w";
  }
}

std::vector<Direction> parse_directions(const std::string& list) {
  std::vector<Direction> found;
  for (std::size_t at = 0; at <= list.size();) {
    const std::size_t end = std::min(list.find(',', at), list.size());
    const std::string name = list.substr(at, end - at);
    at = end + 1;
    const std::size_t before = found.size();
    for (const Direction direction : kDirections)
      if (name == name_of(direction)) found.push_back(direction);
    if (found.size() == before)
      fail("bench", "there is no direction \"{}\"; fwd, bwd_d or bwd_w, separated by commas", name);
  }
  return found;
}

ConvTensors::ConvTensors(const ConvCase& shape, DType dtype, Device device) : shape_(shape) {
  x_ = std::make_shared<Operand>(numbers(shape.problem.x, dtype, "x").to(device));
  w_ = std::make_shared<Operand>(numbers(shape.problem.w, dtype, "w").to(device));
  dy_ = std::make_shared<Operand>(numbers(shape.y(), dtype, "dy").to(device));
}

Problem conv_problem(const ConvTensors& tensors, Direction direction) {
  const ConvCase& shape = tensors.shape();
  const auto x = tensors.x(), w = tensors.w(), dy = tensors.dy();
  Problem p;
  p.name = shape.name;
  p.direction = name_of(direction);
  p.batch = shape.batch();
  p.dtype = x->tensor().dtype();
  p.flops = shape.flops();
  p.bytes = static_cast<double>(x->tensor().bytes() + w->tensor().bytes() + dy->tensor().bytes());
  p.kernel = kernel_of(direction, shape.transposed);
  const ConvOptions options = shape.problem.options;
  if (p.kernel == "conv_forward") {
    p.inputs = {x, w};
    p.call = [=] { return conv(x->tensor(), w->tensor(), {}, options); };
  } else if (p.kernel == "conv_backward_input") {
    p.inputs = {dy, w};
    const Shape to = x->tensor().shape();
    p.call = [=] { return conv_backward_input(dy->tensor(), w->tensor(), to, options); };
  } else {
    p.inputs = {x, dy};
    const Shape to = w->tensor().shape();
    p.call = [=] { return conv_backward_filter(x->tensor(), dy->tensor(), to, options); };
  }
  // To ask for the elements to write counts as a write: whatever was kept of these weights is stale.
  if (direction != Direction::backward_weights) p.touch = [w] { w->tensor().mutable_raw(); };
  p.verify = [tensors, kernel = p.kernel](const Tensor& result) {
    return check_conv(tensors, kernel, result);
  };
  p.question = question_of(shape, p.kernel);
  return p;
}

int run_conv(const RunOptions& options, const std::vector<ConvCase>& cases,
             const std::vector<Direction>& directions, DType dtype) {
  std::vector<Group> groups;
  for (const ConvCase& shape : cases) {
    if (shape.name.find(options.only) == std::string::npos) continue;
    groups.emplace_back([&, shape] {
      const ConvTensors tensors(shape, dtype, options.settings.device);
      std::vector<Problem> problems;
      for (const Direction direction : directions) problems.push_back(conv_problem(tensors, direction));
      return problems;
    });
  }
  return run("conv", options, false, groups);
}

}  // namespace isobit::bench
