// optimizer_step against the reference: every kind with and without its options, several parameters in one
// call, one of them large enough for several threads.
#include "tests/parity/parity.h"

namespace isobit::parity {
namespace {

void check(const OptimizerHyper& hyper, bool first_state, bool second_state) {
  for (const DType dtype : {DType::f32, DType::f64}) {
    Outputs state;
    std::vector<Array> gradients;
    std::uint32_t seed = 1;
    for (const std::int64_t n : {std::int64_t{1}, std::int64_t{0}, std::int64_t{70}, std::int64_t{50003}}) {
      const Values values = n == 70 ? Values::hard : Values::finite;
      gradients.push_back(random_array(dtype, n, values, seed++));
      state.push_back(random_array(dtype, n, values, seed++));
      state.push_back(random_array(dtype, n, values, seed++));
      Array second = random_array(dtype, n, Values::finite, seed++);
      for (std::int64_t i = 0; i < n; ++i) {  // a second moment is not negative
        if (dtype == DType::f32)
          second.as<float>()[i] = std::fabs(second.as<float>()[i]);
        else
          second.as<double>()[i] = std::fabs(second.as<double>()[i]);
      }
      state.push_back(second);
    }
    SCOPED_TRACE(fmt::format("kind {} {} momentum {} weight decay {} nesterov {}",
                             static_cast<int>(hyper.kind), dtype, hyper.momentum, hyper.weight_decay,
                             hyper.nesterov));
    expect_parity("optimizer_step", state, [&](Backend& b, Outputs& out) {
      std::vector<OptimizerSlot> slots;
      for (std::size_t i = 0; i < gradients.size(); ++i) {
        OptimizerSlot slot;
        slot.param = out[3 * i].view();
        slot.grad = gradients[i].view();
        if (first_state) slot.state1 = out[3 * i + 1].view();
        if (second_state) slot.state2 = out[3 * i + 2].view();
        slots.push_back(slot);
      }
      b.optimizer_step(hyper, slots);
    });
  }
}

TEST(OptimizerParity, AllKinds) {
  for (const double weight_decay : {0.0, 1e-3}) {
    OptimizerHyper h;
    h.lr = 0.07;
    h.weight_decay = weight_decay;
    check(h, false, false);
    h.momentum = 0.9;
    check(h, true, false);
    h.nesterov = true;
    check(h, true, false);
    h = {};
    h.weight_decay = weight_decay;
    h.lr = 1e-3, h.beta1 = 0.9, h.beta2 = 0.999, h.eps = 1e-8;
    h.correction1 = 1 - 0.9 * 0.9, h.correction2 = 1 - 0.999 * 0.999;
    for (const OptimizerKind kind : {OptimizerKind::adam, OptimizerKind::adamw}) {
      h.kind = kind;
      check(h, true, true);
    }
    h.kind = OptimizerKind::rmsprop;
    check(h, false, true);
    h.momentum = 0.8;
    check(h, true, true);
  }
}

}  // namespace
}  // namespace isobit::parity
