// What a network holds: parameters, buffers, modes; saving and restoring them.
#include <isobit/autograd.h>
#include <isobit/io.h>

#include <map>

#include "core/nn/builder.h"
#include "core/nn/state_dict.h"

namespace isobit::nn {

void copy_state(const char* op, const StateDict& have, const StateDict& given) {
  std::map<std::string_view, const Tensor*> by_name;
  std::string problems;
  const auto report = [&](const std::string& text) { problems += (problems.empty() ? "" : "; ") + text; };
  for (const auto& [name, tensor] : given)
    if (!by_name.emplace(name, &tensor).second) report(fmt::format("\"{}\" occurs twice", name));
  for (const auto& [name, tensor] : have) {
    const auto found = by_name.find(name);
    if (found == by_name.end()) {
      report(fmt::format("\"{}\" {} is missing", name, tensor.shape()));
      continue;
    }
    const Tensor& t = *found->second;
    if (!t.defined())
      report(fmt::format("\"{}\" is undefined", name));
    else if (t.shape() != tensor.shape() || t.dtype() != tensor.dtype())
      report(fmt::format("\"{}\" is {} {}, expected {} {}", name, t.dtype(), t.shape(), tensor.dtype(),
                         tensor.shape()));
    by_name.erase(found);
  }
  for (const auto& [name, tensor] : by_name) report(fmt::format("\"{}\" is unexpected", name));
  if (!problems.empty()) fail(op, "{}", problems);
  std::map<std::string_view, const Tensor*> values;
  for (const auto& [name, tensor] : given) values[name] = &tensor;
  NoGrad no_grad;
  for (const auto& [name, tensor] : have) {
    Tensor destination = tensor;
    destination.copy_from(*values[name]);
  }
}

namespace {

void need_built(const Module& m) {
  if (!m.built()) fail("nn", "{} is not built: call build(sample shape) or run it once", m.kind());
}

}  // namespace

StateDict Layer::named_parameters() const {
  need_built(module());
  StateDict result;
  Builder::for_each(module(), [&](Module& m, const std::string& path) {
    for (const auto& [name, tensor] : m.parameters_) result.emplace_back(Module::join(path, name), tensor);
  });
  return result;
}

StateDict Layer::named_buffers() const {
  need_built(module());
  StateDict result;
  Builder::for_each(module(), [&](Module& m, const std::string& path) {
    for (const auto& [name, tensor] : m.buffers_) result.emplace_back(Module::join(path, name), tensor);
  });
  return result;
}

StateDict Layer::state_dict() const {
  need_built(module());
  StateDict result;
  Builder::for_each(module(), [&](Module& m, const std::string& path) {
    for (const auto& [name, tensor] : m.parameters_) result.emplace_back(Module::join(path, name), tensor);
    for (const auto& [name, tensor] : m.buffers_) result.emplace_back(Module::join(path, name), tensor);
  });
  return result;
}

std::vector<Tensor> Layer::parameters() const {
  std::vector<Tensor> result;
  for (auto& [name, tensor] : named_parameters()) result.push_back(tensor);
  return result;
}

void Layer::load_state_dict(const StateDict& state) const {
  copy_state("load_state_dict", state_dict(), state);
}

const Layer& Layer::train(bool on) const {
  Builder::for_each(module(), [&](Module& m) { m.training_ = on; });
  return *this;
}

bool Layer::training() const {
  return module().training_;
}

const Layer& Layer::set_math(std::optional<Math> math) const {
  module().math_ = math;
  return *this;
}
std::optional<Math> Layer::math() const {
  return module().math_;
}

void Layer::zero_grad() const {
  for (Tensor& parameter : parameters()) parameter.zero_grad();
}

void Layer::set_step(std::uint64_t n) const {
  state();
  module().state_->step = n;
  module().state_->next_step = n;
}

std::uint64_t Layer::step() const {
  return state().step;
}

std::string digest(const Layer& net) {
  return io::digest(net.state_dict());
}

}  // namespace isobit::nn
