// Momentum and Adam of ai.onnx.preview.training, by isobit's optimizers: their formulas differ in where a
// factor stands, so rates, moments and counters are handed over in isobit's terms, and moments are read back
// in ONNX's.
//
// Momentum, T >= 1:  v' = alpha v + beta g',  x' = x - R v'.     isobit: u' = alpha u + g',  x' = x - lr u'.
//   With v = beta u and lr = beta R they are one; nesterov, x' = x - R (g' + alpha v'), is isobit's only for
//   beta = 1.
// Adam:              x' = x - R sqrt(1 - beta^T) / (1 - alpha^T) v' / (sqrt(h') + eps).
//   isobit:          x' = x - lr (v' / (1 - alpha^T)) / (sqrt(h' / (1 - beta^T)) + eps'),  eps' = eps /
//   sqrt(1 - beta^T). With T = 0 ONNX leaves the corrections out.
// g' is g + norm_coefficient x in both.
#include <isobit/optim.h>

#include <cmath>

#include "cli/onnx/layout.h"

namespace isobit::cli::onnx {
namespace {

struct Step {
  double rate = 0;
  std::int64_t count = 0;
  std::size_t tensors = 0;
};

/// R, T, then `per` inputs a tensor, grouped by kind: all x, all g, ...
Step step_of(Call& call, std::size_t per) {
  Step step;
  step.rate = floating(call, 0).item();
  const auto count = call.whole_numbers(1);
  if (count.size() != 1 || count[0] < 0) call.wrong("the second input is no count of steps");
  step.count = count[0];
  if (call.inputs() <= 2 || (call.inputs() - 2) % per != 0)
    call.wrong("{} inputs, expected R, T and {} for each tensor", call.inputs(), per);
  step.tensors = (call.inputs() - 2) / per;
  return step;
}

/// x as a parameter with gradient g; a copy, since the step is in place.
Tensor parameter(const Call& call, const Tensor& x, const Tensor& g) {
  if (x.dtype() != DType::f32 && x.dtype() != DType::f64)
    throw Unsupported(fmt::format("isobit has no {} of {}", call.op(), x.dtype()));
  Tensor p = x.clone();
  p.set_requires_grad();
  p.set_grad(g.clone());
  return p;
}

/// The optimizer's state with some entries replaced.
template <class Optimizer>
void replace_state(Optimizer& optimizer, const std::vector<std::pair<std::string, Tensor>>& entries) {
  nn::StateDict state;
  for (const auto& [name, tensor] : optimizer.state_dict()) {
    Tensor t = tensor;
    for (const auto& [replaced, by] : entries)
      if (replaced == name) t = by;
    state.emplace_back(name, t);
  }
  optimizer.load_state_dict(state);
}
template <class Optimizer>
Tensor state_of(const Optimizer& optimizer, std::string_view name) {
  for (const auto& [entry, tensor] : optimizer.state_dict())
    if (entry == name) return tensor.clone();
  fail("onnx", "the optimizer has no state '{}'", name);
}

std::vector<Tensor> momentum_node(Call& call) {
  const Step step = step_of(call, 3);
  const std::string mode = call.text("mode", "");
  if (mode != "standard" && mode != "nesterov")
    call.wrong("mode is '{}', expected standard or nesterov", mode);
  const double beta = step.count > 0 ? call.real("beta", 1) : 1;
  call.ignore({"beta"});
  optim::SGDOptions options;
  options.momentum = call.real("alpha", 0);
  options.weight_decay = call.real("norm_coefficient", 0);
  options.nesterov = mode == "nesterov";
  options.lr = step.rate * beta;
  if (!(beta > 0) || (options.nesterov && beta != 1)) call.lacks("dampened nesterov");
  std::vector<Tensor> x, v;
  for (std::size_t i = 0; i < step.tensors; ++i) {
    const std::size_t n = step.tensors;
    const Tensor p = parameter(call, floating(call, 2 + i), floating(call, 2 + n + i));
    optim::SGD sgd({p}, options);
    replace_state(sgd, {{"0.0.state1", div_scalar(floating(call, 2 + 2 * n + i), beta)}});
    sgd.step();
    x.push_back(p.detach());
    v.push_back(mul_scalar(state_of(sgd, "0.0.state1"), beta));
  }
  x.insert(x.end(), v.begin(), v.end());
  return x;
}

std::vector<Tensor> adam_node(Call& call) {
  const Step step = step_of(call, 4);
  optim::AdamOptions options;
  options.beta1 = call.real("alpha", 0.9);
  options.beta2 = call.real("beta", 0.999);
  options.weight_decay = call.real("norm_coefficient", 0);
  options.lr = step.rate;
  if (call.real("norm_coefficient_post", 0) != 0) call.lacks("norm_coefficient_post");
  // What isobit multiplies by beta once more before it steps; 0 leaves the corrections out.
  double power1 = 0, power2 = 0;
  if (step.count > 0) {
    power1 = std::pow(options.beta1, static_cast<double>(step.count - 1));
    power2 = std::pow(options.beta2, static_cast<double>(step.count - 1));
  }
  options.eps = call.real("epsilon", 1e-6) / std::sqrt(1 - power2 * options.beta2);
  const Tensor powers = from_vector(std::vector<double>{power1, power2}, Shape{2});
  std::vector<Tensor> x, v, h;
  for (std::size_t i = 0; i < step.tensors; ++i) {
    const std::size_t n = step.tensors;
    const Tensor p = parameter(call, floating(call, 2 + i), floating(call, 2 + n + i));
    optim::Adam adam({p}, options);
    replace_state(adam, {{"0.powers", powers},
                         {"0.0.state1", floating(call, 2 + 2 * n + i)},
                         {"0.0.state2", floating(call, 2 + 3 * n + i)}});
    adam.step();
    x.push_back(p.detach());
    v.push_back(state_of(adam, "0.0.state1"));
    h.push_back(state_of(adam, "0.0.state2"));
  }
  x.insert(x.end(), v.begin(), v.end());
  x.insert(x.end(), h.begin(), h.end());
  return x;
}

}  // namespace

std::span<const Operator> optimizer_operators() {
  static constexpr Operator all[] = {{"Momentum", momentum_node}, {"Adam", adam_node}};
  return all;
}

}  // namespace isobit::cli::onnx
