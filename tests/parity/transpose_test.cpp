// Transposes by strided_copy: extents off a register, a strip and a line, lines of the input close together
// and pages apart, every size of element and instruction set, in the caches and past them.
#include <gtest/gtest.h>

#include <string>

#include "cpu/kernels/kernels.h"
#include "cpu/reference/reference.h"
#include "cpu/runtime/isa.h"
#include "cpu/runtime/properties.h"
#include "tests/support/buffers.h"
#include "tests/support/compare.h"
#include "tests/support/values.h"

namespace isobit::test {
namespace {

class Transpose : public testing::TestWithParam<cpu::Isa> {
 protected:
  void SetUp() override {
    before_ = cpu::current_isa();
    cpu::set_isa(GetParam());
  }
  void TearDown() override { cpu::set_isa(before_); }

  // out[n, i, j] = in[n, j, i], whose rows are `step` elements apart.
  static void expect_equal(DType dtype, std::int64_t batch, std::int64_t height, std::int64_t width,
                           std::int64_t step) {
    SCOPED_TRACE(std::to_string(batch) + " of " + std::to_string(height) + " x " + std::to_string(width) +
                 ", " + std::to_string(step) + " apart, " + std::string(name_of(dtype)));
    StridedGeometry g;
    g.rank = 3;
    g.extent = {batch, height, width};
    g.stride[0] = {width * step, 1, step};
    FencedBuffer in(dtype, batch * width * step), expected(dtype, g.numel()), got(dtype, g.numel());
    fill_uniform(in.view(), 1, -1000, 1000);
    cpu::reference::strided_copy(g, in.read(), expected.view());
    cpu::kernels::strided_copy(g, in.read(), got.view());
    EXPECT_TRUE(got.fences_hold());
    EXPECT_TRUE(equal_bits(expected.read(), got.read()));
  }

 private:
  cpu::Isa before_ = cpu::Isa::scalar;
};

TEST_P(Transpose, HasTheBitsOfTheDefinition) {
  for (const std::int64_t height : {2, 3, 4, 5, 15, 16, 17, 20, 64})
    for (const std::int64_t width : {2, 7, 8, 15, 16, 17, 48, 255, 256, 257, 530}) {
      expect_equal(DType::f32, 2, height, width, height);
      expect_equal(DType::f32, 1, height, width, height + 3);
    }
  for (const std::int64_t width : {17, 300}) {
    expect_equal(DType::f32, 1, 37, width, 1024);
    for (const DType dtype : {DType::f64, DType::f16, DType::i64}) expect_equal(dtype, 2, 37, width, 40);
  }
}

TEST_P(Transpose, HasThemPastTheCaches) {
  constexpr std::int64_t kMost = 96 << 20;
  if (cpu::last_level_cache() >= kMost) GTEST_SKIP() << "caches hold what a test may compute";
  const std::int64_t beyond = cpu::last_level_cache() / 4 + 1;
  for (const std::int64_t height : {18, 64})
    expect_equal(DType::f32, beyond / height / 528 + 1, height, 528, height);
}

INSTANTIATE_TEST_SUITE_P(Isas, Transpose, testing::ValuesIn(cpu::available_isas()),
                         [](const auto& info) { return std::string(cpu::isa_name(info.param)); });

}  // namespace
}  // namespace isobit::test
