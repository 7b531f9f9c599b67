// Problems that are judged as a whole: of fast mode by its bound, gradients in the arithmetic they are called
// in.
#include <gtest/gtest.h>
#include <isobit/arithmetic.h>
#include <isobit/ops.h>

#include <utility>

#include "benchmarks/whole.h"

namespace isobit::bench {
namespace {

TEST(BenchWhole, HoldsPoolsOfFastModeAgainstSumsInWiderNumbers) {
  const auto share = [](const Op& op, bool backward, const std::function<Tensor(const Tensor&)>& spoil) {
    const std::vector<Tensor> x{numbers({2, 8, 8, 3}, DType::f32, "x")};
    std::vector<Tensor> inputs = x;
    if (backward) inputs.push_back(numbers(op(x).shape(), DType::f32, "dy"));
    const Prepare prepare = backward ? backward_of(op) : forward_of(op);
    return share_of_sums(prepare, inputs, 4, spoil(prepare(inputs)()));
  };
  // Of maxima the gradient alone is a sum.
  const Op average = [](const std::vector<Tensor>&i) { return avg_pool(i[0], 2, {.stride = 2}); },
           maximum = [](const std::vector<Tensor>&i) { return max_pool(i[0], 2, {.stride = 2}); };
  for (const auto& [op, backward] :
       {std::pair{average, false}, std::pair{average, true}, std::pair{maximum, true}}) {
    EXPECT_LE(share(op, backward, [](const Tensor& t) { return t; }), 1);
    EXPECT_GT(share(op, backward, [](const Tensor& t) { return mul_scalar(t, 1 + 1e-5); }), 1);
    EXPECT_GT(share(op, backward, [](const Tensor& t) { return zeros_like(t); }), 1);
  }
}

TEST(BenchWhole, AGradientFollowsTheArithmeticThatItIsCalledIn) {
  std::vector<Math> forward;
  const auto gradient = backward_of([&](const std::vector<Tensor>& i) {
    forward.push_back(current_math());
    return mul_scalar(i[0], 2);
  })({numbers({4}, DType::f32, "x"), numbers({4}, DType::f32, "dy")});
  gradient();
  const MathScope fast(Math::fast);
  gradient();
  gradient();
  EXPECT_EQ(forward, (std::vector{Math::exact, Math::fast})) << "once for each";
}

}  // namespace
}  // namespace isobit::bench
