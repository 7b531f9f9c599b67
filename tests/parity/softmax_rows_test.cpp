// softmax and log_softmax of many rows in f32, which AVX-512 takes side by side
// (cpu/kernels/softmax_beside.cpp): the bits of the plain loops, for rows of every kind among ordinary ones.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>

#include "core/numerics/philox.h"
#include "cpu/kernels/kernels.h"
#include "cpu/reference/reference.h"
#include "cpu/runtime/isa.h"
#include "cpu/runtime/thread_pool.h"
#include "tests/support/buffers.h"
#include "tests/support/compare.h"

namespace isobit::test {
namespace {

class SoftmaxRows : public testing::TestWithParam<cpu::Isa> {
 protected:
  void SetUp() override {
    before_ = cpu::current_isa();
    cpu::set_isa(GetParam());
  }
  void TearDown() override { cpu::set_isa(before_); }

  // Of five rows one is wide, of eleven one holds something that is no number: where `kinds`.
  static FencedBuffer rows_of(std::int64_t rows, std::int64_t columns, bool kinds) {
    FencedBuffer x(DType::f32, rows * columns);
    for (std::int64_t row = 0; row < rows; ++row) {
      float* const at = x.as<float>() + row * columns;
      const float size = kinds && row % 5 == 2 ? 60.0f : 6.0f;
      for (std::int64_t i = 0; i < columns; ++i) {
        const numerics::PhiloxBlock random =
            numerics::random_block({7, 9}, static_cast<std::uint64_t>(row * columns + i));
        at[i] = size * (static_cast<float>(random.word[0] >> 8) * 0x1p-23f - 1.0f);
      }
      constexpr float kInfinity = std::numeric_limits<float>::infinity();
      constexpr float kOdd[] = {-kInfinity, std::numeric_limits<float>::quiet_NaN(), kInfinity};
      if (kinds && row % 11 == 7) at[row * 31 % columns] = kOdd[row / 11 % 3];
    }
    return x;
  }

  static void expect_equal(std::int64_t rows, std::int64_t columns, bool kinds) {
    SCOPED_TRACE(std::to_string(rows) + " rows of " + std::to_string(columns));
    const FencedBuffer x = rows_of(rows, columns, kinds);
    for (const bool log : {false, true})
      for (const std::int64_t skip : {0, 3}) {
        FencedBuffer expected(DType::f32, rows * columns), got(DType::f32, rows * columns, skip);
        (log ? cpu::reference::log_softmax : cpu::reference::softmax)(columns, x.view(), expected.view());
        (log ? cpu::kernels::log_softmax : cpu::kernels::softmax)(columns, x.view(), got.view());
        EXPECT_TRUE(got.fences_hold());
        EXPECT_TRUE(equal_bits(expected.read(), got.read()));
      }
  }

 private:
  cpu::Isa before_ = cpu::Isa::scalar;
};

TEST_P(SoftmaxRows, OfEveryLength) {
  const std::int64_t rows = 4 * cpu::thread_count() + 33;
  for (const std::int64_t columns : {63, 64, 65, 80, 95, 127, 128, 130, 255, 260, 511, 512, 600, 1000, 1024})
    for (const bool kinds : {false, true}) expect_equal(rows, columns, kinds);
}

TEST_P(SoftmaxRows, Few) {
  for (std::int64_t rows = 1; rows < 4 * cpu::thread_count() + 12; ++rows) expect_equal(rows, 70, true);
}

INSTANTIATE_TEST_SUITE_P(Isas, SoftmaxRows, testing::ValuesIn(cpu::available_isas()),
                         [](const auto& info) { return std::string(cpu::isa_name(info.param)); });

}  // namespace
}  // namespace isobit::test
