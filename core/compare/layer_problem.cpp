// Layers as problems: what they say of their options, and their parameters.
#include "core/compare/layer_problem.h"

#include <isobit/autograd.h>
#include <isobit/error.h>

#include "core/nn/layer_fields.h"

namespace isobit::compare {
namespace {

Tensor parameter(const nn::Layer& layer, std::string_view name) {
  const std::string& path = layer.module().path();
  for (const auto& [full, tensor] : layer.named_parameters())
    if (full == name || full == fmt::format("{}.{}", path, name)) return tensor.detach();
  return {};
}

bool starts(const std::string& kind, std::string_view with) {
  return kind.substr(0, with.size()) == with;
}

}  // namespace

std::string short_name(const nn::Layer& layer, const std::string& full) {
  const std::string& path = layer.module().path();
  return full.size() > path.size() + 1 && full.substr(0, path.size() + 1) == path + "."
             ? full.substr(path.size() + 1)
             : full;
}

nn::StateDict computed(const nn::Layer& layer, const Tensor& x, const Tensor& dy) {
  const NoGrad off;
  if (!dy.defined()) return {{"y", layer(x)}};
  const EnableGrad on;
  std::vector<Tensor> inputs;
  std::vector<std::string> names;
  Tensor leaf = x.detach();
  if (is_floating(x.dtype())) {
    leaf.set_requires_grad();
    inputs.push_back(leaf);
    names.emplace_back("dx");
  }
  for (const auto& [name, tensor] : layer.named_parameters()) {
    if (!tensor.requires_grad()) continue;
    inputs.push_back(tensor);
    names.push_back(short_name(layer, name));
  }
  const Tensor y = layer(leaf);
  nn::StateDict all{{"y", y.detach()}};
  if (!y.requires_grad()) return all;
  const std::vector<Tensor> gradients = grad(y, inputs, dy, {.allow_unused = true});
  for (std::size_t i = 0; i < names.size(); ++i)
    if (gradients[i].defined()) all.emplace_back(names[i], gradients[i].detach());
  return all;
}

std::vector<Problem> problems_of(const nn::Layer& layer, const Tensor& x, const Tensor& dy) {
  const nn::Module& module = layer.module();
  const std::string kind = module.kind();
  const std::optional<nn::OptionList> list = module.option_list();
  if (!list || !module.children().empty()) return {};
  Problem p;
  Activate activation = Activate::none;
  nn::OptionReader read(kind, *list);
  if (starts(kind, "ConvTranspose")) {
    nn::ConvTransposeLayerOptions o;
    fields(read, o);
    p.op = Op::conv_transpose;
    p.transpose = {o.stride, o.padding, o.dilation, o.groups,         o.activation,
                   o.slope,  o.mode,    o.flip,     o.output_padding, o.output_shape};
    activation = o.activation;
  } else if (kind == "Conv1D" || kind == "Conv2D" || kind == "Conv3D") {
    nn::ConvLayerOptions o;
    fields(read, o);
    p.conv = {o.stride, o.padding, o.dilation, o.groups, o.activation, o.slope, o.mode, o.pad_value, o.flip};
    activation = o.activation;
  } else if (kind == "Linear") {
    p.op = Op::linear;
    if (x.rank() < 2) return {};
  } else if (kind == "MaxPool" || kind == "MaxPool2D" || kind == "AvgPool" || kind == "AvgPool2D") {
    p.op = starts(kind, "Max") ? Op::max_pool : Op::avg_pool;
    p.window = read.required<PerAxis>("window", 1);
    fields(read, p.pool);
  } else {
    return {};
  }
  if (activation != Activate::none && activation != Activate::relu) return {};
  const NoGrad off;
  p.x = x;
  p.w = parameter(layer, "weight");
  p.b = parameter(layer, "bias");
  std::vector<Problem> all{p};
  if (!dy.defined()) return all;
  p.dy = dy;
  if (activation == Activate::relu) {  // the gradient in front of the relu
    p.dy = select(gt(run(p), zeros_like(dy)), dy, zeros_like(dy));
    p.conv.activation = p.transpose.activation = Activate::none;
  }
  p.result = Result::dx;
  all.push_back(p);
  if (p.w.defined()) {
    p.result = Result::dw;
    all.push_back(p);
  }
  if (p.b.defined()) {
    p.result = Result::db;
    all.push_back(p);
  }
  return all;
}

}  // namespace isobit::compare
