// Optimizers, schedules, clipping.
#include <isobit/optim.h>
#include <nanobind/stl/tuple.h>

#include "layer.h"
#include "module.h"

namespace isobit::python {
namespace {

using namespace optim;

/// Parameters, or groups of them: a list of dicts {"params" or "parameters": [...], option: value}.
bool is_groups(nb::handle parameters) {
  if (!nb::isinstance<nb::sequence>(parameters) || nb::len(parameters) == 0) return false;
  return nb::isinstance<nb::dict>(nb::object(parameters[0]));
}

/// An option by name, for the options of a group.
template <class Options>
using Setter = void (*)(Options&, const std::string& option, nb::handle value);

template <class Options>
std::vector<Group<Options>> groups_of(nb::handle groups, const Options& defaults, Setter<Options> set) {
  std::vector<Group<Options>> result;
  for (const nb::handle entry : nb::borrow<nb::sequence>(groups)) {
    Group<Options> group{{}, defaults};
    if (!nb::isinstance<nb::dict>(entry))
      throw nb::type_error(
          fmt::format("groups: expected a dict for each group, got {}", nb::type_name(entry.type()).c_str())
              .c_str());
    for (const auto& [key, value] : nb::borrow<nb::dict>(entry)) {
      const std::string option = to_text(key, "groups");
      if (option == "parameters")
        group.parameters = TensorsKind::parse(value, "parameters");
      else
        set(group.options, option, value);
    }
    result.push_back(std::move(group));
  }
  return result;
}

[[noreturn]] void unknown(const std::string& option) {
  throw nb::type_error(fmt::format("groups: there is no option '{}'", option).c_str());
}

void set_sgd(SGDOptions& o, const std::string& option, nb::handle value) {
  if (option == "lr")
    o.lr = to_double(value, "lr");
  else if (option == "momentum")
    o.momentum = to_double(value, "momentum");
  else if (option == "nesterov")
    o.nesterov = to_bool(value, "nesterov");
  else if (option == "weight_decay")
    o.weight_decay = to_double(value, "weight_decay");
  else
    unknown(option);
}
template <class Options>
void set_adam(Options& o, const std::string& option, nb::handle value) {
  if (option == "lr")
    o.lr = to_double(value, "lr");
  else if (option == "beta1")
    o.beta1 = to_double(value, "beta1");
  else if (option == "beta2")
    o.beta2 = to_double(value, "beta2");
  else if (option == "eps")
    o.eps = to_double(value, "eps");
  else if (option == "weight_decay")
    o.weight_decay = to_double(value, "weight_decay");
  else
    unknown(option);
}
void set_rmsprop(RMSpropOptions& o, const std::string& option, nb::handle value) {
  if (option == "lr")
    o.lr = to_double(value, "lr");
  else if (option == "alpha")
    o.alpha = to_double(value, "alpha");
  else if (option == "eps")
    o.eps = to_double(value, "eps");
  else if (option == "momentum")
    o.momentum = to_double(value, "momentum");
  else if (option == "weight_decay")
    o.weight_decay = to_double(value, "weight_decay");
  else
    unknown(option);
}

template <class T, class Options>
void make(T* self, nb::handle parameters, const Options& options, Setter<Options> set) {
  if (is_groups(parameters))
    new (self) T(groups_of(parameters, options, set));
  else
    new (self) T(TensorsKind::parse(parameters, "parameters"), options);
}

void bind_optimizer(nb::module_& m) {
  nb::class_<Optimizer>(m, "Optimizer", "What all optimizers can do.")
      .def(
          "step", [](Optimizer& o) { unlocked([&] { o.step(); }); },
          "One step on every parameter, then clears the gradients. ValueError, and nothing has changed, when "
          "a parameter "
          "has no gradient or one of another shape, dtype or device.")
      .def("zero_grad", &Optimizer::zero_grad)
      .def(
          "lr", [](const Optimizer& o, std::size_t group) { return o.lr(group); }, "group"_a = 0,
          "The group's rate as given; a step uses lr * lr_factor.")
      .def(
          "set_lr",
          [](Optimizer& o, double lr, std::optional<std::size_t> group) {
            if (group)
              o.set_lr(*group, lr);
            else
              o.set_lr(lr);
          },
          "lr"_a, "group"_a = nb::none(), "Of one group, or of all.")
      .def("lr_factor", &Optimizer::lr_factor)
      .def("set_lr_factor", &Optimizer::set_lr_factor, "factor"_a)
      .def_prop_ro("kind", &Optimizer::kind, "\"sgd\", \"adam\", \"adamw\", \"rmsprop\"")
      .def("steps", &Optimizer::steps)
      .def("groups", &Optimizer::groups)
      .def("parameters", &Optimizer::parameters, "All parameters, group by group.")
      .def(
          "state_dict", [](const Optimizer& o) { return to_dict(o.state_dict()); },
          "Moments and counters, for resuming. Copies nothing.")
      .def(
          "load_state_dict",
          [](Optimizer& o, nb::handle state) { o.load_state_dict(to_state(state, "state")); }, "state"_a,
          "ValueError naming every missing, unexpected and misshapen entry, and then nothing has changed.");
}

constexpr const char* kGroups =
    "parameters: tensors, or groups with options of their own: [{\"parameters\": [...], \"lr\": 0.1}, ...].";

void bind_kinds(nb::module_& m) {
  nb::class_<SGD, Optimizer>(m, "SGD", kGroups)
      .def(
          "__init__",
          [](SGD* self, nb::handle parameters, double lr, double momentum, bool nesterov,
             double weight_decay) {
            make(self, parameters, SGDOptions{lr, momentum, nesterov, weight_decay}, set_sgd);
          },
          "parameters"_a, "lr"_a = 0.01, "momentum"_a = 0.0, "nesterov"_a = false, "weight_decay"_a = 0.0);
  nb::class_<Adam, Optimizer>(m, "Adam", "Kingma and Ba 2015; weight decay is added to the gradient.")
      .def(
          "__init__",
          [](Adam* self, nb::handle parameters, double lr, double beta1, double beta2, double eps,
             double weight_decay) {
            make(self, parameters, AdamOptions{lr, beta1, beta2, eps, weight_decay}, set_adam<AdamOptions>);
          },
          "parameters"_a, "lr"_a = 1e-3, "beta1"_a = 0.9, "beta2"_a = 0.999, "eps"_a = 1e-8,
          "weight_decay"_a = 0.0);
  nb::class_<AdamW, Optimizer>(m, "AdamW", "Loshchilov and Hutter 2019; weight decay is decoupled.")
      .def(
          "__init__",
          [](AdamW* self, nb::handle parameters, double lr, double beta1, double beta2, double eps,
             double weight_decay) {
            make(self, parameters, AdamWOptions{lr, beta1, beta2, eps, weight_decay}, set_adam<AdamWOptions>);
          },
          "parameters"_a, "lr"_a = 1e-3, "beta1"_a = 0.9, "beta2"_a = 0.999, "eps"_a = 1e-8,
          "weight_decay"_a = 0.01);
  nb::class_<RMSprop, Optimizer>(m, "RMSprop", "alpha: share of the old mean square.")
      .def(
          "__init__",
          [](RMSprop* self, nb::handle parameters, double lr, double alpha, double eps, double momentum,
             double weight_decay) {
            make(self, parameters, RMSpropOptions{lr, alpha, eps, momentum, weight_decay}, set_rmsprop);
          },
          "parameters"_a, "lr"_a = 0.01, "alpha"_a = 0.99, "eps"_a = 1e-8, "momentum"_a = 0.0,
          "weight_decay"_a = 0.0);
}

/// A schedule as an object that is called with the step. (Python's own functions of a step are schedules as
/// well.)
struct Rate {
  Schedule schedule;
};

Schedule schedule_of(nb::handle v) {
  if (nb::isinstance<Rate>(v)) return nb::cast<Rate&>(v).schedule;
  if (PyCallable_Check(v.ptr()) == 0) throw nb::type_error("after: expected a schedule");
  return [f = Callable(nb::borrow(v))](std::int64_t step) {
    nb::gil_scoped_acquire locked;
    return to_double(nb::object(f.get()(step)), "schedule's result");
  };
}

void bind_schedules(nb::module_& m) {
  nb::class_<Rate>(m, "Schedule",
                   "A function from a step (counted from 0) to the factor of the optimizer's rates.")
      .def(
          "__call__", [](const Rate& r, IntArg step) { return r.schedule(step("step")); }, "step"_a);
  m.def(
      "constant_rate", [] { return Rate{constant_rate()}; }, "1 for ever.");
  m.def(
      "step_decay", [](IntArg every, double gamma) { return Rate{step_decay(every("every"), gamma)}; },
      "every"_a, "gamma"_a = 0.1, "gamma^(step / every): multiplied by gamma each `every` steps.");
  m.def(
      "milestones",
      [](ShapeArg at, double gamma) { return Rate{milestones(to_ints(at.value, "at"), gamma)}; }, "at"_a,
      "gamma"_a = 0.1, "Multiplied by gamma at each of the ascending milestones.");
  m.def(
      "cosine", [](IntArg total, double floor) { return Rate{cosine(total("total"), floor)}; }, "total"_a,
      "floor"_a = 0.0, "From 1 down to floor at `total`.");
  m.def(
      "warm_up",
      [](IntArg steps, nb::handle after) { return Rate{warm_up(steps("steps"), schedule_of(after))}; },
      "steps"_a, "after"_a, "Rises linearly for `steps` steps, then runs `after` from its step 0.");
  m.def(
      "one_cycle",
      [](IntArg total, double warm, double start_divisor, double end_divisor) {
        return Rate{one_cycle(total("total"), {warm, start_divisor, end_divisor})};
      },
      "total"_a, "warm"_a = 0.3, "start_divisor"_a = 25.0, "end_divisor"_a = 1e4, "Smith and Topin 2018.");
  nb::class_<Plateau>(m, "Plateau", "Lowers the rate when a measure stops falling.")
      .def(
          "__init__",
          [](Plateau* self, double factor, int patience, double threshold, double floor) {
            new (self) Plateau({factor, patience, threshold, floor});
          },
          "factor"_a = 0.1, "patience"_a = 10, "threshold"_a = 1e-4, "floor"_a = 0.0)
      .def("report", &Plateau::report, "value"_a,
           "Reports a loss and returns the factor from now on. NaN counts as no improvement.")
      .def("factor", &Plateau::factor)
      .def("state", &Plateau::state)
      .def("load_state", &Plateau::load_state, "state"_a);
}

void bind_loss_scale(nb::module_& m) {
  nb::class_<LossScale>(
      m, "LossScale",
      "For training in f16: scale.scaled(loss).backward(), then if scale.unscale(parameters): "
      "optimizer.step(). A factor, always a power of two, brings small gradients into the operands' range "
      "and is "
      "taken back before the step. dynamic: halved when a gradient is not finite (that step is left out), "
      "doubled after growth_interval good steps in a row.")
      .def(
          "__init__",
          [](LossScale* self, double initial, bool dynamic, IntArg growth_interval) {
            new (self) LossScale({initial, dynamic, growth_interval("growth_interval")});
          },
          "initial"_a = LossScaleOptions().initial, "dynamic"_a = true,
          "growth_interval"_a = LossScaleOptions().growth_interval)
      .def_prop_ro("scale", &LossScale::scale)
      .def_prop_ro(
          "skipped", [](const LossScale& s) { return s.state().skipped; }, "Steps left out, in all.")
      .def("scaled", &LossScale::scaled, "loss"_a, "loss * scale; of scale 1 the loss itself.")
      .def(
          "unscale",
          [](LossScale& s, TensorsArg parameters) {
            const auto p = parameters("parameters");
            return unlocked([&] { return s.unscale(p); });
          },
          "parameters"_a,
          "After backward, once a step, before clipping: divides the gradients by the scale. False, and they "
          "are "
          "cleared, where one is not finite. ValueError when the scale cannot be halved.")
      .def(
          "state",
          [](const LossScale& s) {
            return nb::make_tuple(s.state().scale, s.state().good, s.state().skipped);
          },
          nb::sig("def state(self) -> tuple[float, int, int]"), "All that changes, for load_state.")
      .def(
          "load_state",
          [](LossScale& s, std::tuple<double, std::int64_t, std::int64_t> state) {
            s.set_state({std::get<0>(state), std::get<1>(state), std::get<2>(state)});
          },
          "state"_a);
}

}  // namespace

void bind_optim(nb::module_& parent) {
  nb::module_ m = parent.def_submodule("optim", "Optimizers, schedules, clipping.");
  bind_optimizer(m);
  bind_kinds(m);
  bind_schedules(m);
  bind_loss_scale(m);
  m.def(
      "clip_norm",
      [](TensorsArg parameters, double max_norm) {
        const auto p = parameters("parameters");
        return unlocked([&] { return clip_norm(p, max_norm); });
      },
      "parameters"_a, "max_norm"_a,
      "Scales all gradients by max_norm / norm when their joint Euclidean norm exceeds max_norm, and returns "
      "the norm "
      "from before.");
  m.def(
      "clip_value",
      [](TensorsArg parameters, double limit) {
        const auto p = parameters("parameters");
        unlocked([&] { clip_value(p, limit); });
      },
      "parameters"_a, "limit"_a, "Clamps every element of every gradient to [-limit, limit]; NaN stays NaN.");
}

}  // namespace isobit::python
