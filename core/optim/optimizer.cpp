// Optimizer: checks, one kernel call a group, counters. The arithmetic is the device's (core/backend.h).
#include "core/optim/optimizer.h"

#include <isobit/autograd.h>

#include <unordered_set>

#include "core/graph_recording.h"
#include "core/nn/state_dict.h"

namespace isobit::optim {
namespace {

const char* name_of_kind(OptimizerKind kind) {
  switch (kind) {
    case OptimizerKind::sgd:
      return "sgd";
    case OptimizerKind::adam:
      return "adam";
    case OptimizerKind::adamw:
      return "adamw";
    case OptimizerKind::rmsprop:
      return "rmsprop";
  }
  return "?";
}

// NaN and infinities fail.
bool in_range(double v, double low, double below) {
  return v >= low && v < below;
}
constexpr double kHuge = 1.7976931348623157e308;

void check_rate(const char* op, double lr) {
  if (!in_range(lr, 0, kHuge)) fail(op, "lr is {}, it must be finite and not negative", lr);
}

void check_hyper(const char* op, const OptimizerHyper& h) {
  check_rate(op, h.lr);
  if (!in_range(h.weight_decay, 0, kHuge))
    fail(op, "weight_decay is {}, it must be finite and not negative", h.weight_decay);
  if (!in_range(h.momentum, 0, 1)) fail(op, "momentum is {}, expected a number in [0, 1)", h.momentum);
  if (h.nesterov && !(h.momentum > 0))
    fail(op, "nesterov needs a momentum above 0, momentum is {}", h.momentum);
  if (!in_range(h.beta1, 0, 1)) fail(op, "beta1 is {}, expected a number in [0, 1)", h.beta1);
  if (!in_range(h.beta2, 0, 1))
    fail(op, "{} is {}, expected a number in [0, 1)", h.kind == OptimizerKind::rmsprop ? "alpha" : "beta2",
         h.beta2);
  if (!in_range(h.eps, 0, kHuge)) fail(op, "eps is {}, it must be finite and not negative", h.eps);
}

std::string where(std::size_t group, std::size_t index, const Tensor& parameter) {
  return fmt::format("parameter {} {} of group {}", index, parameter.shape(), group);
}

View writable(Tensor& t) {
  return t.defined() ? View{t.mutable_raw(), t.dtype(), t.numel()} : View{};
}

Tensor scalar_f64(std::initializer_list<double> values) {
  return from_vector(std::vector<double>(values), Shape{static_cast<std::int64_t>(values.size())});
}

// A replay steps what the recorded step did.
void check_frozen_alike(GraphRecording& recording, const std::shared_ptr<OptimizerBody>& body, std::size_t g,
                        std::size_t i) {
  const bool stepped = body->groups[g].slots[i].parameter.requires_grad();
  recording.before_replay_check([=] {
    const Tensor& p = body->groups[g].slots[i].parameter;
    if (p.requires_grad() != stepped)
      fail(body->name(), "{} was {} when the graph was recorded and is not now: make a new Graphed",
           where(g, i, p), stepped ? "trained" : "frozen");
  });
}

}  // namespace

const char* OptimizerBody::name() const {
  return name_of_kind(kind);
}

GroupBody& OptimizerBody::group(std::size_t i) {
  if (i >= groups.size()) fail(name(), "there is no group {}, there are {}", i, groups.size());
  return groups[i];
}

std::unique_ptr<OptimizerBody> make_body(OptimizerKind kind, const std::vector<GroupSpec>& specs) {
  const char* op = name_of_kind(kind);
  auto body = std::make_unique<OptimizerBody>();
  body->kind = kind;
  std::unordered_set<TensorImpl*> seen;
  std::int64_t count = 0;
  for (std::size_t g = 0; g < specs.size(); ++g) {
    GroupBody group;
    group.hyper = specs[g].hyper;
    group.hyper.kind = kind;
    check_hyper(op, group.hyper);
    for (std::size_t i = 0; i < specs[g].parameters.size(); ++i) {
      const Tensor& p = specs[g].parameters[i];
      if (!p.defined()) fail(op, "parameter {} of group {} is undefined", i, g);
      if (p.dtype() != DType::f32 && p.dtype() != DType::f64)
        fail(op, "{} is {}: optimizers step f32 and f64 parameters", where(g, i, p), p.dtype());
      if (!p.is_leaf()) fail(op, "{} is the result of an op, not a parameter", where(g, i, p));
      if (!seen.insert(p.impl()).second) fail(op, "{} is listed twice", where(g, i, p));
      if (!(p.device() == specs[g].parameters.front().device()))
        fail(op, "{} is on {}, parameter 0 is on {}: a group lives on one device", where(g, i, p), p.device(),
             specs[g].parameters.front().device());
      Slot slot{p, {}, {}};
      const TensorOptions options{p.dtype(), p.device()};
      if (specs[g].state1) slot.state1 = zeros(p.shape(), options);
      if (specs[g].state2) slot.state2 = zeros(p.shape(), options);
      group.slots.push_back(std::move(slot));
      ++count;
    }
    body->groups.push_back(std::move(group));
  }
  if (count == 0) fail(op, "there is no parameter to step");
  return body;
}

void OptimizerBody::advance() {
  ++steps;
  if (!has_powers()) return;
  for (GroupBody& group : groups) {
    group.power1 *= group.hyper.beta1;
    group.power2 *= group.hyper.beta2;
    group.hyper.correction1 = 1 - group.power1;
    group.hyper.correction2 = 1 - group.power2;
  }
}

OptimizerHyper OptimizerBody::numbers(const GroupBody& group) const {
  OptimizerHyper hyper = group.hyper;
  hyper.lr = group.hyper.lr * factor;
  return hyper;
}

Optimizer::Optimizer(std::unique_ptr<OptimizerBody> body) : body_(std::move(body)) {}
Optimizer::~Optimizer() = default;
Optimizer::Optimizer(Optimizer&&) noexcept = default;
Optimizer& Optimizer::operator=(Optimizer&&) noexcept = default;

void Optimizer::step() {
  const char* op = body_->name();
  // All checks first: an Error leaves every parameter as it was.
  std::vector<std::vector<Tensor>> gradients;  // per group, undefined where the parameter stands still
  for (std::size_t g = 0; g < body_->groups.size(); ++g) {
    const GroupBody& group = body_->groups[g];
    gradients.emplace_back();
    for (std::size_t i = 0; i < group.slots.size(); ++i) {
      const Tensor& p = group.slots[i].parameter;
      Tensor grad;
      if (p.requires_grad()) {
        grad = p.grad();
        if (!grad.defined())
          fail(op,
               "{} has no gradient: call backward() on a loss that depends on it, or freeze it with "
               "set_requires_grad(false)",
               where(g, i, p));
        if (grad.shape() != p.shape() || grad.dtype() != p.dtype() || !(grad.device() == p.device()))
          fail(op, "the gradient of {} ({} on {}) is {} {} on {}", where(g, i, p), p.dtype(), p.device(),
               grad.dtype(), grad.shape(), grad.device());
      }
      gradients.back().push_back(std::move(grad));
    }
  }
  body_->advance();
  GraphRecording* const recording = GraphRecording::current();
  if (recording != nullptr) [[unlikely]]
    recording->before_replay([body = body_] { body->advance(); });
  for (std::size_t g = 0; g < body_->groups.size(); ++g) {
    GroupBody& group = body_->groups[g];
    std::vector<OptimizerSlot> slots;
    for (std::size_t i = 0; i < group.slots.size(); ++i) {
      const Tensor& grad = gradients[g][i];
      if (recording != nullptr) [[unlikely]]
        check_frozen_alike(*recording, body_, g, i);
      if (!grad.defined() || grad.numel() == 0) continue;
      Slot& s = group.slots[i];
      slots.push_back({writable(s.parameter),
                       {grad.raw(), grad.dtype(), grad.numel()},
                       writable(s.state1),
                       writable(s.state2)});
    }
    if (slots.empty()) continue;
    // On the heap, where a graph's replays find the numbers of their step.
    const auto numbers = std::make_shared<OptimizerHyper>(body_->numbers(group));
    if (recording != nullptr) [[unlikely]]
      recording->before_replay([body = body_, numbers, g] { *numbers = body->numbers(body->groups[g]); });
    backend(group.slots.front().parameter.device()).optimizer_step(*numbers, slots);
  }
  zero_grad();
}

void Optimizer::zero_grad() {
  for (GroupBody& group : body_->groups)
    for (Slot& slot : group.slots) slot.parameter.zero_grad();
}

double Optimizer::lr(std::size_t group) const {
  return body_->group(group).hyper.lr;
}
void Optimizer::set_lr(double lr) {
  check_rate(body_->name(), lr);
  for (GroupBody& group : body_->groups) group.hyper.lr = lr;
}
void Optimizer::set_lr(std::size_t group, double lr) {
  check_rate(body_->name(), lr);
  body_->group(group).hyper.lr = lr;
}
double Optimizer::lr_factor() const {
  return body_->factor;
}
void Optimizer::set_lr_factor(double factor) {
  if (!in_range(factor, 0, kHuge))
    fail(body_->name(), "the factor of the learning rate is {}, it must be finite and not negative", factor);
  body_->factor = factor;
}

std::string Optimizer::kind() const {
  return body_->name();
}
std::int64_t Optimizer::steps() const {
  return body_->steps;
}
std::size_t Optimizer::groups() const {
  return body_->groups.size();
}

std::vector<Tensor> Optimizer::parameters() const {
  std::vector<Tensor> result;
  for (const GroupBody& group : body_->groups)
    for (const Slot& slot : group.slots) result.push_back(slot.parameter);
  return result;
}

nn::StateDict Optimizer::state_dict() const {
  nn::StateDict result;
  result.emplace_back("steps", from_vector(std::vector<std::int64_t>{body_->steps}, Shape{1}));
  for (std::size_t g = 0; g < body_->groups.size(); ++g) {
    const GroupBody& group = body_->groups[g];
    result.emplace_back(fmt::format("{}.lr", g), scalar_f64({group.hyper.lr}));
    if (body_->has_powers())
      result.emplace_back(fmt::format("{}.powers", g), scalar_f64({group.power1, group.power2}));
    for (std::size_t i = 0; i < group.slots.size(); ++i) {
      const Slot& slot = group.slots[i];
      if (slot.state1.defined()) result.emplace_back(fmt::format("{}.{}.state1", g, i), slot.state1);
      if (slot.state2.defined()) result.emplace_back(fmt::format("{}.{}.state2", g, i), slot.state2);
    }
  }
  return result;
}

void Optimizer::load_state_dict(const nn::StateDict& state) {
  const nn::StateDict have = state_dict();
  // The counters are copies: they are checked and read before the moments are written.
  std::int64_t steps = body_->steps;
  std::vector<double> rates(groups()), power1(groups(), 1.0), power2(groups(), 1.0);
  for (const auto& [name, tensor] : state) {
    if (!tensor.defined()) continue;
    if (name == "steps" && tensor.dtype() == DType::i64 && tensor.numel() == 1)
      steps = tensor.to_vector<std::int64_t>()[0];
    for (std::size_t g = 0; g < groups(); ++g) {
      if (name == fmt::format("{}.lr", g) && tensor.dtype() == DType::f64 && tensor.numel() == 1)
        rates[g] = tensor.to_vector<double>()[0];
      if (name == fmt::format("{}.powers", g) && tensor.dtype() == DType::f64 && tensor.numel() == 2) {
        power1[g] = tensor.to_vector<double>()[0];
        power2[g] = tensor.to_vector<double>()[1];
      }
    }
  }
  const std::string op = std::string(body_->name()) + " load_state_dict";
  if (steps < 0) fail(op, "\"steps\" is {}, it must not be negative", steps);
  for (std::size_t g = 0; g < groups(); ++g) {
    check_rate(op.c_str(), rates[g]);
    if (!in_range(power1[g], 0, 1.0000001) || !in_range(power2[g], 0, 1.0000001))
      fail(op, "\"{}.powers\" are {} and {}, expected numbers in [0, 1]", g, power1[g], power2[g]);
  }
  nn::copy_state(op.c_str(), have, state);
  body_->steps = steps;
  for (std::size_t g = 0; g < groups(); ++g) {
    GroupBody& group = body_->groups[g];
    group.hyper.lr = rates[g];
    group.power1 = power1[g];
    group.power2 = power2[g];
  }
}

}  // namespace isobit::optim
