// Outputs larger than the caches are stored past them (cpu/kernels/conv_pass.cpp): the same bits as the plain
// loops', with bias and relu and without, where the output begins a cache line and where it does not.
#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "core/backend.h"
#include "cpu/kernels/conv_backward_input.h"
#include "cpu/kernels/conv_forward.h"
#include "cpu/reference/reference.h"
#include "cpu/runtime/properties.h"
#include "tests/support/buffers.h"
#include "tests/support/compare.h"
#include "tests/support/shapes.h"
#include "tests/support/values.h"

namespace isobit::test {
namespace {

constexpr std::int64_t kMost = 96 << 20;  ///< bytes of an output that a test may have

// A side whose square of 80 channels (64 and a panel half as wide) is larger than so many bytes; even.
std::int64_t side_beyond(std::int64_t bytes) {
  std::int64_t side = 2;
  while (side * side * 80 * 4 <= bytes) side += 2;
  return side;
}

void check_forward(const ConvGeometry& g) {
  FencedBuffer x(DType::f32, g.x_size()), w(DType::f32, g.w_size()), bias(DType::f32, g.k);
  fill_hard(x.view(), 1);
  fill_hard(w.view(), 2);
  fill_hard(bias.view(), 3);
  for (const bool whole : {false, true}) {
    const Epilogue epilogue = whole ? Epilogue{bias.read(), Activation::relu, 0, {}} : Epilogue{};
    FencedBuffer expected(DType::f32, g.y_size());
    cpu::reference::conv_forward(g, x.read(), w.read(), epilogue, expected.view());
    for (const std::int64_t skip : {0, 1}) {
      FencedBuffer y(DType::f32, g.y_size(), skip);
      cpu::kernels::conv_forward_implicit_gemm(g, x.read(), w.read(), epilogue, y.view());
      EXPECT_TRUE(y.fences_hold());
      EXPECT_TRUE(equal_bits(expected.read(), y.read())) << "skip " << skip << ", bias and relu " << whole;
    }
  }
}

TEST(ConvLarge, OutputStoredPastTheCaches) {
  const std::int64_t cache = cpu::last_level_cache();
  ASSERT_GT(cache, 0);
  if (cache >= kMost) GTEST_SKIP() << "a cache of " << cache << " bytes holds what a test may compute";
  const ConvGeometry g =
      parse_conv_shape("mb1ic2ih" + std::to_string(side_beyond(cache)) + "oc80kh1n\"large\"").geometry;
  ASSERT_GT(g.y_size() * 4, cache);
  check_forward(g);
}

// Tiles of few terms that lie in rows: from 8 MiB on.
TEST(ConvLarge, RowsStoredPastTheCaches) {
  check_forward(
      parse_conv_shape("mb1ic2ih" + std::to_string(side_beyond(8 << 20)) + "oc80kh3ph1n\"rows\"").geometry);
}

TEST(ConvLarge, InputGradientStoredPastTheCaches) {
  const std::int64_t cache = cpu::last_level_cache();
  if (cache >= kMost) GTEST_SKIP() << "a cache of " << cache << " bytes holds what a test may compute";
  const ConvGeometry g =
      parse_conv_shape("mb1ic80ih" + std::to_string(side_beyond(cache)) + "oc2kh2sh2n\"large\"").geometry;
  ASSERT_GT(g.x_size() * 4, cache);
  FencedBuffer dy(DType::f32, g.y_size()), w(DType::f32, g.w_size());
  fill_hard(dy.view(), 1);
  fill_hard(w.view(), 2);
  FencedBuffer expected(DType::f32, g.x_size()), dx(DType::f32, g.x_size());
  cpu::reference::conv_backward_input(g, dy.read(), w.read(), expected.view());
  cpu::kernels::conv_backward_input_implicit_gemm(g, dy.read(), w.read(), dx.view());
  EXPECT_TRUE(dx.fences_hold());
  EXPECT_TRUE(equal_bits(expected.read(), dx.read()));
}

}  // namespace
}  // namespace isobit::test
