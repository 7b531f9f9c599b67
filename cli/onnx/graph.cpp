// GraphNode after node, in the order of the file, which ONNX demands to be one in which they can be computed.
#include "cli/onnx/graph.h"

#include <isobit/autograd.h>
#include <isobit/error.h>

#include "cli/onnx/call.h"

namespace isobit::cli::onnx {

Fitness fitness(const Model& model) {
  Fitness f;
  bool all_known = true;
  for (const GraphNode& node : model.nodes) {
    const Operator* op = find_operator(node);
    if (op == nullptr) {
      all_known = false;
      if (f.missing.empty())
        f.missing = fmt::format("beside it stands {}, which isobit has not",
                                node.domain.empty() ? node.op : node.domain + "." + node.op);
    } else if (op->wanted) {
      f.wanted = true;
    }
  }
  f.wanted = f.wanted || all_known;
  if (!f.missing.empty()) return f;
  f.missing = model.unsupported;
  for (const auto* values : {&model.inputs, &model.outputs})
    for (const Model::Value& v : *values)
      if (f.missing.empty()) f.missing = v.unsupported;
  return f;
}

std::vector<Tensor> compute(const Model& model, const std::vector<Tensor>& inputs, Device device) {
  if (inputs.size() != model.inputs.size())
    fail("onnx", "the model has {} inputs, {} are given", model.inputs.size(), inputs.size());
  const NoGrad no_grad;
  std::map<std::string, Tensor> values;
  for (const auto& [name, t] : model.initializers) values[name] = t.to(device);
  for (std::size_t i = 0; i < inputs.size(); ++i) values[model.inputs[i].name] = inputs[i].to(device);
  const auto value = [&](const std::string& name, const std::string& who) {
    const auto at = values.find(name);
    if (at == values.end()) fail("onnx", "{} reads '{}', which nothing made", who, name);
    return at->second;
  };
  for (const GraphNode& node : model.nodes) {
    const Operator* op = find_operator(node);
    if (op == nullptr) throw Unsupported(fmt::format("isobit has no operator {}", node.op));
    std::vector<Tensor> arguments;
    for (const std::string& name : node.inputs)
      arguments.push_back(name.empty() ? Tensor() : value(name, node.op));
    const auto version = model.opsets.find(node.domain);
    if (version == model.opsets.end()) fail("onnx", "no operator set is named for the domain of {}", node.op);
    Call call(node, version->second, std::move(arguments), device);
    const std::vector<Tensor> results = op->run(call);
    call.finish();
    for (std::size_t i = 0; i < node.outputs.size(); ++i) {
      if (node.outputs[i].empty()) continue;
      if (i >= results.size()) throw Unsupported(fmt::format("isobit has no output {} of {}", i, node.op));
      values[node.outputs[i]] = results[i];
    }
  }
  std::vector<Tensor> outputs;
  for (const Model::Value& v : model.outputs) outputs.push_back(value(v.name, "the model's output"));
  return outputs;
}

}  // namespace isobit::cli::onnx
