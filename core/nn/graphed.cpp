// Graphed: which graph a call means, and the order of what a recording and a replay do.
#include <isobit/arithmetic.h>
#include <isobit/autograd.h>
#include <isobit/nn_graphed.h>
#include <isobit/parts.h>

#include <utility>

#include "core/graph_recording.h"
#include "core/tensor/impl.h"

namespace isobit::nn {
namespace {

/// A recorded step. Members go in reverse order: the device's graph before what it reads and writes.
struct Recorded {
  explicit Recorded(Device device) : host(device) {}
  GraphRecording host;
  std::vector<Tensor> inputs, outputs;
  std::unique_ptr<WorkGraph> work;
};

/// Calls alike: a graph serves one dtype and shape of each input, one mode of gradients, one arithmetic.
struct Entry {
  explicit Entry(const std::vector<Tensor>& inputs) : grad(grad_enabled()), math(current_math()) {
    for (const Tensor& x : inputs) kinds.emplace_back(x.dtype(), x.shape());
  }
  bool operator==(const Entry& o) const { return grad == o.grad && math == o.math && kinds == o.kinds; }
  bool grad;
  Math math;
  std::vector<std::pair<DType, Shape>> kinds;
  std::unique_ptr<Recorded> recorded;  // null until the second call
};

}  // namespace

struct Graphed::Body {
  Device device;
  Step step;
  std::vector<std::unique_ptr<Entry>> entries;
  std::int64_t replays = 0;

  std::vector<Tensor> run(const std::vector<Tensor>& inputs) const {
    std::vector<Tensor> results = step(inputs);
    for (std::size_t i = 0; i < results.size(); ++i) {
      if (!results[i].defined()) fail("graphed", "result {} of the step is undefined", i);
      if (!(results[i].device() == device))
        fail("graphed", "result {} of the step is on {}, the step was to compute on {}", i,
             results[i].device(), device);
      results[i] = results[i].detach();
    }
    return results;
  }
  void check(const std::vector<Tensor>& inputs) const;
  std::unique_ptr<Recorded> record(std::vector<Tensor> inputs, WorkRecorder& recorder) const;
};

void Graphed::Body::check(const std::vector<Tensor>& inputs) const {
  if (in_part())
    fail("graphed",
         "called for a part of a batch (PartScope), whose place a graph would keep for ever: let the step go "
         "through the parts itself");
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (!inputs[i].defined()) fail("graphed", "input {} is undefined", i);
    if (!(inputs[i].device() == device))
      fail("graphed", "input {} is on {}, the step computes on {}", i, inputs[i].device(), device);
    if (inputs[i].requires_grad())
      fail("graphed", "input {} {} requires a gradient, which does not reach beyond a graph: detach() it", i,
           inputs[i].shape());
  }
}

std::unique_ptr<Recorded> Graphed::Body::record(std::vector<Tensor> inputs, WorkRecorder& recorder) const {
  auto recorded = std::make_unique<Recorded>(device);
  const GraphRecording::Scope scope(recorded->host, recorder);
  recorded->inputs = std::move(inputs);
  // Whatever happens, what was recorded is done: tensors that the step put somewhere hold their values.
  try {
    recorded->outputs = run(recorded->inputs);
  } catch (...) {
    try {
      recorder.finish()->run();
    } catch (const Error&) {  // the step's own error says more
    }
    throw;
  }
  recorded->work = recorder.finish();
  recorded->work->run();
  recorded->host.finish();
  return recorded;
}

Graphed::Graphed(Device device, Step step) : body_(std::make_unique<Body>()) {
  if (!step) fail("graphed", "the step is an empty function");
  backend(device);  // throws for a device that is not there
  body_->device = device;
  body_->step = std::move(step);
}
Graphed::~Graphed() = default;
Graphed::Graphed(Graphed&&) noexcept = default;
Graphed& Graphed::operator=(Graphed&&) noexcept = default;

std::vector<Tensor> Graphed::operator()(const std::vector<Tensor>& inputs) {
  Body& b = *body_;
  b.check(inputs);
  if (GraphRecording::current() != nullptr) return b.run(inputs);  // it is part of that graph
  auto wanted = std::make_unique<Entry>(inputs);
  Entry* entry = nullptr;
  for (const auto& known : b.entries)
    if (*known == *wanted) entry = known.get();
  if (entry == nullptr) {
    std::vector<Tensor> results = b.run(inputs);
    if (b.entries.size() < kGraphs) b.entries.push_back(std::move(wanted));
    return results;
  }
  if (entry->recorded == nullptr) {
    std::vector<Tensor> held;
    for (const Tensor& x : inputs) held.push_back(x.clone());
    std::unique_ptr<WorkRecorder> recorder = backend(b.device).record_work();
    if (recorder == nullptr) return b.run(inputs);
    entry->recorded = b.record(std::move(held), *recorder);
  } else {
    for (std::size_t i = 0; i < inputs.size(); ++i) entry->recorded->inputs[i].copy_from(inputs[i]);
    entry->recorded->host.prepare_replay();
    entry->recorded->work->run();
    ++b.replays;
  }
  std::vector<Tensor> results;
  for (const Tensor& y : entry->recorded->outputs) results.push_back(y.clone());
  return results;
}

std::int64_t Graphed::graphs() const {
  std::int64_t count = 0;
  for (const auto& entry : body_->entries) count += entry->recorded != nullptr ? 1 : 0;
  return count;
}

std::int64_t Graphed::nodes() const {
  std::int64_t count = 0;
  for (const auto& entry : body_->entries)
    count += entry->recorded != nullptr ? entry->recorded->work->nodes() : 0;
  return count;
}

std::int64_t Graphed::replays() const {
  return body_->replays;
}

void Graphed::forget() {
  body_->entries.clear();
}

}  // namespace isobit::nn
