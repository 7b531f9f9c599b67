// Fast mode of the CPU: hostile products on the emulated tile unit within their bound, with any number of
// threads the same bits, infinities and NaN as in exact arithmetic; and the unit itself where there is one.
#include <gtest/gtest.h>
#include <isobit/algorithms.h>
#include <isobit/autograd.h>
#include <isobit/ops.h>
#include <isobit/verify_fast.h>

#include <cmath>
#include <limits>

#include "core/refused.h"

namespace isobit::parity {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
const float kNaN = std::numeric_limits<float>::quiet_NaN();

Tensor numbers(const Shape& shape, const char* stream, DType dtype = DType::f32) {
  return random_normal(shape, random_key(Seed{5}, stream), 0, 1).to(dtype);
}

/// The tile units that there are here: forced by these names.
std::vector<std::string> units() {
  std::vector<std::string> names{"amx_emulated"};
  if (why_no_fast_mode(Device::cpu()).empty()) names.emplace_back("amx");
  return names;
}

class Amx : public testing::Test {
 protected:
  void TearDown() override { set_threads(threads_); }

 private:
  int threads_ = threads();
};

TEST_F(Amx, IsNotChosenWhereTheProcessorHasNone) {
  const std::string why = why_no_fast_mode(Device::cpu());
  const Tensor a = numbers({64, 64}, "a");
  const MathScope fast(Math::fast);
  const ServedCalls calls;
  matmul(a, a);
  ASSERT_EQ(calls.counts().size(), 1u);
  EXPECT_EQ(calls.counts().begin()->first.second == "amx", why.empty());
  if (why.empty()) return;
  const ForcedAlgorithm forced(Device::cpu(), "matmul", "amx");
  try {
    matmul(a, a);
    ADD_FAILURE() << "no error";
  } catch (const Refused& refused) {
    EXPECT_EQ(refused.reason(), why);
  }
}

TEST_F(Amx, RefusesWhatTheUnitDoesNotMultiply) {
  const Tensor a = numbers({64, 64}, "a");
  const ForcedAlgorithm forced(Device::cpu(), "matmul", "amx_emulated");
  EXPECT_THROW(matmul(a, a), Refused) << "exact arithmetic";
  const MathScope fast(Math::fast);
  EXPECT_THROW(matmul(a.to(DType::f64), a.to(DType::f64)), Refused);
  EXPECT_THROW(matmul(a, a, false, false, Math::fast_f16), Refused);
  EXPECT_NO_THROW(matmul(a, a));
}

TEST_F(Amx, KeepsTheBoundOfEveryProductWithAnyNumberOfThreads) {
  constexpr std::int64_t kShapes[][3] = {{1, 1, 1},     {16, 32, 16},  {17, 33, 15},  {31, 1, 64},
                                         {64, 257, 40}, {300, 7, 270}, {33, 513, 65}, {2, 1100, 290},
                                         {5, 0, 7},     {0, 5, 7},     {257, 64, 513}};
  for (const std::string& unit : units())
    for (const DType dtype : {DType::f32, DType::f16, DType::bf16})
      for (const Math math : {Math::fast, Math::fast_bf16})
        for (const auto& [m, k, n] : kShapes)
          for (const int transposed : {0, 1, 2, 3}) {
            if (dtype != DType::f32 && math != Math::fast) continue;  // the same
            if (unit == "amx" && (m < 16 || n < 16 || k < 32)) continue;
            const bool ta = (transposed & 1) != 0, tb = (transposed & 2) != 0;
            const Tensor a = numbers(ta ? Shape{k, m} : Shape{m, k}, "a", dtype),
                         b = numbers(tb ? Shape{n, k} : Shape{k, n}, "b", dtype);
            const verify::FastSums sums =
                verify::fast_sums([&](const auto& map) { return matmul(map(a), map(b), ta, tb); });
            const ForcedAlgorithm forced(Device::cpu(), "matmul", unit);
            const MathScope fast(math);
            set_threads(1);
            const Tensor one = matmul(a, b, ta, tb);
            EXPECT_LE(verify::share_of_bound(one, sums, math, Device::cpu()), 1)
                << unit << " " << name_of(dtype) << " " << name_of(math) << " " << m << " " << k << " " << n
                << " " << transposed;
            for (const int threads : {2, 5}) {
              set_threads(threads);
              EXPECT_TRUE(equal_bits(matmul(a, b, ta, tb), one)) << threads << " threads";
            }
          }
}

TEST_F(Amx, TwoPartsAreFinerThanOne) {
  const Tensor a = numbers({64, 300}, "a"), b = numbers({300, 64}, "b");
  const verify::FastSums sums = verify::fast_sums([&](const auto& map) { return matmul(map(a), map(b)); });
  const ForcedAlgorithm forced(Device::cpu(), "matmul", "amx_emulated");
  const Tensor two = matmul(a, b, false, false, Math::fast),
               one = matmul(a, b, false, false, Math::fast_bf16);
  EXPECT_LE(verify::share_of_bound(two, sums, Math::fast, Device::cpu()), 1);
  EXPECT_LE(verify::share_of_bound(one, sums, Math::fast_bf16, Device::cpu()), 1);
  EXPECT_GT(verify::share_of_bound(one, sums, Math::fast, Device::cpu()), 1) << "the finer bound must tell";
  EXPECT_EQ(verify::operand_roundoff(Device::cpu(), Math::fast, DType::f32), 0x1p-16);
  EXPECT_EQ(verify::operand_roundoff(Device::cpu(), Math::fast_bf16, DType::f32), 0x1p-8);
  EXPECT_EQ(verify::operand_roundoff(Device::cpu(), Math::fast, DType::bf16), 0);
}

TEST_F(Amx, InfinitiesAndNaNShowWhereTheyDoInExactArithmetic) {
  Tensor a = numbers({40, 300}, "a"), b = numbers({300, 50}, "b");
  float* const x = a.mutable_data<float>().data();
  float* const y = b.mutable_data<float>().data();
  x[3 * 300 + 299] = kInfinity;  // in the second block of terms, and in the first
  x[35 * 300 + 1] = -kInfinity;
  x[20 * 300 + 20] = kNaN;
  x[21 * 300 + 20] = std::numeric_limits<float>::max();
  y[5 * 50 + 41] = kInfinity;
  y[270 * 50 + 17] = -kInfinity;
  y[271 * 50 + 17] = kInfinity;
  const std::vector<float> exact = matmul(a, b).to_vector<float>();
  std::int64_t finite = 0;
  for (const Math math : {Math::fast, Math::fast_bf16}) {
    const ForcedAlgorithm forced(Device::cpu(), "matmul", "amx_emulated");
    const std::vector<float> got = matmul(a, b, false, false, math).to_vector<float>();
    for (std::size_t i = 0; i < got.size(); ++i) {
      if (i / 50 == 21 && math == Math::fast_bf16) continue;  // the largest f32 is beyond the largest bf16
      finite += std::isfinite(exact[i]) ? 1 : 0;
      if (std::isfinite(exact[i]) || std::isnan(exact[i]))
        EXPECT_TRUE(std::isfinite(exact[i]) ? std::isfinite(got[i]) : std::isnan(got[i]))
            << i << " " << got[i] << " " << exact[i];
      else
        EXPECT_EQ(got[i], exact[i]) << i;
    }
  }
  EXPECT_GT(finite, 1000);
}

TEST_F(Amx, ProductsOfSmallIntegersAreExact) {
  const auto integers = [](const Shape& shape, const char* stream) {
    return random_uniform(shape, random_key(Seed{2}, stream), -100, 100).to(DType::i64).to(DType::f32);
  };
  const Tensor a = integers({3, 40, 530}, "a"), b = integers({3, 530, 70}, "b"), exact = matmul(a, b);
  const ForcedAlgorithm forced(Device::cpu(), "matmul", "amx_emulated");
  EXPECT_TRUE(equal_bits(matmul(a, b, false, false, Math::fast), exact));
}

}  // namespace
}  // namespace isobit::parity
