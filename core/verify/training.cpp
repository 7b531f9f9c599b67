// Problems of random numbers and optimizers.
#include "core/numerics/random_values.h"
#include "core/verify/families.h"

namespace isobit::verify {
namespace {

constexpr RandomKey kKey{0x123456789abcdef0u, 0xfedcba9876543210u};

/// Several parameters in one call, one of them large enough for several threads.
void add_optimizer(Suite& suite, const OptimizerHyper& hyper, bool first_state, bool second_state) {
  const std::int64_t sizes[] = {1, 0, 70, 4097, suite.full() ? 50003 : 5003};
  for (const DType dtype : {DType::f32, DType::f64}) {
    constexpr const char* names[] = {"sgd", "adam", "adamw", "rmsprop"};
    Case* c = suite.open("optimizer_step", dtype,
                         fmt::format("{} momentum {} weight decay {}{}", names[static_cast<int>(hyper.kind)],
                                     hyper.momentum, hyper.weight_decay, hyper.nesterov ? " nesterov" : ""));
    if (c == nullptr) continue;
    for (const std::int64_t n : sizes) {
      const Values values = n == 70 ? Values::hard : Values::finite;
      c->in(dtype, n, values);
      c->out(c->random(dtype, n, values)).out(c->random(dtype, n, values));
      HostArray second = c->random(dtype, n, Values::finite);  // a second moment is not negative
      make_positive(second);
      c->out(std::move(second));
    }
    c->run([&](Backend& b, const Operands& o) {
      std::vector<OptimizerSlot> slots;
      for (std::size_t i = 0; i < o.in.size(); ++i) {
        OptimizerSlot slot;
        slot.param = o.out[3 * i];
        slot.grad = o.in[i];
        if (first_state) slot.state1 = o.out[3 * i + 1];
        if (second_state) slot.state2 = o.out[3 * i + 2];
        slots.push_back(slot);
      }
      b.optimizer_step(hyper, slots);
    });
  }
}

}  // namespace

void add_random(Suite& suite) {
  for (const DType dtype : kFloating) {
    for (const std::uint64_t first :
         {std::uint64_t{0}, std::uint64_t{3}, (std::uint64_t{1} << 34) - 5, ~std::uint64_t{0} - 40})
      for (const std::int64_t n : {0, 1, 63, 200, 100003}) {
        if (n > 1000 && first != 3) continue;
        const std::string text = fmt::format("[{}] from {}", n, first);
        if (Case* c = suite.open("random_uniform", dtype, text, n > 1000 && dtype != DType::f32))
          c->out(dtype, n).run(
              [=](Backend& b, const Operands& o) { b.random_uniform(kKey, first, -0.3, 1.1, o.out[0]); });
        if (Case* c = suite.open("random_normal", dtype, text, n > 1000))
          c->out(dtype, n).run(
              [=](Backend& b, const Operands& o) { b.random_normal(kKey, first, 0.5, 2.0, o.out[0]); });
      }
    for (const double p : {0.0, 0.1, 0.5, 0.5 + 0x1p-30, 0x1p-24, 1.0 - 0x1p-24, 0x1p-40}) {
      if (Case* c = suite.open("dropout", dtype, fmt::format("[777] p {}", p)))
        c->in(dtype, 777, Values::hard).out(dtype, 777).run([=](Backend& b, const Operands& o) {
          b.dropout(kKey, 6, p, o.in[0], o.out[0]);
        });
      if (Case* c = suite.open("dropout", dtype, fmt::format("[777] p {} in place", p)))
        c->out(c->random(dtype, 777, Values::hard)).run([=](Backend& b, const Operands& o) {
          b.dropout(kKey, 6, p, o.out[0], o.out[0]);
        });
    }
    for (const std::int64_t n : {1, 3, 4, 5, 1023, 1024, 1025, 1026})  // from the first of a block of four on
      if (Case* c = suite.open("dropout", dtype, fmt::format("[{}] p 0.25 from 8", n)))
        c->in(dtype, n, Values::hard).out(dtype, n).run([](Backend& b, const Operands& o) {
          b.dropout(kKey, 8, 0.25, o.in[0], o.out[0]);
        });
    // p is the very number that element 9 draws, which is not less than p and keeps it.
    if (Case* c = suite.open("dropout", dtype, "[20] p as drawn")) {
      const double p = numerics::uniform_from_word(numerics::random_block(kKey, 3).word[1]);
      HostArray x = c->random(dtype, 20);
      set_magnitude(x, 1.5);
      c->in(std::move(x)).out(dtype, 20).run([=](Backend& b, const Operands& o) {
        b.dropout(kKey, 4, p, o.in[0], o.out[0]);
      });
    }
    if (Case* c = suite.open("dropout", dtype, "[100003] p 0.25", dtype != DType::f32))
      c->in(dtype, 100003, Values::hard).out(dtype, 100003).run([](Backend& b, const Operands& o) {
        b.dropout(kKey, 0, 0.25, o.in[0], o.out[0]);
      });
  }
}

void add_optimizers(Suite& suite) {
  for (const double weight_decay : {0.0, 1e-3}) {
    OptimizerHyper h;
    h.lr = 0.07;
    h.weight_decay = weight_decay;
    add_optimizer(suite, h, false, false);
    h.momentum = 0.9;
    add_optimizer(suite, h, true, false);
    h.nesterov = true;
    add_optimizer(suite, h, true, false);
    h = {};
    h.weight_decay = weight_decay;
    h.lr = 1e-3, h.beta1 = 0.9, h.beta2 = 0.999, h.eps = 1e-8;
    h.correction1 = 1 - 0.9 * 0.9, h.correction2 = 1 - 0.999 * 0.999;
    for (const OptimizerKind kind : {OptimizerKind::adam, OptimizerKind::adamw}) {
      h.kind = kind;
      add_optimizer(suite, h, true, true);
    }
    h.kind = OptimizerKind::rmsprop;
    add_optimizer(suite, h, false, true);
    h.momentum = 0.8;
    add_optimizer(suite, h, true, true);
  }
  // More parameters than one launch's arguments hold.
  if (Case* c = suite.open("optimizer_step", DType::f32, "sgd, 150 parameters")) {
    for (int i = 0; i < 150; ++i) {
      const std::int64_t n = i % 7 * 33 + 1;
      c->in(DType::f32, n, Values::finite).out(c->random(DType::f32, n, Values::finite));
    }
    c->run([](Backend& b, const Operands& o) {
      OptimizerHyper h;
      h.lr = 0.1;
      std::vector<OptimizerSlot> slots(o.in.size());
      for (std::size_t i = 0; i < o.in.size(); ++i) slots[i].param = o.out[i], slots[i].grad = o.in[i];
      b.optimizer_step(h, slots);
    });
  }
}

}  // namespace isobit::verify
