// The names of arithmetics, and the bound's numbers.
#include <gtest/gtest.h>
#include <isobit/arithmetic.h>
#include <isobit/autograd.h>
#include <isobit/error.h>
#include <isobit/ops.h>
#include <isobit/verify_fast.h>

#include <limits>

namespace isobit {
namespace {

TEST(Arithmetic, NamesRoundTrip) {
  for (const Math math : {Math::exact, Math::fast, Math::fast_f16, Math::fast_bf16}) {
    EXPECT_EQ(parse_math(name_of(math)), math);
    EXPECT_NE(describe(math).find(name_of(math)), std::string::npos);
  }
  try {
    parse_math("quick");
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(),
                 "math: there is no arithmetic 'quick', expected exact, fast, fast-f16 or fast-bf16");
  }
}

TEST(Arithmetic, TheBoundIsTheFormula) {
  // One product of 3: Q = S = 3.
  EXPECT_EQ(verify::fast_bound(0x1p-8, 0x1p-24, -3, 9, 3, 1), 8 * 0x1p-8 * 3 + 2 * 0x1p-23 * 3 + 0x1p-24 * 3);
  EXPECT_EQ(verify::operand_roundoff(Math::fast, DType::f32), 0x1p-11);
  EXPECT_EQ(verify::operand_roundoff(Math::fast_f16, DType::f32), 0x1p-11);
  EXPECT_EQ(verify::operand_roundoff(Math::fast_bf16, DType::f32), 0x1p-8);
  EXPECT_EQ(verify::operand_roundoff(Math::fast_bf16, DType::bf16), 0);
}

TEST(Arithmetic, TheShareIsTheLargestOfTheErrorsOverTheirBounds) {
  const Tensor a = from_vector(std::vector<float>{1, 2, 3, 4}, {1, 4}),
               b = from_vector(std::vector<float>{1, -1, 1, -1}, {4, 1});
  const verify::FastSums sums = verify::fast_sums([&](const auto& map) { return matmul(map(a), map(b)); });
  EXPECT_EQ(sums.value.item(), -2);
  EXPECT_EQ(sums.squares.item(), 30);
  EXPECT_EQ(sums.magnitudes.item(), 10);
  EXPECT_EQ(sums.terms.item(), 4);
  const double bound = verify::fast_bound(0x1p-11, 0x1p-24, -2, 30, 10, 4);
  const auto share = [&](float v) {
    return verify::share_of_bound(from_vector(std::vector<float>{v}, {1, 1}), sums, Math::fast);
  };
  EXPECT_EQ(share(-2), 0);
  EXPECT_DOUBLE_EQ(share(-2.015625f), 0.015625 / bound);
  EXPECT_GT(share(0), 1);
  EXPECT_EQ(share(std::numeric_limits<float>::quiet_NaN()), std::numeric_limits<double>::infinity());
  EXPECT_THROW(verify::share_of_bound(a, sums, Math::fast), Error);
}

}  // namespace
}  // namespace isobit
