// Derivatives of reductions, matrix products and the ops that move elements.
#include <gtest/gtest.h>

#include "tests/support/gradcheck.h"

namespace isobit::test {
namespace {

using Inputs = std::vector<Tensor>;

TEST(ReduceGradient, SumMeanMaxMin) {
  const Shape shape{3, 2, 4};
  const std::vector<std::vector<int>> choices{{}, {0}, {1}, {2}, {0, 1}, {0, 2}, {1, 2}, {-1, -3}};
  for (const auto& axes : choices)
    for (const bool keep : {false, true}) {
      const std::string where =
          fmt::format(" over {} axes, first {}", axes.size(), axes.empty() ? 0 : axes[0]);
      // Squared, so that a second derivative exists.
      check_gradients("sum" + where, [&](const Inputs& in) { return square(sum(in[0], axes, keep)); },
                      {random_values(shape, 1)}, {.roundings = 64});
      check_gradients("mean" + where, [&](const Inputs& in) { return square(mean(in[0], axes, keep)); },
                      {random_values(shape, 2)});
      check_gradients("max" + where, [&](const Inputs& in) { return square(max(in[0], axes, keep)); },
                      {distinct_values(shape, 3)});
      check_gradients("min" + where, [&](const Inputs& in) { return square(min(in[0], axes, keep)); },
                      {distinct_values(shape, 4)});
    }
  check_gradients("sum of a scalar", [](const Inputs& in) { return sum(square(in[0])); },
                  {random_values({}, 5)});
  check_gradients("mean of a scalar", [](const Inputs& in) { return mean(square(in[0])); },
                  {random_values({}, 5)});
  check_gradients("max of a scalar", [](const Inputs& in) { return max(square(in[0])); },
                  {random_values({}, 5)});
}

TEST(ReduceGradient, OfEqualsTheFirstGetsAll) {
  Tensor x = from_vector<float>({1, 5, 5, 5, 2, 5}, {2, 3}).set_requires_grad();
  EXPECT_EQ(grad(max(x), {x})[0].to_vector<float>(), (std::vector<float>{0, 1, 0, 0, 0, 0}));
  EXPECT_EQ(grad(max(x, {0}), {x}, ones({3}))[0].to_vector<float>(), (std::vector<float>{0, 1, 1, 1, 0, 0}));
  EXPECT_EQ(grad(max(x, {1}), {x}, ones({2}))[0].to_vector<float>(), (std::vector<float>{0, 1, 0, 1, 0, 0}));
}

TEST(ReduceGradient, AdjointsAreExactOnIntegers) {
  const Tensor x = random_integers({5, 3, 4, 2}, 1, 8);
  check_adjoint("sum 1", x, [](const Tensor& t) { return sum(t, {1}); });
  check_adjoint("sum 0 3", x, [](const Tensor& t) { return sum(t, {0, 3}, true); });
  check_adjoint("sum_to", x, [](const Tensor& t) { return sum_to(t, {3, 1, 2}); });
  check_adjoint("broadcast_to", random_integers({3, 1, 2}, 2, 8), [](const Tensor& t) {
    return broadcast_to(t, {5, 3, 4, 2});
  });
  check_adjoint("max", x, [](const Tensor& t) { return max(t, {1, 2}); });
}

TEST(MoveGradient, DifferencesOfEveryMove) {
  const Tensor x = random_values({2, 3, 2}, 1);
  // Each followed by a square: the second derivative goes through the adjoint's adjoint.
  const std::pair<const char*, std::function<Tensor(const Tensor&)>> moves[] = {
      {"permute",
       [](const Tensor& t) {
         return permute(t, {2, 0, 1});
       }},
      {"transpose", [](const Tensor& t) { return transpose(t); }},
      {"to_nchw", [](const Tensor& t) { return to_nchw(t); }},
      {"from_nchw", [](const Tensor& t) { return from_nchw(t); }},
      {"flatten", [](const Tensor& t) { return flatten(t); }},
      {"flatten 0", [](const Tensor& t) { return flatten(t, 0); }},
      {"reshape",
       [](const Tensor& t) {
         return t.reshape({3, -1});
       }},
      {"slice", [](const Tensor& t) { return t.slice(1, 2); }},
      {"clone", [](const Tensor& t) { return t.clone(); }},
      {"pad",
       [](const Tensor& t) {
         return pad(t, {{1, 0}, {-1, 2}, {0, -1}}, 0.5);
       }},
      {"broadcast_to",
       [](const Tensor& t) {
         return broadcast_to(t.reshape({2, 1, 3, 2}), {2, 2, 3, 2});
       }},
      {"sum_to",
       [](const Tensor& t) {
         return sum_to(t, {3, 1});
       }},
  };
  for (const auto& [name, move] : moves)
    check_gradients(name, [&move = move](const Inputs& in) { return square(move(in[0])); }, {x},
                    {.order = 3});
}

TEST(MoveGradient, ConcatAndStack) {
  for (const int axis : {0, 1, 2, -1}) {
    check_gradients("concat", [axis](const Inputs& in) { return square(concat(in, axis)); },
                    {random_values({2, 2, 2}, 1), random_values({2, 2, 2}, 2), random_values({2, 2, 2}, 3)});
    check_gradients("stack", [axis](const Inputs& in) { return square(stack(in, axis)); },
                    {random_values({2, 2}, 1), random_values({2, 2}, 2)});
  }
  check_gradients("concat of different extents", [](const Inputs& in) { return square(concat(in, 1)); },
                  {random_values({2, 1, 2}, 1), random_values({2, 3, 2}, 2)});
}

TEST(MoveGradient, GatherAndScatter) {
  const Tensor index = from_vector<std::int64_t>({2, 0, 2, 2, 1, 0}, {2, 3});
  check_gradients("gather", [&](const Inputs& in) { return square(gather(in[0], index)); },
                  {random_values({3, 2}, 1)}, {.roundings = 64});
  check_gradients("scatter_add", [&](const Inputs& in) { return square(scatter_add(in[0], index, 4)); },
                  {random_values({2, 3, 2}, 2)}, {.roundings = 64});
}

TEST(MoveGradient, AdjointsAreExactOnIntegers) {
  const Tensor x = random_integers({4, 3, 2}, 1, 8);
  const Tensor index = from_vector<std::int64_t>({3, 0, 3, 1}, {4});
  check_adjoint("permute", x, [](const Tensor& t) { return permute(t, {1, 2, 0}); });
  check_adjoint("pad", x, [](const Tensor& t) { return pad(t, {{2, 1}, {-1, 1}, {0, 3}}); });
  check_adjoint("gather", x, [&](const Tensor& t) { return gather(t, index); });
  check_adjoint("scatter_add", x, [&](const Tensor& t) { return scatter_add(t, index, 6); });
  check_adjoint("concat", x, [&](const Tensor& t) {
    return concat(std::vector<Tensor>{t, mul_scalar(t, 2), t}, 1);
  });
  check_adjoint("select", x, [&](const Tensor& t) { return select(gt(x, zeros({})), t, mul_scalar(t, 3)); });
  check_adjoint("dropout", x, [](const Tensor& t) { return dropout(t, 0.5, random_key(Seed{1}, "d")); });
}

TEST(MatmulGradient, DifferencesForEveryTransposition) {
  for (const bool ta : {false, true})
    for (const bool tb : {false, true}) {
      const Shape a = ta ? Shape{3, 2} : Shape{2, 3}, b = tb ? Shape{4, 3} : Shape{3, 4};
      check_gradients(fmt::format("matmul {} {}", ta, tb),
                      [=](const Inputs& in) { return matmul(in[0], in[1], ta, tb); },
                      {random_values(a, 1), random_values(b, 2)}, {.order = 3, .roundings = 64});
      const std::pair<Shape, Shape> leads[] = {
          {{2}, {2}}, {{2}, {}}, {{}, {2}}, {{2, 1}, {1, 2}}, {{1}, {2}}};
      for (const auto& [la, lb] : leads) {
        const auto with = [](const Shape& lead, const Shape& m) {
          return lead.inserted(lead.rank(), m[0]).inserted(lead.rank() + 1, m[1]);
        };
        check_gradients(fmt::format("matmul {} {} leading {} {}", ta, tb, la, lb),
                        [=](const Inputs& in) { return matmul(in[0], in[1], ta, tb); },
                        {random_values(with(la, a), 3), random_values(with(lb, b), 4)},
                        {.order = 2, .roundings = 64});
      }
    }
}

TEST(MatmulGradient, AdjointsAreExactOnIntegers) {
  const Tensor a = random_integers({3, 5, 7}, 1, 4), b = random_integers({7, 6}, 2, 4);
  check_adjoint("matmul a", a, [&](const Tensor& t) { return matmul(t, b); });
  check_adjoint("matmul b", b, [&](const Tensor& t) { return matmul(a, t); });
}

}  // namespace
}  // namespace isobit::test
