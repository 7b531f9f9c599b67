// Schedules of the learning rate: pure functions from a step (counted from 0) to the factor by which the
// optimizer's rates are multiplied. Computed in f64 with isobit's own functions: the same bits everywhere.
//
//   const auto schedule = optim::warm_up(100, optim::cosine(3000));
//   sgd.set_lr_factor(schedule(step));
#pragma once
#include <cstdint>
#include <functional>
#include <vector>

namespace isobit::optim {

/// step -> factor. Steps before 0 count as 0; past the end the last value stays.
using Schedule = std::function<double(std::int64_t step)>;

/// 1 for ever.
Schedule constant_rate();
/// gamma^(step / every): multiplied by gamma each `every` steps (by squaring). Error unless
/// every > 0 and gamma > 0.
Schedule step_decay(std::int64_t every, double gamma = 0.1);
/// Multiplied by gamma at each of the ascending milestones.
Schedule milestones(std::vector<std::int64_t> at, double gamma = 0.1);
/// floor + (1 - floor) * (1 + cos(pi * step / total)) / 2: from 1 down to floor at `total`.
Schedule cosine(std::int64_t total, double floor = 0);
/// Rises linearly, (step + 1) / (steps + 1), for `steps` steps, then runs `after` from its step 0.
Schedule warm_up(std::int64_t steps, Schedule after);
/// Smith and Topin 2018: rises by a cosine from 1 / start_divisor to 1 over the first `warm` of the steps,
/// then falls by a cosine to 1 / (start_divisor * end_divisor) at total - 1.
struct OneCycleOptions {
  double warm = 0.3, start_divisor = 25, end_divisor = 1e4;
};
Schedule one_cycle(std::int64_t total, OneCycleOptions options = {});

struct PlateauOptions {
  double factor = 0.1;      ///< in (0, 1)
  int patience = 10;        ///< reports without improvement that are forgiven
  double threshold = 1e-4;  ///< an improvement is a value below best - threshold * abs(best)
  double floor = 0;         ///< the factor never falls below this
};
/// Lowers the rate when a measure stops falling: a function of the values reported so far, in order.
class Plateau {
 public:
  explicit Plateau(PlateauOptions options = {});
  /// Reports a loss and returns the factor from now on. NaN counts as no improvement.
  double report(double value);
  double factor() const { return factor_; }
  /// For checkpoints: {factor, best, reports without improvement, any report yet}.
  std::vector<double> state() const;
  void load_state(const std::vector<double>& state);

 private:
  PlateauOptions options_;
  double factor_ = 1, best_ = 0;
  int bad_ = 0;
  bool any_ = false;
};

}  // namespace isobit::optim
