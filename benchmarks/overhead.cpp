#include "benchmarks/overhead.h"

#include <isobit/ops.h>

#include "benchmarks/conv.h"
#include "benchmarks/matmul.h"
#include "benchmarks/whole.h"

namespace isobit::bench {

int run_overhead(const RunOptions& options) {
  const Settings& settings = options.settings;
  const auto tiny = [&](const char* name, const char* op, const std::vector<Shape>& shapes,
                        const Op& compute) {
    std::vector<Tensor> inputs;
    for (const Shape& shape : shapes) inputs.push_back(numbers(shape, DType::f32, "input"));
    Problem p = whole_problem(inputs, forward_of(compute), settings);
    p.name = name;
    p.direction = "fwd";
    p.batch = shapes[0][0];
    p.bytes = static_cast<double>(inputs[0].bytes() * static_cast<std::int64_t>(shapes.size() + 1));
    p.question = {{"op", op}};
    return p;
  };
  std::vector<Group> groups;
  const auto offer = [&](const std::string& name, Group group) {
    if (name.find(options.only) != std::string::npos) groups.push_back(std::move(group));
  };
  offer("add 8", [=] {
    return std::vector{
        tiny("add 8", "add", {{8}, {8}}, [](const std::vector<Tensor>& i) { return add(i[0], i[1]); })};
  });
  offer("relu 8", [=] {
    return std::vector{
        tiny("relu 8", "relu", {{8}}, [](const std::vector<Tensor>& i) { return relu(i[0]); })};
  });
  offer("softmax 1x10", [=] {
    return std::vector{tiny("softmax 1x10", "softmax", {{1, 10}},
                            [](const std::vector<Tensor>& i) { return softmax(i[0]); })};
  });
  offer("matmul 8", [=] {
    Problem p = tiny("matmul 8", "matmul", {{8, 8}, {8, 8}},
                     [](const std::vector<Tensor>& i) { return matmul(i[0], i[1]); });
    p.flops = 2 * 8 * 8 * 8;
    p.question = {{"op", "matmul"},      {"m", 8}, {"n", 8}, {"k", 8}, {"transpose_a", false},
                  {"transpose_b", false}};
    return std::vector{p};
  });
  const auto layer = parse_case("mb1ic8ih8oc8kh3ph1n\"conv 3x3 8 at 8\"", "overhead");
  offer(layer.name, [=, &settings] {
    const ConvTensors tensors(layer, DType::f32, settings.device);
    std::vector<Problem> problems;
    for (const Direction d : {Direction::forward, Direction::backward_data, Direction::backward_weights})
      problems.push_back(conv_problem(tensors, d));
    return problems;
  });
  return run("overhead", options, true, groups);
}

}  // namespace isobit::bench
