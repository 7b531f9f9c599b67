// The functions that have a shorter way for arguments of ordinary size (cpu/kernels/elementary_ranges-inl.h),
// as kernels, against core/numerics one number at a time: every instruction set, runs of neighbouring floats
// and blocks that mix all sizes. With ISOBIT_LONG=1 the vector instruction sets go through all 2^32 floats,
// most of them against core/numerics on registers, a minute or two a function.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "core/numerics/philox.h"
#include "core/numerics/pointwise.h"
#include "cpu/kernels/kernels.h"
#include "cpu/runtime/isa.h"
#include "tests/parity/report.h"
#include "tests/support/elementary.h"
#include "tests/support/vector_views.h"

namespace isobit::testing {
namespace {

namespace scalar = numerics::pointwise;
using test::in;
using test::out;

constexpr std::size_t kRun = 4096;

class ElementaryRanges : public ::testing::TestWithParam<cpu::Isa> {
 protected:
  void SetUp() override {
    before_ = cpu::current_isa();
    cpu::set_isa(GetParam());
    geometry_.extent = {static_cast<std::int64_t>(kRun)};
    geometry_.stride = {{{1}, {1}}};
    for (std::size_t i = 0; i < kRun; ++i) dy_[i] = 0.5f + static_cast<float>(i % 13) / 8;
  }
  void TearDown() override { cpu::set_isa(before_); }

  template <class Scalar>
  void expect_unary(UnaryOp op, Elementary function) {
    each_run([&](bool general) {
      cpu::kernels::unary(op, {}, in(x_), out(y_));
      if (general) {
        elementary_simd(function, x_.data(), expected_.data(), kRun);
      } else {
        for (std::size_t i = 0; i < kRun; ++i) expected_[i] = Scalar()(x_[i], 0.0f);
      }
    });
  }
  template <class Scalar, class General>
  void expect_gradient(BinaryOp op, const General& of_registers) {
    each_run([&](bool general) {
      cpu::kernels::binary(op, {}, geometry_, in(dy_), in(x_), out(y_));
      if (general) {
        of_registers(x_, expected_);
        for (std::size_t i = 0; i < kRun; ++i) expected_[i] = dy_[i] * expected_[i];
      } else {
        for (std::size_t i = 0; i < kRun; ++i) expected_[i] = Scalar()(dy_[i], x_[i], 0.0f);
      }
    });
  }

 private:
  void expect_equal() {
    for (std::size_t i = 0; i < kRun; ++i) {
      const bool nan = std::isnan(expected_[i]) && std::isnan(y_[i]);
      if (nan || std::bit_cast<std::uint32_t>(expected_[i]) == std::bit_cast<std::uint32_t>(y_[i])) continue;
      ADD_FAILURE() << "at " << x_[i] << " (bits " << std::hex << std::bit_cast<std::uint32_t>(x_[i])
                    << "): " << y_[i] << " in place of " << expected_[i];
      return;
    }
  }

  template <class Check>
  void each_run(const Check& check) {
    // Floats in order; the stride is odd, so that runs begin everywhere in a binade.
    const bool all = parity::is_long() && GetParam() != cpu::Isa::scalar;
    const std::uint64_t step = all ? 1 : GetParam() == cpu::Isa::scalar ? 32'771 : 2'053;
    for (std::uint64_t run = 0; run < (std::uint64_t{1} << 32) / kRun && !HasFailure(); run += step) {
      for (std::size_t i = 0; i < kRun; ++i)
        x_[i] = std::bit_cast<float>(static_cast<std::uint32_t>(run * kRun + i));
      check(all && run % 64 != 0);
      expect_equal();
    }
    // Around the ends of the ranges.
    for (const float end : {1.0f, 40.0f, 87.0f, -1.0f, -40.0f, -87.0f}) {
      for (std::size_t i = 0; i < kRun; ++i)
        x_[i] = std::bit_cast<float>(
            static_cast<std::uint32_t>(std::bit_cast<std::uint32_t>(end) - kRun / 2 + i));
      check(false);
      expect_equal();
    }
    // One block in a few has an argument out of the range, somewhere.
    for (const float size : {0.5f, 1.02f, 1.4f, 1.9f, 30.0f, 41.0f, 80.0f, 90.0f}) {
      for (std::size_t i = 0; i < kRun; ++i) {
        const numerics::PhiloxBlock random = numerics::random_block({5, 6}, i);
        x_[i] = size * (static_cast<float>(random.word[0] >> 8) * 0x1p-23f - 1.0f);
        if (random.word[1] % 200 == 0) x_[i] = std::numeric_limits<float>::quiet_NaN();
        if (random.word[1] % 200 == 1) x_[i] = std::bit_cast<float>(random.word[2]);
      }
      check(false);
      expect_equal();
    }
  }

  cpu::Isa before_ = cpu::Isa::scalar;
  StridedGeometry geometry_;
  std::vector<float> x_ = std::vector<float>(kRun), y_ = std::vector<float>(kRun),
                     expected_ = std::vector<float>(kRun), dy_ = std::vector<float>(kRun);
};

TEST_P(ElementaryRanges, Exp) {
  expect_unary<scalar::Exp>(UnaryOp::exp, Elementary::exp);
}
TEST_P(ElementaryRanges, Tanh) {
  expect_unary<scalar::Tanh>(UnaryOp::tanh, Elementary::tanh);
}
TEST_P(ElementaryRanges, Sigmoid) {
  expect_unary<scalar::Sigmoid>(UnaryOp::sigmoid, Elementary::sigmoid);
}
TEST_P(ElementaryRanges, Silu) {
  expect_unary<scalar::Silu>(UnaryOp::silu, Elementary::silu);
}
TEST_P(ElementaryRanges, Gelu) {
  expect_unary<scalar::Gelu>(UnaryOp::gelu, Elementary::gelu);
}
TEST_P(ElementaryRanges, SiluGradient) {
  expect_gradient<scalar::SiluGrad>(BinaryOp::silu_grad, [](const auto& x, auto& d) {
    std::vector<float> s(kRun);
    elementary_simd(Elementary::sigmoid, x.data(), s.data(), kRun);
    for (std::size_t i = 0; i < kRun; ++i) d[i] = s[i] * std::fma(x[i], 1.0f - s[i], 1.0f);
  });
}
TEST_P(ElementaryRanges, GeluGradient) {
  expect_gradient<scalar::GeluGrad>(BinaryOp::gelu_grad, [](const auto& x, auto& d) {
    std::vector<float> density(kRun), cdf(kRun);
    elementary_simd(Elementary::normal_density, x.data(), density.data(), kRun);
    elementary_simd(Elementary::normal_cdf, x.data(), cdf.data(), kRun);
    for (std::size_t i = 0; i < kRun; ++i) d[i] = std::fma(x[i], density[i], cdf[i]);
  });
}

INSTANTIATE_TEST_SUITE_P(All, ElementaryRanges, ::testing::ValuesIn(cpu::available_isas()),
                         [](const auto& info) { return std::string(cpu::isa_name(info.param)); });

}  // namespace
}  // namespace isobit::testing
