// Module and the forward pass of Layer: lazy building, training steps, errors that name the layer.
#include <isobit/autograd.h>
#include <isobit/device_error.h>
#include <isobit/nn_module.h>
#include <isobit/parts.h>

#include "core/graph_recording.h"
#include "core/nn/builder.h"

namespace isobit::nn {
namespace {

// Forward passes that are running on this thread: the outermost one begins a training step.
thread_local int forward_depth = 0;

struct DepthGuard {
  DepthGuard() { ++forward_depth; }
  ~DepthGuard() { --forward_depth; }
  DepthGuard(const DepthGuard&) = delete;
  DepthGuard& operator=(const DepthGuard&) = delete;
};

Shape sample_of(const Tensor& x, const Module& module) {
  if (!x.defined() || x.rank() < 1)
    fail("nn", "{} needs a batch x[n, ...], got {}", module.kind(),
         x.defined() ? fmt::format("a tensor of shape {}", x.shape()) : "an undefined tensor");
  return x.shape().sub(1, x.rank());
}

}  // namespace

Plan Module::plan(const Shape& in) const {
  Plan plan;
  plan.output = in;
  return plan;
}

Tensor Module::forward_with(const Tensor& x, const Behind& behind) {
  Tensor y = forward(x);
  if (const auto& n = behind.norm)
    y = batch_norm_inference(y, n->gamma, n->beta, n->mean, n->variance, {.eps = n->eps});
  return behind.relu ? relu(y) : y;
}

std::string Module::join(const std::string& path, const std::string& name) {
  return path.empty() ? name : path + "." + name;
}

void Module::add_child(std::string name, Layer child) {
  if (!child) fail("nn", "{}: child \"{}\" is an empty layer", kind(), name);
  if (name.empty() || name.find('.') != std::string::npos)
    fail("nn", "{}: \"{}\" is no name for a child: it must not be empty or contain a dot", kind(), name);
  for (const Child& other : children_)
    if (other.name == name) fail("nn", "{}: there is a child \"{}\" already", kind(), name);
  Builder::for_each(child.module(), [&](Module& below) {
    if (&below == this) fail("nn", "{}: child \"{}\" contains the module that it is added to", kind(), name);
  });
  children_.push_back({std::move(name), std::move(child)});
}

Shape Module::walk(const std::string& path, const Shape& in, const Visitor& visit) {
  Plan own = plan(in);
  if (children_.empty()) {
    visit(*this, path, in, own);
    return own.output;
  }
  // A user's module: who feeds whom is known to its forward alone.
  if (!state_)
    fail("nn", "the shapes of {} \"{}\" are found by running it: build the network first", kind(), path);
  const bool first = !built_;  // its own parameters must exist before it can run
  if (first) visit(*this, path, in, own);
  const Shape out =
      Builder::dry_run(*this, zeros(in.inserted(0, 1), {state_->dtype, state_->device})).shape();
  own.output = out.sub(1, out.rank());
  if (!first) visit(*this, path, in, own);
  return own.output;
}

Tensor Layer::operator()(const Tensor& x) const {
  return run(x, nullptr);
}

Tensor Layer::run(const Tensor& x, const Behind* behind) const {
  Module& m = module();
  if (!m.built_) {
    const Shape sample = sample_of(x, m);
    if (m.state_)
      Builder::build(m, m.path_, sample);
    else
      build(sample, x.device(), {}, is_floating(x.dtype()) ? x.dtype() : DType::f32);
  }
  const bool begins = forward_depth == 0 && m.training_ && x.defined() && x.rank() > 0 &&
                      current_part("nn", x.shape(0)).first == 0;
  if (begins) m.state_->step = m.state_->next_step++;
  if (GraphRecording* r = GraphRecording::current()) [[unlikely]] {
    // A replay begins a step as this pass did, and computes in the mode and the arithmetic of this pass.
    if (begins) r->before_replay([state = m.state_] { state->step = state->next_step++; });
    r->before_replay_check([module = module_, training = m.training_, math = m.math_] {
      if (module->training_ != training)
        fail("graphed",
             "layer \"{}\", {}, was recorded in {} mode and is in {} mode now: make a Graphed for each",
             module->path_, module->describe(), training ? "training" : "evaluation",
             training ? "evaluation" : "training");
      if (module->math_ != math)
        fail("graphed",
             "layer \"{}\", {}, has been given another arithmetic (set_math) since the step was recorded: "
             "make a "
             "Graphed for each",
             module->path_, module->describe());
    });
  }
  DepthGuard guard;
  const MathScope arithmetic(m.math_);
  try {
    return behind != nullptr ? m.forward_with(x, *behind) : m.forward(x);
  } catch (const OutOfMemory&) {
    throw;
  } catch (const DeviceError&) {
    throw;
  } catch (const Error& error) {
    const std::string message = error.what();
    if (m.path_.empty() || message.find(" [layer ") != std::string::npos) throw;
    throw Error(error.op(), fmt::format("{} [layer {}, {}]", message.substr(error.op().size() + 2), m.path_,
                                        m.describe()));
  }
}

Tensor Builder::dry_run(Module& module, const Tensor& sample) {
  std::vector<std::pair<Module*, bool>> modes;
  for_each(module, [&](Module& m) { modes.emplace_back(&m, m.training_); });
  struct Restore {
    std::vector<std::pair<Module*, bool>>& modes;
    ~Restore() {
      for (auto [m, training] : modes) m->training_ = training;
    }
  } restore{modes};
  for (auto [m, training] : modes) m->training_ = false;
  NoGrad no_grad;
  DepthGuard guard;
  Tensor y = module.forward(sample);
  if (!y.defined() || y.rank() < 1 || y.shape(0) != sample.shape(0))
    fail("nn", "{} turned one sample into {}: the first axis must stay the batch", module.kind(),
         y.defined() ? fmt::format("{}", y.shape()) : "an undefined tensor");
  return y;
}

Module& Layer::module() const {
  if (!module_) fail("nn", "this layer is empty");
  return *module_;
}

const NetworkState& Layer::state() const {
  if (!module().state_)
    fail("nn", "{} is not built: call build(sample shape) or run it once", module().kind());
  return *module().state_;
}

}  // namespace isobit::nn
