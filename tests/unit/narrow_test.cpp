// The convolutions' way from sums of f32 to f16 and bf16 (cpu/kernels/gemm_pack.h), against the definition,
// with every instruction set that this machine has.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <string>
#include <vector>

#include "core/numerics/casts.h"
#include "cpu/kernels/gemm_pack.h"
#include "cpu/runtime/isa.h"

namespace isobit {
namespace {

class Narrow : public testing::TestWithParam<cpu::Isa> {
 protected:
  void SetUp() override {
    before_ = cpu::current_isa();
    cpu::set_isa(GetParam());
  }
  void TearDown() override { cpu::set_isa(before_); }

 private:
  cpu::Isa before_ = cpu::Isa::scalar;
};

// Every upper half, beside lower halves that lie on, beside and between the ties.
std::vector<float> numbers() {
  std::vector<float> all;
  for (std::uint32_t high = 0; high <= 0xffff; ++high)
    for (const std::uint32_t low :
         {0x0000u, 0x0001u, 0x0fffu, 0x1000u, 0x1001u, 0x7fffu, 0x8000u, 0x8001u, 0xffffu})
      all.push_back(std::bit_cast<float>(high << 16 | low));
  return all;
}

// NaN is one value (docs/numerics.md).
template <class Half>
std::vector<std::uint16_t> bits(const std::vector<Half>& v) {
  std::vector<std::uint16_t> all;
  for (const Half h : v) {
    const float wide = numerics::cast<float>(h);
    all.push_back(wide == wide ? std::bit_cast<std::uint16_t>(h) : std::uint16_t{0x7fff});
  }
  return all;
}

template <class Half>
void check(DType dtype, bool past) {
  const std::vector<float> from = numbers();
  std::vector<Half> expected(from.size());
  std::transform(from.begin(), from.end(), expected.begin(), [](float v) { return numerics::cast<Half>(v); });
  const std::int64_t count = static_cast<std::int64_t>(from.size());
  constexpr std::int64_t kLine = 32;
  struct alignas(64) Line {
    Half of[kLine];
  };
  std::vector<Line> lines(from.size() / kLine + 1);
  Half* const to = lines[0].of;
  past ? cpu::gemm::narrow_past(from.data(), to, dtype, count)
       : cpu::gemm::narrow(from.data(), to, dtype, count);
  EXPECT_EQ(bits(std::vector<Half>(to, to + count)), bits(expected));
  if (past) return;
  for (std::int64_t some = 0; some <= 70; ++some) {  // whole vectors, pairs of them and what is left
    const std::int64_t first = 977 * some;
    std::vector<Half> out(static_cast<std::size_t>(some) + 1, std::bit_cast<Half>(std::uint16_t{0x55aa}));
    cpu::gemm::narrow(from.data() + first, out.data(), dtype, some);
    std::vector<Half> of(expected.begin() + first, expected.begin() + first + some);
    of.push_back(std::bit_cast<Half>(std::uint16_t{0x55aa}));
    EXPECT_EQ(bits(out), bits(of)) << some << " elements";
  }
}

TEST_P(Narrow, RoundsToBf16) {
  check<bf16>(DType::bf16, false);
}
TEST_P(Narrow, RoundsToF16) {
  check<f16>(DType::f16, false);
}
TEST_P(Narrow, RoundsPastTheCaches) {
  check<bf16>(DType::bf16, true);
  check<f16>(DType::f16, true);
}

INSTANTIATE_TEST_SUITE_P(Isas, Narrow, testing::ValuesIn(cpu::available_isas()),
                         [](const auto& info) { return std::string(cpu::isa_name(info.param)); });

}  // namespace
}  // namespace isobit
