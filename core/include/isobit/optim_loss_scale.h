// Loss scaling, for training in f16 (docs/fast-mode.md): gradients too small for the operands' type are
// brought into its range by a factor on the loss, and taken back before the step.
//
//   optim::LossScale scale;
//   scale.scaled(loss).backward();
//   if (scale.unscale(parameters)) sgd.step();   // else nothing is stepped, the scale is halved
//
// The factors are powers of two: in exact arithmetic they change no bit of a gradient but where one, or a sum
// on the way to it, would have been subnormal or becomes infinite.
#pragma once
#include <isobit/tensor.h>

#include <cstdint>
#include <span>

namespace isobit::optim {

struct LossScaleOptions {
  double initial = 65536;               ///< a power of two from 1 to 2^24
  bool dynamic = true;                  ///< false: stays as it is
  std::int64_t growth_interval = 2000;  ///< doubled after so many steps in a row without overflow, up to 2^24
};

class LossScale {
 public:
  /// Throws Error when an option is out of its range.
  explicit LossScale(LossScaleOptions options = {});

  double scale() const { return state_.scale; }
  /// loss * scale; of scale 1 the loss itself.
  Tensor scaled(const Tensor& loss) const;
  /// After backward, once a step, before clipping. Where every element of every gradient is finite: divides
  /// them by the scale, and doubles the scale when its time has come. Where one is not: clears the gradients,
  /// halves the scale and returns false: this step is to be left out. Throws Error when it cannot be halved,
  /// because it is 1 or not dynamic; the gradients are as they were then. Parameters without a gradient are
  /// left out.
  bool unscale(std::span<const Tensor> parameters);

  /// All that changes, for resuming.
  struct State {
    double scale = 1;
    std::int64_t good = 0;     ///< steps in a row without overflow, since the scale changed
    std::int64_t skipped = 0;  ///< steps left out, in all
  };
  const State& state() const { return state_; }
  /// Throws Error when it is no state of such a scale, and then nothing has changed.
  void set_state(const State& state);

 private:
  LossScaleOptions options_;
  State state_;
};

}  // namespace isobit::optim
