// Schedules: pure functions of the step, in f64, with isobit's own cosine.
#include <isobit/error.h>
#include <isobit/optim_schedule.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/numerics/elementary.h"

namespace isobit::optim {
namespace {

constexpr double kPi = 3.141592653589793;

bool finite(double v) {
  return v - v == 0;
}

// From `from` at position 0 to `to` at position 1, along half a cosine.
double anneal(double from, double to, double position) {
  return to + (from - to) * (1 + numerics::cos(kPi * position)) / 2;
}

void need_steps(const char* op, std::int64_t steps, std::int64_t least) {
  if (steps < least) fail(op, "{} steps: there must be at least {}", steps, least);
}

// gamma^count by squaring: the same multiplications whoever asks.
double power(double gamma, std::int64_t count) {
  double result = 1;
  for (double square = gamma; count > 0; count /= 2, square *= square)
    if (count % 2 == 1) result *= square;
  return result;
}

void need_gamma(const char* op, double gamma) {
  if (!(gamma > 0) || !finite(gamma)) fail(op, "gamma is {}, it must be positive and finite", gamma);
}

}  // namespace

Schedule constant_rate() {
  return [](std::int64_t) { return 1.0; };
}

Schedule step_decay(std::int64_t every, double gamma) {
  need_steps("step_decay", every, 1);
  need_gamma("step_decay", gamma);
  return [=](std::int64_t step) { return power(gamma, std::max<std::int64_t>(step, 0) / every); };
}

Schedule milestones(std::vector<std::int64_t> at, double gamma) {
  need_gamma("milestones", gamma);
  if (!std::is_sorted(at.begin(), at.end())) fail("milestones", "the {} milestones must ascend", at.size());
  return [at = std::move(at), gamma](std::int64_t step) {
    return power(gamma, std::upper_bound(at.begin(), at.end(), step) - at.begin());
  };
}

Schedule cosine(std::int64_t total, double floor) {
  need_steps("cosine", total, 1);
  if (!(floor >= 0 && floor <= 1)) fail("cosine", "floor is {}, expected a factor in [0, 1]", floor);
  return [=](std::int64_t step) {
    const std::int64_t at = std::clamp<std::int64_t>(step, 0, total);
    if (at == total) return floor;
    return anneal(1, floor, static_cast<double>(at) / static_cast<double>(total));
  };
}

Schedule warm_up(std::int64_t steps, Schedule after) {
  need_steps("warm_up", steps, 0);
  if (!after) fail("warm_up", "no schedule follows: give one, e.g. constant_rate()");
  return [steps, after = std::move(after)](std::int64_t step) {
    const std::int64_t at = std::max<std::int64_t>(step, 0);
    if (at >= steps) return after(at - steps);
    return after(0) * (static_cast<double>(at + 1) / static_cast<double>(steps + 1));
  };
}

Schedule one_cycle(std::int64_t total, OneCycleOptions options) {
  need_steps("one_cycle", total, 1);
  if (!(options.warm >= 0 && options.warm < 1))
    fail("one_cycle", "warm is {}, expected a share in [0, 1)", options.warm);
  if (!(options.start_divisor >= 1 && options.end_divisor >= 1) || !finite(options.start_divisor) ||
      !finite(options.end_divisor))
    fail("one_cycle", "the divisors are {} and {}: both must be at least 1 and finite", options.start_divisor,
         options.end_divisor);
  const double start = 1 / options.start_divisor;
  const double end = start / options.end_divisor;
  const auto peak = static_cast<std::int64_t>(options.warm * static_cast<double>(total));
  return [=](std::int64_t step) {
    const std::int64_t at = std::clamp<std::int64_t>(step, 0, total - 1);
    if (at < peak) return anneal(start, 1, static_cast<double>(at) / static_cast<double>(peak));
    const std::int64_t fall = std::max<std::int64_t>(total - 1 - peak, 1);
    return anneal(1, end, static_cast<double>(at - peak) / static_cast<double>(fall));
  };
}

Plateau::Plateau(PlateauOptions options) : options_(options) {
  if (!(options.factor > 0 && options.factor < 1))
    fail("plateau", "factor is {}, expected a number in (0, 1)", options.factor);
  if (options.patience < 0) fail("plateau", "patience is {}, it must not be negative", options.patience);
  if (!(options.threshold >= 0 && options.threshold < 1))
    fail("plateau", "threshold is {}, expected a share in [0, 1)", options.threshold);
  if (!(options.floor >= 0 && options.floor <= 1))
    fail("plateau", "floor is {}, expected a factor in [0, 1]", options.floor);
}

double Plateau::report(double value) {
  const double margin = best_ < 0 ? -best_ * options_.threshold : best_ * options_.threshold;
  if (value == value && (!any_ || value < best_ - margin)) {
    any_ = true;
    best_ = value;
    bad_ = 0;
  } else if (++bad_ > options_.patience) {
    factor_ = std::max(factor_ * options_.factor, options_.floor);
    bad_ = 0;
  }
  return factor_;
}

std::vector<double> Plateau::state() const {
  return {factor_, best_, static_cast<double>(bad_), any_ ? 1.0 : 0.0};
}

void Plateau::load_state(const std::vector<double>& state) {
  if (state.size() != 4 || !(state[0] >= 0 && state[0] <= 1) || !finite(state[1]) ||
      !(state[2] >= 0 && state[2] < 2e9) || (state[3] != 0 && state[3] != 1))
    fail("plateau",
         "not a state: {} numbers, expected factor, best value, reports without improvement, 0 or 1",
         state.size());
  factor_ = state[0];
  best_ = state[1];
  bad_ = static_cast<int>(state[2]);
  any_ = state[3] == 1;
}

}  // namespace isobit::optim
