// Building a network: who is called what, which shape meets which module, and its parameters.
#include <isobit/autograd.h>

#include <unordered_set>

#include "core/nn/builder.h"

namespace isobit::nn {
namespace {

void visit_tree(Module& m, const std::string& path, std::unordered_set<Module*>& seen,
                const std::function<void(Module&, const std::string&)>& f) {
  if (!seen.insert(&m).second) return;
  f(m, path);
  for (const Child& child : m.children())
    visit_tree(child.layer.module(), path.empty() ? child.name : path + "." + child.name, seen, f);
}

// What build() changes in a module, to be put back when it fails.
struct Before {
  Module* module;
  std::shared_ptr<NetworkState> state;
  std::string path;
  Shape input;
  bool built;
};

}  // namespace

void Builder::for_each(Module& root, const std::function<void(Module&, const std::string&)>& f) {
  std::unordered_set<Module*> seen;
  visit_tree(root, "", seen, f);
}

void Builder::for_each(Module& root, const std::function<void(Module&)>& f) {
  for_each(root, [&](Module& m, const std::string&) { f(m); });
}

void Builder::attach(Module& root, const std::shared_ptr<NetworkState>& state) {
  for_each(root, [&](Module& m, const std::string& path) {
    m.state_ = state;
    m.path_ = path;
  });
}

void Builder::make_parameters(Module& m, const std::string& path, const Shape& in, const Plan& plan) {
  const NetworkState& state = *m.state_;
  const auto check = [&](const std::vector<Named>& have, const std::vector<ParameterSpec>& want) {
    if (have.size() != want.size())
      fail("nn", "{} \"{}\" was built with {} parameters or buffers, its plan for an input of {} has {}",
           m.kind(), path, have.size(), in, want.size());
    for (std::size_t i = 0; i < want.size(); ++i)
      if (have[i].second.shape() != want[i].shape)
        fail("nn", "{} \"{}\" was built with {} {}, an input of {} needs {}", m.kind(), path, want[i].name,
             have[i].second.shape(), in, want[i].shape);
  };
  if (m.built_) {
    check(m.parameters_, plan.parameters);
    check(m.buffers_, plan.buffers);
    return;
  }
  const auto make = [&](const ParameterSpec& spec) {
    const bool half = state.dtype == DType::f16 || state.dtype == DType::bf16;
    const DType dtype = spec.compute_type && half ? DType::f32 : state.dtype;
    const std::string name = m.path_.empty() ? spec.name : m.path_ + "." + spec.name;
    return initialize(spec.init, spec.shape, spec.fans, random_key(state.seed, name), {dtype, state.device});
  };
  std::vector<Named> parameters, buffers;
  for (const ParameterSpec& spec : plan.parameters) {
    parameters.emplace_back(spec.name, make(spec));
    parameters.back().second.set_requires_grad();
  }
  for (const ParameterSpec& spec : plan.buffers) buffers.emplace_back(spec.name, make(spec));
  m.parameters_ = std::move(parameters);
  m.buffers_ = std::move(buffers);
  m.input_ = in;
  m.built_ = true;
}

Shape Builder::build(Module& root, const std::string& path, const Shape& sample) {
  return root.walk(path, sample, [](Module& m, const std::string& at, const Shape& in, const Plan& plan) {
    make_parameters(m, at, in, plan);
  });
}

const Layer& Layer::build(const Shape& sample, Device device, Seed seed, DType dtype) const {
  if (!is_floating(dtype)) fail("nn", "a network is built in f32, f64, f16 or bf16, not in {}", dtype);
  std::vector<Before> before;
  Builder::for_each(module(), [&](Module& m) {
    for (const Named& parameter : m.parameters_)
      if (!(parameter.second.device() == device))
        fail("nn", "{} \"{}\" was built on {}, the network is built on {}", m.kind(), m.path_,
             parameter.second.device(), device);
    before.push_back({&m, m.state_, m.path_, m.input_, m.built_});
  });
  auto state = std::make_shared<NetworkState>();
  state->device = device;
  state->dtype = dtype;
  state->seed = seed;
  try {
    Builder::attach(module(), state);
    Builder::build(module(), "", sample);
    module().input_ = sample;
  } catch (...) {
    for (Before& b : before) {
      Module& m = *b.module;
      m.state_ = std::move(b.state);
      m.path_ = std::move(b.path);
      m.input_ = b.input;
      if (!b.built) {
        m.parameters_.clear();
        m.buffers_.clear();
      }
      m.built_ = b.built;
    }
    throw;
  }
  return *this;
}

bool Layer::built() const {
  return module().built_;
}

const Shape& Layer::input_shape() const {
  if (!built()) fail("nn", "{} is not built: call build(sample shape) or run it once", module().kind());
  return module().input_;
}

Shape Layer::output_shape(const Shape& sample) const {
  return module().walk(module().path_, sample, [](Module&, const std::string&, const Shape&, const Plan&) {});
}

}  // namespace isobit::nn
