// The tape: values of gradients, order of contributions, stale tensors, hooks, depth, higher orders, users'
// own ops.
#include <gtest/gtest.h>
#include <isobit/autograd.h>
#include <isobit/gpu.h>
#include <isobit/ops.h>

#include <thread>

namespace isobit {
namespace {

Tensor leaf(std::vector<double> values) {
  const auto n = static_cast<std::int64_t>(values.size());
  Tensor t = from_vector(values, {n});
  return t.set_requires_grad();
}
std::vector<double> values(const Tensor& t) {
  return t.to_vector<double>();
}
using V = std::vector<double>;

template <class F>
void expect_error(F&& f, const std::string& part) {
  try {
    f();
    ADD_FAILURE() << "no error; expected one with: " << part;
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find(part), std::string::npos) << e.what();
  }
}

TEST(Autograd, GradientsAccumulateInLeaves) {
  Tensor x = leaf({1, 2, 3});
  sum(x * x).backward();
  EXPECT_EQ(values(x.grad()), (V{2, 4, 6}));
  sum(x).backward();
  EXPECT_EQ(values(x.grad()), (V{3, 5, 7}));
  x.zero_grad();
  EXPECT_FALSE(x.grad().defined());
}

TEST(Autograd, LeavesOwnTheirGradients) {
  Tensor a = leaf({1, 2}), b = leaf({3, 4});
  sum(a + b).backward();
  Tensor g = a.grad();
  g.fill(7);
  EXPECT_EQ(values(b.grad()), (V{1, 1}));
}

TEST(Autograd, ContributionsAreAddedInReverseOrderOfRecording) {
  // 1e16 + 1 + -1e16 depends on the order: uses are recorded as 1, 1e16, -1e16, so the sum is (-1e16 + 1e16)
  // + 1 = 1.
  Tensor x = leaf({1});
  const Tensor one = x * 1.0, big = x * 1e16, negative = x * -1e16;
  sum(one + big + negative).backward();
  EXPECT_EQ(values(x.grad()), (V{1}));
  // And recorded as 1e16, 1, -1e16: (-1e16 + 1) + 1e16 = 0 in f64 (the 1 is lost to rounding, ties to even).
  Tensor y = leaf({1});
  const Tensor first = y * 1e16, second = y * 1.0, third = y * -1e16;
  sum(first + second + third).backward();
  EXPECT_EQ(values(y.grad()), (V{0}));
}

TEST(Autograd, HigherOrders) {
  Tensor x = leaf({2});
  const Tensor y = sum(x * x * x * x);
  const Tensor g1 = grad(y, {x}, {}, {.create_graph = true})[0];
  const Tensor g2 = grad(sum(g1), {x}, {}, {.create_graph = true})[0];
  const Tensor g3 = grad(sum(g2), {x}, {}, {.create_graph = true})[0];
  const Tensor g4 = grad(sum(g3), {x})[0];
  EXPECT_EQ(values(g1), (V{32}));
  EXPECT_EQ(values(g2), (V{48}));
  EXPECT_EQ(values(g3), (V{48}));
  EXPECT_EQ(values(g4), (V{24}));
  EXPECT_FALSE(x.grad().defined()) << "grad() must not touch leaves";
}

TEST(Autograd, GradOfIntermediateAndUnused) {
  Tensor x = leaf({3}), unused = leaf({1});
  const Tensor h = x * x, y = sum(h * h);
  EXPECT_EQ(values(grad(y, {h}, {}, {.keep_graph = true})[0]), (V{18}));
  expect_error([&] { grad(y, {x, unused}, {}, {.keep_graph = true}); }, "do not depend on input 1");
  const auto g = grad(y, {x, unused}, {}, {.allow_unused = true});
  EXPECT_EQ(values(g[0]), (V{108}));
  EXPECT_FALSE(g[1].defined());
}

TEST(Autograd, AChainOfAHundredThousandOpsIsFine) {
  Tensor x = leaf({1});
  {
    Tensor y = x;
    for (int i = 0; i < 100000; ++i) y = y + 1.0;
    sum(y).backward();
    EXPECT_EQ(values(x.grad()), (V{1}));
    Tensor z = x;
    for (int i = 0; i < 100000; ++i) z = z * 1.0;  // freed without a backward pass
  }
  SUCCEED();
}

TEST(Autograd, SavedTensorsAreFreedAsBackwardPasses) {
  Tensor x = leaf(V(1 << 16, 1.0));
  const auto before = memory_stats().current;
  Tensor y = x;
  for (int i = 0; i < 20; ++i) y = y * y;
  y = sum(y);
  const auto held = memory_stats().current;
  EXPECT_GT(held - before, 19 * (1 << 19));
  y.backward();
  EXPECT_LT(memory_stats().current - before, 3 * (1 << 19));
  expect_error([&] { y.backward(); }, "freed what it had saved");
}

TEST(Autograd, AStaleSavedTensorIsAnErrorNotAWrongGradient) {
  Tensor x = leaf({1, 2}), w = from_vector<double>({3, 4}, {2});
  const Tensor y = sum(x * w);
  w.fill(5);
  expect_error([&] { y.backward(); }, "written to since it was saved");
  EXPECT_FALSE(x.grad().defined());

  double memory[2] = {3, 4};  // foreign memory: nobody counts the writes
  const Tensor f = from_foreign(memory, {2}, {.dtype = DType::f64}, {});
  const Tensor z = sum(x * f), good = sum(x * f);
  good.backward();
  EXPECT_EQ(values(x.grad()), (V{3, 4}));
  memory[1] = 9;
  expect_error([&] { z.backward(); }, "in memory of others that changed since it was saved");

  const Tensor before = sum(x * w);  // saved first, then lent: not watched, and no false alarm
  Tensor lent = leaf({7, 8}).detach();
  share_memory(w);
  share_memory(lent);
  EXPECT_NO_THROW(before.backward());
  const Tensor same = sum(x * lent), changed = sum(x * lent);
  EXPECT_NO_THROW(same.backward());
  static_cast<double*>(const_cast<void*>(lent.raw()))[0] = 9;  // as NumPy writes
  expect_error([&] { changed.backward(); }, "in memory of others that changed since it was saved");
}

TEST(Autograd, HooksSeeCompleteGradientsAndMayReplaceThem) {
  Tensor x = leaf({1, 2});
  const Tensor h = x * 2.0;
  int calls = 0;
  h.register_hook([&](const Tensor& g) {
    ++calls;
    EXPECT_EQ(values(g), (V{2, 2}));
    return g * 10.0;
  });
  x.register_hook([&](const Tensor&) { return Tensor(); });
  sum(h + h).backward();
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(values(x.grad()), (V{40, 40}));
  h.register_hook([](const Tensor&) { return zeros({3}); });
  Tensor again = leaf({1});
  expect_error([&] { zeros({2}).register_hook({}); }, "no part in gradients");
}

TEST(Autograd, NoGradAndDetachCut) {
  Tensor x = leaf({2});
  {
    const NoGrad off;
    EXPECT_FALSE((x * x).requires_grad());
    const EnableGrad on;
    EXPECT_TRUE((x * x).requires_grad());
  }
  sum(x.detach() * x).backward();
  EXPECT_EQ(values(x.grad()), (V{2}));
  std::thread([&] { EXPECT_TRUE(grad_enabled()); }).join();
}

TEST(Autograd, RefusesWhatMakesNoSense) {
  Tensor x = leaf({1, 2});
  expect_error([&] { (x * x).backward(); }, "has 2 elements; give a seed");
  expect_error([&] { zeros({}).backward(); }, "depends on nothing");
  expect_error([&] { (x * x).set_requires_grad(); }, "result of mul");
  expect_error([&] { zeros({2}, {.dtype = DType::i32}).set_requires_grad(); }, "floating");
  expect_error([&] { x.set_grad(zeros({2})); }, "gradient f32 [2] for a tensor f64 [2]");
  expect_error([&] { (x * x).backward(zeros({3}, {.dtype = DType::f64})); }, "seed f64 [3]");
  expect_error(
      [&] {
        Tensor y = x * x;
        y.fill(0);
      },
      "result of a recorded op");
}

TEST(Autograd, AUsersOwnOp) {
  const auto cube = [](const Tensor& x) {
    const NoGrad inside;
    const Tensor y = x * x * x;
    const EnableGrad outside;
    return record("cube", {x}, y, {x},
                  [](const BackwardContext& c) { return std::vector{c.dy() * (square(c.saved(0)) * 3.0)}; });
  };
  Tensor x = leaf({2});
  const Tensor g = grad(sum(cube(x)), {x}, {}, {.create_graph = true})[0];
  EXPECT_EQ(values(g), (V{12}));
  EXPECT_EQ(values(grad(sum(g), {x})[0]), (V{12}));
  const auto wrong = record("wrong", {x}, zeros({1}, {.dtype = DType::f64}), {}, [](const BackwardContext&) {
    return std::vector{zeros({2}, {.dtype = DType::f64})};
  });
  expect_error([&] { sum(wrong).backward(); },
               "wrong: backward returned a gradient f64 [2] for input 0, which is f64 [1]");
}

TEST(Autograd, AnOutputThatIsSavedMakesNoCycle) {
  Tensor x = leaf(V(1 << 16, 1.0));
  const auto before = memory_stats().current;
  for (int i = 0; i < 3; ++i) {
    const Tensor y = tanh(x);  // saves its output
    EXPECT_TRUE(y.requires_grad());
  }
  EXPECT_EQ(memory_stats().current, before);
}

}  // namespace
}  // namespace isobit
