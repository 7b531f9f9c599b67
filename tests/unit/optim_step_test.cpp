// Optimizers against their formulas in plain numbers, bit for bit, and against known values; errors;
// resuming.
#include <gtest/gtest.h>
#include <isobit/autograd.h>
#include <isobit/ops.h>
#include <isobit/optim.h>

#include <cmath>
#include <limits>

namespace isobit {
namespace {

constexpr std::int64_t kSize = 37;

template <class T>
struct Scalars {
  std::vector<T> w, m, v;
  explicit Scalars(const Tensor& start) : w(start.to_vector<T>()), m(w.size(), T(0)), v(w.size(), T(0)) {}
};

Tensor parameter(DType dtype, const char* name = "w", std::int64_t size = kSize) {
  Tensor t = random_normal({size}, random_key(Seed{5}, name), 0, 1, {dtype});
  return t.set_requires_grad();
}

Tensor gradient(DType dtype, int step) {
  return random_normal({kSize}, random_key(Seed{6}, "g", static_cast<std::uint64_t>(step)), 0, 1, {dtype});
}

// Runs five steps of `optimizer` and of `formula(w, m, v, g, step)` and compares bits.
template <class T, class Formula>
void compare(optim::Optimizer& optimizer, Tensor p, const Formula& formula) {
  Scalars<T> s(p);
  for (int step = 0; step < 5; ++step) {
    const Tensor g = gradient(dtype_of<T>, step);
    p.set_grad(g);
    optimizer.step();
    EXPECT_FALSE(p.grad().defined());
    const auto values = g.to_vector<T>();
    for (std::size_t i = 0; i < values.size(); ++i) formula(s.w[i], s.m[i], s.v[i], values[i], step);
    EXPECT_TRUE(equal_bits(p.detach(), from_vector(s.w, {kSize}))) << "step " << step;
  }
}

template <class T>
void sgd_cases() {
  for (const optim::SGDOptions o :
       {optim::SGDOptions{.lr = 0.1}, optim::SGDOptions{.lr = 0.1, .weight_decay = 0.01},
        optim::SGDOptions{.lr = 0.1, .momentum = 0.9},
        optim::SGDOptions{.lr = 0.03, .momentum = 0.7, .nesterov = true, .weight_decay = 0.2}}) {
    Tensor p = parameter(dtype_of<T>);
    optim::SGD sgd({p}, o);
    const T lr = T(-o.lr), mu = T(o.momentum), wd = T(o.weight_decay);
    compare<T>(sgd, p, [&](T& w, T& m, T&, T g, int) {
      if (o.weight_decay != 0) g = std::fma(wd, w, g);
      if (o.momentum != 0) {
        m = std::fma(mu, m, g);
        g = o.nesterov ? std::fma(mu, m, g) : m;
      }
      w = std::fma(lr, g, w);
    });
  }
}

template <class T, class Adam, class Options>
void adam_case(Options o, bool decoupled) {
  Tensor p = parameter(dtype_of<T>);
  Adam adam({p}, o);
  double p1 = 1, p2 = 1;
  int done = -1;
  compare<T>(adam, p, [&](T& w, T& m, T& v, T g, int step) {
    if (step != done) {
      p1 *= o.beta1;
      p2 *= o.beta2;
      done = step;
    }
    if (o.weight_decay != 0) {
      if (decoupled)
        w = w * T(1 - o.lr * o.weight_decay);
      else
        g = std::fma(T(o.weight_decay), w, g);
    }
    m = std::fma(T(o.beta1), m, T(1 - o.beta1) * g);
    v = std::fma(T(o.beta2), v, (T(1 - o.beta2) * g) * g);
    w = std::fma(T(-o.lr), (m / T(1 - p1)) / (std::sqrt(v / T(1 - p2)) + T(o.eps)), w);
  });
}

template <class T>
void rmsprop_case(optim::RMSpropOptions o) {
  Tensor p = parameter(dtype_of<T>);
  optim::RMSprop rmsprop({p}, o);
  compare<T>(rmsprop, p, [&](T& w, T& m, T& v, T g, int) {
    if (o.weight_decay != 0) g = std::fma(T(o.weight_decay), w, g);
    v = std::fma(T(o.alpha), v, (T(1 - o.alpha) * g) * g);
    T u = g / (std::sqrt(v) + T(o.eps));
    if (o.momentum != 0) u = m = std::fma(T(o.momentum), m, u);
    w = std::fma(T(-o.lr), u, w);
  });
}

TEST(OptimStep, SGD) {
  sgd_cases<float>();
  sgd_cases<double>();
}
TEST(OptimStep, Adam) {
  adam_case<float, optim::Adam>(optim::AdamOptions{.lr = 0.01}, false);
  adam_case<double, optim::Adam>(optim::AdamOptions{.lr = 0.01, .beta1 = 0.8, .weight_decay = 0.1}, false);
}
TEST(OptimStep, AdamW) {
  adam_case<float, optim::AdamW>(optim::AdamWOptions{.lr = 0.01}, true);
  adam_case<double, optim::AdamW>(optim::AdamWOptions{.lr = 0.01, .weight_decay = 0.3}, true);
}
TEST(OptimStep, RMSprop) {
  rmsprop_case<float>({});
  rmsprop_case<double>({.lr = 0.02, .alpha = 0.9, .momentum = 0.5, .weight_decay = 0.1});
}

// The first step of Adam is -lr * g / (|g| + eps) whatever the gradient's size; of RMSprop
// -lr * g / (|g| sqrt(1 - alpha) + eps).
TEST(OptimStep, KnownFirstSteps) {
  Tensor a = from_vector<double>({1, 1, 1}, {3}), r = a.clone(), w = a.clone();
  for (Tensor* t : {&a, &r, &w}) {
    t->set_requires_grad();
    t->set_grad(from_vector<double>({1e-3, -5, 100}, {3}));
  }
  optim::Adam({a}, {.lr = 0.1}).step();
  optim::RMSprop({r}, {.lr = 0.1, .alpha = 0.75}).step();
  optim::AdamW({w}, {.lr = 0.1, .weight_decay = 0.5}).step();
  const double sign[] = {1, -1, 1}, size[] = {1e-3, 5, 100};
  for (std::size_t i = 0; i < 3; ++i) {
    const double step = 0.1 * sign[i] * size[i] / (size[i] + 1e-8);
    EXPECT_NEAR(a.to_vector<double>()[i], 1 - step, 1e-14);
    EXPECT_NEAR(w.to_vector<double>()[i], 0.95 - step, 1e-14);
    EXPECT_NEAR(r.to_vector<double>()[i], 1 - 0.1 * sign[i] * size[i] / (0.5 * size[i] + 1e-8), 1e-14);
  }
}

TEST(OptimStep, GroupsStepWithOptionsOfTheirOwn) {
  Tensor a = from_vector<float>({1}, {1}), b = from_vector<float>({1}, {1}),
         frozen = from_vector<float>({1}, {1});
  for (Tensor* t : {&a, &b, &frozen}) t->set_requires_grad();
  optim::SGD sgd(
      std::vector<optim::Group<optim::SGDOptions>>{{{a, frozen}, {.lr = 0.5}}, {{b}, {.lr = 0.25}}});
  frozen.set_requires_grad(false);
  sgd.set_lr_factor(0.5);
  a.set_grad(ones({1}));
  b.set_grad(ones({1}));
  sgd.step();
  EXPECT_EQ(a.item(), 0.75);
  EXPECT_EQ(b.item(), 0.875);
  EXPECT_EQ(frozen.item(), 1);
  sgd.set_lr(1, 1.0);
  EXPECT_EQ(sgd.lr(0), 0.5);
  EXPECT_EQ(sgd.lr(1), 1.0);
  EXPECT_EQ(sgd.steps(), 1);
  EXPECT_EQ(sgd.kind(), "sgd");
}

TEST(OptimStep, WrongOptionsAreRefused) {
  const Tensor p = parameter(DType::f32);
  const double nan = std::numeric_limits<double>::quiet_NaN(), inf = std::numeric_limits<double>::infinity();
  for (const double lr : {nan, -1.0, inf}) {
    EXPECT_THROW(optim::SGD({p}, {.lr = lr}), Error);
    EXPECT_THROW(optim::Adam({p}, {.lr = lr}), Error);
    optim::SGD sgd({p}, {});
    EXPECT_THROW(sgd.set_lr(lr), Error);
    EXPECT_THROW(sgd.set_lr_factor(lr), Error);
  }
  EXPECT_THROW(optim::SGD({p}, {.momentum = 1}), Error);
  EXPECT_THROW(optim::SGD({p}, {.nesterov = true}), Error);
  EXPECT_THROW(optim::SGD({p}, {.weight_decay = -1}), Error);
  EXPECT_THROW(optim::Adam({p}, {.beta1 = 1}), Error);
  EXPECT_THROW(optim::AdamW({p}, {.beta2 = nan}), Error);
  EXPECT_THROW(optim::Adam({p}, {.eps = -1}), Error);
  EXPECT_THROW(optim::RMSprop({p}, {.alpha = 2}), Error);
}

TEST(OptimStep, WrongParametersAreRefusedAndNothingMoves) {
  const Tensor p = parameter(DType::f32), q = parameter(DType::f32, "q");
  EXPECT_THROW(optim::SGD(std::vector<Tensor>{}, {}), Error);
  EXPECT_THROW(optim::SGD({Tensor()}, {}), Error);
  EXPECT_THROW(optim::SGD({p, p}, {}), Error);
  EXPECT_THROW(optim::SGD({mul_scalar(p, 2)}, {}), Error);
  EXPECT_THROW(optim::SGD({zeros({2}, {DType::i64})}, {}), Error);
  optim::Adam adam({p, q});
  Tensor(p).set_grad(ones({kSize}));
  const std::string before = p.digest();
  try {
    adam.step();
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("parameter 1 [37]"), std::string::npos) << error.what();
  }
  EXPECT_EQ(p.digest(), before);
  EXPECT_EQ(adam.steps(), 0);
}

TEST(OptimStep, AResumedOptimizerGoesOnWithTheSameBits) {
  const auto train = [](optim::Optimizer& o, Tensor& p, int from, int to) {
    for (int step = from; step < to; ++step) {
      p.set_grad(gradient(DType::f32, step));
      o.step();
    }
  };
  Tensor whole = parameter(DType::f32), first = parameter(DType::f32);
  optim::AdamW a({whole}), b({first});
  train(a, whole, 0, 10);
  train(b, first, 0, 4);
  nn::StateDict saved;
  for (const auto& [name, tensor] : b.state_dict()) saved.emplace_back(name, tensor.clone());
  Tensor second = first.detach().clone();
  second.set_requires_grad();
  optim::AdamW c({second});
  c.load_state_dict(saved);
  EXPECT_EQ(c.steps(), 4);
  train(c, second, 4, 10);
  EXPECT_TRUE(equal_bits(whole.detach(), second.detach()));

  saved.pop_back();
  EXPECT_THROW(c.load_state_dict(saved), Error);
  EXPECT_EQ(c.steps(), 10);
  optim::SGD sgd({second}, {.momentum = 0.5});
  EXPECT_THROW(sgd.load_state_dict(b.state_dict()), Error);
}

}  // namespace
}  // namespace isobit
