// Statistics and result of a norm in one pass over the samples: the bits of the definitions of both, one
// after the other, in every instruction set; the same of the gradient, which goes over samples as well; and
// what the op runs.
#include <gtest/gtest.h>

#include <isobit/algorithms.h>
#include <isobit/ops.h>
#include <isobit/random.h>

#include <string>

#include "core/trace.h"
#include "cpu/kernels/kernels.h"
#include "cpu/kernels/norm_fused.h"
#include "cpu/reference/reference.h"
#include "cpu/runtime/isa.h"
#include "cpu/runtime/properties.h"
#include "tests/support/buffers.h"
#include "tests/support/compare.h"
#include "tests/support/values.h"

namespace isobit::test {
namespace {

NormGeometry norm_of(std::int64_t a, std::int64_t b, std::int64_t g, std::int64_t d) {
  NormGeometry n;
  n.a = a, n.b = b, n.g = g, n.d = d;
  return n;
}

class NormFused : public testing::TestWithParam<cpu::Isa> {
 protected:
  void SetUp() override {
    before_ = cpu::current_isa();
    threads_ = threads();
    cpu::set_isa(GetParam());
  }
  void TearDown() override {
    cpu::set_isa(before_);
    set_threads(threads_);
  }

  static void expect_equal(const NormGeometry& g, DType dtype, bool affine) {
    SCOPED_TRACE(std::to_string(g.a) + " x " + std::to_string(g.b) + " x " + std::to_string(g.g) + " x " +
                 std::to_string(g.d));
    FencedBuffer x(dtype, g.numel()), gamma(dtype, g.channels()), beta(dtype, g.channels());
    fill_uniform(x.view(), 1);
    fill_uniform(gamma.view(), 2);
    fill_uniform(beta.view(), 3);
    const ConstView scale = affine ? gamma.read() : ConstView{}, shift = affine ? beta.read() : ConstView{};
    FencedBuffer mean(dtype, g.statistics()), variance(dtype, g.statistics()), y(dtype, g.numel());
    cpu::reference::norm_statistics(g, x.read(), mean.view(), variance.view());
    cpu::reference::norm_apply(g, 1e-5, x.read(), mean.read(), variance.read(), scale, shift, y.view());
    FencedBuffer got_mean(dtype, g.statistics()), got_variance(dtype, g.statistics()), got(dtype, g.numel());
    ASSERT_TRUE(cpu::kernels::norm_fused(g, 1e-5, x.read(), scale, shift, got_mean.view(),
                                         got_variance.view(), got.view()));
    EXPECT_TRUE(got_mean.fences_hold() && got_variance.fences_hold() && got.fences_hold());
    EXPECT_TRUE(equal_bits(mean.read(), got_mean.read()));
    EXPECT_TRUE(equal_bits(variance.read(), got_variance.read()));
    EXPECT_TRUE(equal_bits(y.read(), got.read()));

    FencedBuffer dx(dtype, g.numel()), got_dx(dtype, g.numel());  // y serves as a gradient
    cpu::reference::norm_backward(g, 1e-5, y.read(), x.read(), mean.read(), variance.read(), scale,
                                  dx.view());
    cpu::kernels::norm_backward(g, 1e-5, y.read(), x.read(), mean.read(), variance.read(), scale,
                                got_dx.view());
    EXPECT_TRUE(got_dx.fences_hold());
    EXPECT_TRUE(equal_bits(dx.read(), got_dx.read()));
  }

 private:
  cpu::Isa before_ = cpu::Isa::scalar;
  int threads_ = 1;
};

TEST_P(NormFused, HasTheBitsOfBoth) {
  for (const int threads : {1, 3}) {
    set_threads(threads);
    for (const DType dtype : {DType::f32, DType::f64})
      for (const bool affine : {true, false}) {
        for (const std::int64_t columns : {1, 3, 16, 63, 64, 65, 130, 1024})  // layer norm
          expect_equal(norm_of(13, 1, 1, columns), dtype, affine);
        for (const std::int64_t positions : {1, 7, 300})
          for (const std::int64_t d : {1, 2, 4, 5, 8, 16, 32, 64, 96})  // group norm, and instance norm
            expect_equal(norm_of(12, positions, 3, d), dtype, affine);
        expect_equal(norm_of(12, 49, 8, 8), dtype, affine);  // rows beyond the last whole register of trees
        expect_equal(norm_of(12, 260, 16, 4), dtype, affine);
        expect_equal(norm_of(12, 260, 1, 24), dtype, affine);
      }
  }
}

TEST_P(NormFused, HasThemPastTheCaches) {
  constexpr std::int64_t kMost = 96 << 20;
  if (cpu::last_level_cache() >= kMost || GetParam() != cpu::best_isa())
    GTEST_SKIP() << "once, where a test may compute what no cache holds";
  for (NormGeometry g : {norm_of(1, 1, 1, 272), norm_of(1, 900, 4, 8), norm_of(1, 900, 32, 1)}) {
    g.a = cpu::last_level_cache() / 4 / (g.b * g.channels()) + 1;
    expect_equal(g, DType::f32, true);
  }
}

INSTANTIATE_TEST_SUITE_P(Isas, NormFused, testing::ValuesIn(cpu::available_isas()),
                         [](const auto& info) { return std::string(cpu::isa_name(info.param)); });

TEST(NormFusedOp, ServesUnlessAnAlgorithmIsForced) {
  const Tensor x = random_uniform({16, 40}, random_key(Seed{1}, "x"), -1, 1);
  const TraceCapture fused;
  const Tensor y = layer_norm(x, {}, {});
  EXPECT_EQ(fused.count("norm_statistics", "fused"), 1);
  EXPECT_EQ(fused.count("norm_apply", "fused"), 1);
  for (const char* kernel : {"norm_statistics", "norm_apply"}) {
    const TraceCapture forced;
    const ForcedAlgorithm reference(Device::cpu(), kernel, "reference");
    EXPECT_TRUE(equal_bits(y, layer_norm(x, {}, {})));
    EXPECT_EQ(forced.count(kernel, "reference"), 1);
    EXPECT_EQ(forced.count_algorithm("fused"), 0);
  }
}

}  // namespace
}  // namespace isobit::test
