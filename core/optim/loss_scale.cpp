// Loss scaling by powers of two.
#include <isobit/autograd.h>
#include <isobit/error.h>
#include <isobit/ops.h>
#include <isobit/optim_loss_scale.h>

#include <bit>

namespace isobit::optim {
namespace {

constexpr double kMost = 0x1p24;

void check_scale(double scale) {
  const bool within = scale >= 1 && scale <= kMost;
  const auto whole = within ? static_cast<std::uint64_t>(scale) : 0;
  if (!std::has_single_bit(whole) || static_cast<double>(whole) != scale)
    fail("loss_scale", "the scale is {}, expected a power of two from 1 to {}", scale, kMost);
}

/// One read from the device for all of them: x * 0 is 0 of what is finite and NaN of the rest.
bool all_finite(std::span<const Tensor> parameters) {
  Tensor total;
  for (const Tensor& parameter : parameters) {
    const Tensor g = parameter.grad();
    if (!g.defined()) continue;
    Tensor probe = sum(mul_scalar(g, 0)).to(DType::f64);
    if (total.defined() && !(total.device() == probe.device())) probe = probe.to(total.device());
    total = total.defined() ? add(total, probe) : probe;
  }
  return !total.defined() || total.item() == 0;
}

}  // namespace

LossScale::LossScale(LossScaleOptions options) : options_(options) {
  check_scale(options.initial);
  if (options.growth_interval < 1)
    fail("loss_scale", "growth_interval is {}, expected at least 1", options.growth_interval);
  state_.scale = options.initial;
}

Tensor LossScale::scaled(const Tensor& loss) const {
  return state_.scale == 1 ? loss : mul_scalar(loss, state_.scale);
}

bool LossScale::unscale(std::span<const Tensor> parameters) {
  NoGrad no_grad;
  if (!all_finite(parameters)) {
    if (!options_.dynamic || state_.scale == 1)
      fail("loss_scale", "a gradient is not finite at scale {}, {}", state_.scale,
           options_.dynamic ? "which is the least: the run has diverged, lower the learning rate"
                            : "which is fixed: give a lower one, or a dynamic one");
    for (Tensor parameter : parameters) parameter.zero_grad();
    state_.scale /= 2;
    state_.good = 0;
    ++state_.skipped;
    return false;
  }
  if (state_.scale != 1)
    for (Tensor parameter : parameters)
      if (const Tensor g = parameter.grad(); g.defined()) parameter.set_grad(mul_scalar(g, 1 / state_.scale));
  if (options_.dynamic && ++state_.good >= options_.growth_interval) {
    state_.good = 0;
    if (state_.scale < kMost) state_.scale *= 2;
  }
  return true;
}

void LossScale::set_state(const State& state) {
  check_scale(state.scale);
  if (!options_.dynamic && state.scale != options_.initial)
    fail("loss_scale", "the state's scale is {}, expected {}, which is fixed", state.scale, options_.initial);
  if (state.good < 0 || state.skipped < 0 || state.good >= options_.growth_interval)
    fail("loss_scale", "the state counts {} steps in a row and {} left out, expected 0 to {} and at least 0",
         state.good, state.skipped, options_.growth_interval - 1);
  state_ = state;
}

}  // namespace isobit::optim
