#include "benchmarks/memory.h"

#include <isobit/arithmetic.h>
#include <isobit/ops.h>
#include <isobit/optim.h>

#include <algorithm>

#include "benchmarks/bandwidth.h"
#include "benchmarks/conv.h"
#include "benchmarks/whole.h"

namespace isobit::bench {
namespace {

// One op: its inputs by their shapes, and how many bytes it must read and write at least, in units of the
// first input's elements (u) and the result's (v).
struct Case {
  std::string name;
  std::vector<Shape> inputs;
  Op op;
  double forward_u = 1, forward_v = 1;
  double backward_u = 0, backward_v = 0;  ///< 0: no backward row
  double backward_index = 0;              ///< bytes of an index that every element of the result has
  nlohmann::json question;
  /// Of the seam, where one kernel is all that a row calls; its gradient's has _backward behind it.
  std::string kernel = {};
  double window = 0;  ///< elements that one of the result, or of a gradient, is a sum of at most
};

using Inputs = std::vector<Tensor>;

nlohmann::json question(const char* op) {
  return {{"op", op}};
}

// [rows, 1024] or [n, 56, 56, 64] of about that many elements.
Shape rows_of(std::int64_t elements, std::int64_t columns) {
  return {std::max<std::int64_t>(elements / columns, 1), columns};
}
Shape images_of(std::int64_t elements, std::int64_t size, std::int64_t channels) {
  return {std::max<std::int64_t>(elements / (size * size * channels), 1), size, size, channels};
}

std::vector<Case> other_cases(std::int64_t elements) {
  const Shape rows = rows_of(elements, 1024), columns{1024}, images = images_of(elements, 56, 64),
              channels{64};
  const auto unary = [&](const char* name, Tensor (*op)(const Tensor&), double backward_u,
                         double backward_v) {
    return Case{name, {rows},        [op](const Inputs& i) { return op(i[0]); }, 1, 1, backward_u, backward_v,
                0,    question(name)};
  };
  // A gradient reads dy, and x or y where it needs one, and writes dx.
  std::vector<Case> cases{
      {"add", {rows, rows}, [](const Inputs& i) { return add(i[0], i[1]); }, 2, 1, 0, 0, 0, question("add")},
      {"add_bias",
       {rows, columns},
       [](const Inputs& i) { return add(i[0], i[1]); },
       1,
       1,
       0,
       0,
       0,
       question("add")},
      {"mul_scalar",
       {rows},
       [](const Inputs& i) { return mul_scalar(i[0], 0.5); },
       1,
       1,
       0,
       0,
       0,
       question("mul_scalar")},
      unary("relu", relu, 2, 1),
      unary("exp", exp, 0, 0),
      unary("sigmoid", sigmoid, 0, 0),
      unary("tanh", tanh, 0, 0),
      unary("gelu", gelu, 2, 1),
      {"sum", {rows}, [](const Inputs& i) { return sum(i[0]); }, 1, 1, 0, 0, 0, question("sum")},
      {"sum_rows",
       {rows},
       [](const Inputs& i) { return sum(i[0], {0}); },
       1,
       1,
       0,
       0,
       0,
       question("sum_rows")},
      {"to_nchw",
       {images},
       [](const Inputs& i) { return to_nchw(i[0]); },
       1,
       1,
       0,
       0,
       0,
       question("to_nchw")},
      unary("softmax", softmax, 2, 1),
      unary("log_softmax", log_softmax, 2, 1),
      {"layer_norm",
       {rows, columns, columns},
       [](const Inputs& i) { return layer_norm(i[0], i[1], i[2]); },
       1,
       1,
       2,
       1,
       0,
       question("layer_norm")},
      // The variance needs the mean, y needs both: x is read three times. The gradient reads dy and x twice.
      {"batch_norm",
       {images, channels, channels},
       [](const Inputs& i) { return batch_norm(i[0], i[1], i[2]).y; },
       3,
       1,
       4,
       1,
       0,
       question("batch_norm")},
      {"batch_norm_inference",
       {images, channels, channels},
       [](const Inputs& i) { return batch_norm_inference(i[0], i[1], i[2], i[2], square(i[1])); },
       1,
       1,
       0,
       0,
       0,
       question("batch_norm_inference")},
      {"group_norm",
       {images, channels, channels},
       [](const Inputs& i) { return group_norm(i[0], 8, i[1], i[2]); },
       1,
       1,
       2,
       1,
       0,
       question("group_norm")}};
  return cases;
}

Case pool_case(const std::string& name, const char* op, const Shape& images, std::int64_t window,
               std::int64_t stride, std::int64_t padding) {
  const PoolOptions options{.stride = stride, .padding = padding};
  const bool maximum = std::string_view(op) == "max_pool";
  Case c{name, {images}, {}, 1, 1, 1, 1, maximum ? 8.0 : 0.0, {}};
  c.question = {{"op", op}, {"window", window}, {"stride", stride}, {"padding", padding}};
  c.kernel = op;
  c.window = static_cast<double>(window * window);
  if (maximum)
    c.op = [=](const Inputs& i) { return max_pool(i[0], window, options); };
  else
    c.op = [=](const Inputs& i) { return avg_pool(i[0], window, options); };
  return c;
}

std::vector<Case> pool_cases(std::int64_t elements) {
  const Shape wide = images_of(elements, 112, 64), middle = images_of(elements, 56, 64),
              deep = images_of(elements, 7, 512);
  std::vector<Case> cases{pool_case("max 2x2 64 at 56", "max_pool", middle, 2, 2, 0),
                          pool_case("max 3x3 s2 64 at 112", "max_pool", wide, 3, 2, 1),
                          pool_case("avg 2x2 64 at 56", "avg_pool", middle, 2, 2, 0),
                          pool_case("avg 3x3 s1 64 at 56", "avg_pool", middle, 3, 1, 1)};
  cases.push_back({"global avg 512 at 7",
                   {deep},
                   [](const Inputs& i) { return global_avg_pool(i[0]); },
                   1,
                   1,
                   1,
                   1,
                   0,
                   question("global_avg_pool")});
  return cases;
}

std::vector<Problem> problems_of(const Case& c, const std::vector<Direction>& directions, DType dtype,
                                 const Settings& settings) {
  const MathScope arithmetic(settings.math);  // of the forward passes, which their gradients follow
  std::vector<Tensor> inputs;
  for (std::size_t i = 0; i < c.inputs.size(); ++i) {
    // Parameters of norms stay in the type that is computed in.
    const bool parameter = i > 0 && c.inputs[i].rank() == 1;
    const DType type = parameter && dtype != DType::f64 && c.name != "add_bias" ? DType::f32 : dtype;
    inputs.push_back(numbers(c.inputs[i], type, fmt::format("input {}", i).c_str()));
  }
  std::vector<Problem> problems;
  const auto u = static_cast<double>(inputs[0].bytes());
  for (const Direction direction : directions) {
    const bool backward = direction == Direction::backward_data;
    if (direction == Direction::backward_weights || (backward && c.backward_u == 0)) continue;
    const Tensor y = c.op(inputs);
    const auto v = static_cast<double>(y.bytes());
    std::vector<Tensor> all = inputs;
    if (backward) all.push_back(numbers(y.shape(), dtype, "dy"));
    const Prepare prepare = backward ? backward_of(c.op) : forward_of(c.op);
    Problem p = whole_problem(all, prepare, settings);
    p.name = c.name;
    if (!c.kernel.empty()) p.kernel = backward ? c.kernel + "_backward" : c.kernel;
    if (c.window > 0 && p.kernel != "max_pool")  // maxima round nothing
      p.verify = [=, exactly = p.verify, terms = c.window](const Tensor& result) -> Verdict {
        if (current_math() == Math::exact || dtype == DType::f64) return exactly(result);
        const double share = share_of_sums(prepare, all, terms, result);
        return {share <= 1, result.numel(), share};
      };
    p.direction = name_of(direction);
    p.batch = c.inputs[0][0];
    p.bytes = backward ? c.backward_u * u +
                             (c.backward_v + c.backward_index / static_cast<double>(size_of(dtype))) * v
                       : c.forward_u * u + c.forward_v * v;
    p.question = c.question;
    p.question["grad"] = backward;
    problems.push_back(std::move(p));
  }
  return problems;
}

// A step on one parameter: `states` moments are read and written beside it.
Problem optimizer_problem(const std::string& name, const Shape& shape, DType dtype, int states,
                          const Settings& settings) {
  const std::vector<Tensor> inputs{numbers(shape, dtype, "w"), numbers(shape, dtype, "g")};
  const auto prepare = [name](const std::vector<Tensor>& tensors) -> std::function<Tensor()> {
    Tensor w = tensors[0].clone();
    w.set_requires_grad();
    std::shared_ptr<optim::Optimizer> optimizer;
    if (name == "adam")
      optimizer = std::make_shared<optim::Adam>(std::vector{w});
    else
      optimizer = std::make_shared<optim::SGD>(
          std::vector{w}, optim::SGDOptions{.lr = 0.01, .momentum = name == "sgd_momentum" ? 0.9 : 0.0});
    return [w, g = tensors[1], optimizer]() mutable {
      w.set_grad(g);
      optimizer->step();
      return w.detach();
    };
  };
  Problem p = whole_problem(inputs, prepare, settings);
  p.name = name;
  p.direction = "step";
  p.batch = shape[0];
  p.bytes = (3.0 + 2.0 * states) * static_cast<double>(inputs[0].bytes());
  p.in_place = true;
  p.question = {{"op", name}, {"grad", true}};
  return p;
}

}  // namespace

int run_memory(const RunOptions& options, MemoryFamily family, std::int64_t elements,
               const std::string& directions, DType dtype) {
  // Each tensor at least twice the largest cache.
  const std::int64_t cache = std::max(largest_cache(), device_cache_bytes(options.settings.device));
  const std::int64_t count = elements > 0
                                 ? elements
                                 : std::clamp<std::int64_t>(cache * 2 / size_of(dtype), std::int64_t{1} << 24,
                                                            std::int64_t{1} << 26);
  const std::vector<Direction> wanted = parse_directions(directions);
  const Settings& settings = options.settings;
  std::vector<Group> groups;
  for (const Case& c : family == MemoryFamily::pools ? pool_cases(count) : other_cases(count))
    if (c.name.find(options.only) != std::string::npos)
      groups.emplace_back([=, &settings] { return problems_of(c, wanted, dtype, settings); });
  if (family == MemoryFamily::others && (dtype == DType::f32 || dtype == DType::f64)) {
    const Shape shape = rows_of(count, 1024);
    int states = 0;
    for (const char* name : {"sgd", "sgd_momentum", "adam"}) {
      if (std::string(name).find(options.only) != std::string::npos)
        groups.emplace_back(
            [=, &settings] { return std::vector{optimizer_problem(name, shape, dtype, states, settings)}; });
      ++states;
    }
  }
  return run(family == MemoryFamily::pools ? "pool" : "memory", options, true, groups);
}

}  // namespace isobit::bench
