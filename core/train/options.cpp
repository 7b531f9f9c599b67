// Options of a run: checks, and the optimizer and schedule they name.
#include "core/train/options.h"

#include <isobit/arithmetic.h>
#include <isobit/error.h>

#include <algorithm>
#include <charconv>

namespace isobit::train {
namespace {

bool finite(double v) {
  return v - v == 0;
}

void not_negative(const char* name, double v) {
  if (!(v >= 0) || !finite(v)) fail("train", "{} is {}, it must be finite and not negative", name, v);
}

void share(const char* name, double v) {
  if (!(v >= 0 && v < 1)) fail("train", "{} is {}, expected a number in [0, 1)", name, v);
}

void at_least(const char* name, std::int64_t v, std::int64_t least) {
  if (v < least) fail("train", "{} is {}, it must be at least {}", name, v, least);
}

void one_of(const char* name, const std::string& value, std::initializer_list<const char*> known) {
  std::string list;
  for (const char* k : known) {
    if (value == k) return;
    list += (list.empty() ? "" : ", ") + std::string(k);
  }
  fail("train", "{} is \"{}\", choose one of {}", name, value, list);
}

}  // namespace

double default_lr(const std::string& optimizer) {
  one_of("optimizer", optimizer, {"sgd", "adam", "adamw", "rmsprop"});
  return optimizer == "sgd" ? 0.05 : 0.001;
}

void Options::check() const {
  at_least("epochs", epochs, 0);
  at_least("batch", batch, 1);
  one_of("optimizer", optimizer, {"sgd", "adam", "adamw", "rmsprop"});
  one_of("schedule", schedule, {"constant", "step", "cosine", "one-cycle"});
  not_negative("lr", lr);
  share("momentum", momentum);
  if (nesterov && !(momentum > 0))
    fail("train", "nesterov needs a momentum above 0, momentum is {}", momentum);
  not_negative("weight-decay", weight_decay);
  at_least("warm-up", warm_up, 0);
  not_negative("clip-norm", clip_norm);
  share("label-smoothing", label_smoothing);
  parse_math(math);
  make_loss_scale(*this);
  at_least("limit", limit, 0);
  at_least("crop", augment.crop_pad, 0);
  at_least("shift", augment.shift, 0);
}

std::unique_ptr<optim::Optimizer> make_optimizer(const Options& o, std::vector<Tensor> parameters) {
  if (o.optimizer == "sgd")
    return std::make_unique<optim::SGD>(std::move(parameters),
                                        optim::SGDOptions{o.lr, o.momentum, o.nesterov, o.weight_decay});
  if (o.optimizer == "adam")
    return std::make_unique<optim::Adam>(std::move(parameters),
                                         optim::AdamOptions{.lr = o.lr, .weight_decay = o.weight_decay});
  if (o.optimizer == "adamw")
    return std::make_unique<optim::AdamW>(std::move(parameters),
                                          optim::AdamWOptions{.lr = o.lr, .weight_decay = o.weight_decay});
  return std::make_unique<optim::RMSprop>(
      std::move(parameters),
      optim::RMSpropOptions{.lr = o.lr, .momentum = o.momentum, .weight_decay = o.weight_decay});
}

std::optional<optim::LossScale> make_loss_scale(const Options& o) {
  if (o.loss_scale == "1") return {};
  if (o.loss_scale == "dynamic") return optim::LossScale();
  std::int64_t fixed = 0;
  const char* end = o.loss_scale.data() + o.loss_scale.size();
  const auto [stop, error] = std::from_chars(o.loss_scale.data(), end, fixed);
  if (error != std::errc() || stop != end)
    fail("train", "loss-scale is \"{}\", expected dynamic or a power of two", o.loss_scale);
  return optim::LossScale({.initial = static_cast<double>(fixed), .dynamic = false});
}

optim::Schedule make_schedule(const Options& o, std::int64_t total_steps) {
  const std::int64_t rest = std::max<std::int64_t>(total_steps - o.warm_up, 1);
  optim::Schedule schedule;
  if (o.schedule == "constant")
    schedule = optim::constant_rate();
  else if (o.schedule == "step")
    schedule = optim::milestones({rest / 2, rest / 4 * 3}, 0.1);
  else if (o.schedule == "cosine")
    schedule = optim::cosine(rest);
  else
    schedule = optim::one_cycle(rest);
  return o.warm_up > 0 ? optim::warm_up(o.warm_up, schedule) : schedule;
}

}  // namespace isobit::train
