// Results larger than the caches are stored past them (cpu/kernels/stream-inl.h): the same bits as the plain
// loops'. Rows of whole lines but for the last elements of element-wise results; an output off a line's
// border is stored plainly.
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <utility>

#include "core/backend.h"
#include "cpu/kernels/conv_backward_filter.h"
#include "cpu/kernels/conv_forward.h"
#include "cpu/kernels/kernels.h"
#include "cpu/reference/reference.h"
#include "cpu/runtime/properties.h"
#include "tests/support/buffers.h"
#include "tests/support/compare.h"
#include "tests/support/values.h"

namespace isobit::test {
namespace {

namespace fast = cpu::kernels;
namespace plain = cpu::reference;

constexpr std::int64_t kMost = 96 << 20;  ///< bytes of a result that a test may have

class PastCaches : public testing::Test {
 protected:
  void SetUp() override {
    if (cpu::last_level_cache() >= kMost)
      GTEST_SKIP() << "a cache of " << cpu::last_level_cache() << " bytes holds what a test may compute";
  }
  // Rows of `size` elements that the caches do not hold.
  static std::int64_t rows_beyond(std::int64_t size, DType dtype) {
    return cpu::last_level_cache() / size_of(dtype) / size + 1;
  }
  static FencedBuffer uniform(DType dtype, std::int64_t numel, std::uint64_t seed) {
    FencedBuffer buffer(dtype, numel);
    fill_uniform(buffer.view(), seed);
    return buffer;
  }
  using Kernel = std::function<void(View out)>;
  static void expect_equal(DType dtype, std::int64_t numel, const Kernel& tested, const Kernel& definition,
                           std::int64_t skip = 0) {
    ASSERT_GT(numel * size_of(dtype), cpu::last_level_cache());
    FencedBuffer expected(dtype, numel), got(dtype, numel, skip);
    definition(expected.view());
    tested(got.view());
    EXPECT_TRUE(got.fences_hold());
    EXPECT_TRUE(equal_bits(expected.read(), got.read()));
  }
};

TEST_F(PastCaches, ElementWise) {
  for (const DType dtype : {DType::f32, DType::f16}) {
    const std::int64_t n = rows_beyond(1, dtype) + 37;
    const FencedBuffer x = uniform(dtype, n, 1), row = uniform(dtype, 1, 2);
    for (const std::int64_t skip : {0, 1})
      expect_equal(
          dtype, n, [&](View y) { fast::unary(UnaryOp::sigmoid, {}, x.view(), y); },
          [&](View y) { plain::unary(UnaryOp::sigmoid, {}, x.view(), y); }, skip);
    const FencedBuffer z = uniform(dtype, n, 3);
    StridedGeometry both;
    both.extent = {n};
    both.stride[0] = both.stride[1] = {1};
    for (const BinaryOp op : {BinaryOp::add, BinaryOp::gelu_grad})
      expect_equal(
          dtype, n, [&](View y) { fast::binary(op, {}, both, x.view(), z.view(), y); },
          [&](View y) { plain::binary(op, {}, both, x.view(), z.view(), y); });
    StridedGeometry g;  // x + one number
    g.extent = {n};
    g.stride[0] = {1};
    expect_equal(
        dtype, n, [&](View y) { fast::binary(BinaryOp::add, {}, g, x.view(), row.view(), y); },
        [&](View y) { plain::binary(BinaryOp::add, {}, g, x.view(), row.view(), y); });
    expect_equal(
        dtype, n, [&](View y) { fast::strided_copy(g, x.view(), y); },
        [&](View y) { plain::strided_copy(g, x.view(), y); });
  }
}

// Three panels of filters; of f16 whole lines are converted. The gradient of the filter asks for dy ahead of
// its tiles.
TEST_F(PastCaches, Convolutions) {
  for (const DType dtype : {DType::f32, DType::f16, DType::bf16}) {
    ConvGeometry g;
    g.c = 2, g.k = 96;
    g.axis[1] = {.in = 12, .filter = 3, .out = 12, .pad_before = 1, .pad_after = 1};
    g.axis[2] = {.in = 12, .out = 12};
    g.n = rows_beyond(g.positions() * g.k, dtype);
    const FencedBuffer x = uniform(dtype, g.x_size(), 1), w = uniform(dtype, g.w_size(), 2),
                       bias = uniform(dtype, g.k, 3), dy = uniform(dtype, g.y_size(), 4);
    Epilogue epilogue;
    epilogue.bias = bias.read();
    expect_equal(
        dtype, g.y_size(),
        [&](View y) { fast::conv_forward_implicit_gemm(g, x.view(), w.view(), epilogue, y); },
        [&](View y) { plain::conv_forward(g, x.view(), w.view(), epilogue, y); });
    FencedBuffer expected(dtype, g.w_size()), got(dtype, g.w_size());
    plain::conv_backward_filter(g, x.view(), dy.view(), expected.view());
    fast::conv_backward_filter_implicit_gemm(g, x.view(), dy.view(), got.view());
    EXPECT_TRUE(got.fences_hold());
    EXPECT_TRUE(equal_bits(expected.read(), got.read()));
  }
}

TEST_F(PastCaches, Softmax) {
  // Rows that end with a line, and rows that share one: short ones, and of 2 KB and more.
  const std::pair<DType, std::int64_t> cases[] = {
      {DType::f32, 496}, {DType::bf16, 496}, {DType::f32, 72}, {DType::f32, 1003}};
  for (const auto& one : cases) {
    const DType dtype = one.first;
    const std::int64_t columns = one.second;
    const std::int64_t n = rows_beyond(columns, dtype) * columns;
    const FencedBuffer x = uniform(dtype, n, 1), dy = uniform(dtype, n, 2);
    expect_equal(
        dtype, n, [&](View y) { fast::softmax(columns, x.view(), y); },
        [&](View y) { plain::softmax(columns, x.view(), y); });
    expect_equal(
        dtype, n, [&](View y) { fast::log_softmax(columns, x.view(), y); },
        [&](View y) { plain::log_softmax(columns, x.view(), y); });
    expect_equal(
        dtype, n, [&](View dx) { fast::softmax_backward(columns, dy.view(), x.view(), dx); },
        [&](View dx) { plain::softmax_backward(columns, dy.view(), x.view(), dx); });
    expect_equal(
        dtype, n, [&](View dx) { fast::log_softmax_backward(columns, dy.view(), x.view(), dx); },
        [&](View dx) { plain::log_softmax_backward(columns, dy.view(), x.view(), dx); });
  }
}

TEST_F(PastCaches, Norms) {
  NormGeometry group, batch, layer;
  group.b = 900, group.g = 4, group.d = 8;
  batch.b = 9, batch.g = 48, batch.over_batch = true;
  layer.d = 272;
  for (NormGeometry g : {group, batch, layer}) {
    g.a = rows_beyond(g.b * g.channels(), DType::f32);
    const std::int64_t n = g.numel();
    const FencedBuffer x = uniform(DType::f32, n, 1), dy = uniform(DType::f32, n, 2),
                       gamma = uniform(DType::f32, g.channels(), 3),
                       beta = uniform(DType::f32, g.channels(), 4);
    FencedBuffer mean(DType::f32, g.statistics()), variance(DType::f32, g.statistics());
    plain::norm_statistics(g, x.view(), mean.view(), variance.view());
    const ConstView m = mean.read(), v = variance.read();
    expect_equal(
        DType::f32, n,
        [&](View y) { fast::norm_apply(g, 1e-5, x.view(), m, v, gamma.view(), beta.view(), y); },
        [&](View y) { plain::norm_apply(g, 1e-5, x.view(), m, v, gamma.view(), beta.view(), y); });
    expect_equal(
        DType::f32, n,
        [&](View dx) { fast::norm_backward(g, 1e-5, dy.view(), x.view(), m, v, gamma.view(), dx); },
        [&](View dx) { plain::norm_backward(g, 1e-5, dy.view(), x.view(), m, v, gamma.view(), dx); });
  }
}

// What is summed is beyond the caches, not the result: rows are then added one by one, of a whole tile of
// columns and of a part that ends within a register; over positions, and over the batch too.
TEST_F(PastCaches, Sums) {
  constexpr std::int64_t kPositions = 23, kColumns = 1172;
  for (const DType dtype : {DType::f32, DType::f16}) {
    const std::int64_t samples = rows_beyond(kPositions * kColumns, dtype);
    const FencedBuffer x = uniform(dtype, samples * kPositions * kColumns, 1);
    for (const bool batch : {false, true}) {
      const std::array<int, 2> axes{1, 0};
      const ReduceGeometry g =
          make_reduce_geometry(Shape{samples, kPositions, kColumns}, std::span(axes).first(batch ? 2 : 1));
      FencedBuffer expected(dtype, g.kept()), got(dtype, g.kept());
      plain::reduce_sum(g, x.view(), expected.view());
      fast::reduce_sum(g, x.view(), got.view());
      EXPECT_TRUE(got.fences_hold());
      EXPECT_TRUE(equal_bits(expected.read(), got.read()));
    }
  }
}

TEST_F(PastCaches, Pooling) {
  PoolGeometry overlapping, tiling;
  overlapping.c = tiling.c = 32;
  overlapping.axis[1] =
      overlapping.axis[2] = {.in = 20, .filter = 3, .out = 20, .pad_before = 1, .pad_after = 1};
  tiling.axis[1] = tiling.axis[2] = {.in = 20, .filter = 2, .out = 10, .stride = 2};
  for (PoolGeometry g : {overlapping, tiling}) {
    g.n = rows_beyond(20 * 20 * g.c, DType::f32);
    const std::int64_t n = g.n * 20 * 20 * g.c, outputs = g.n * g.positions() * g.c;
    const FencedBuffer x = uniform(DType::f32, n, 1), dy = uniform(DType::f32, outputs, 2);
    FencedBuffer y(DType::f32, outputs), index(DType::i64, outputs);
    plain::max_pool(g, x.view(), y.view(), index.view());
    FencedBuffer fast_y(DType::f32, outputs), fast_index(DType::i64, outputs);
    fast::max_pool(g, x.view(), fast_y.view(), fast_index.view());
    EXPECT_TRUE(fast_y.fences_hold() && fast_index.fences_hold());
    EXPECT_TRUE(equal_bits(y.read(), fast_y.read()));
    EXPECT_TRUE(equal_bits(index.read(), fast_index.read()));
    expect_equal(
        DType::f32, n, [&](View dx) { fast::max_pool_backward(g, dy.view(), index.read(), dx); },
        [&](View dx) { plain::max_pool_backward(g, dy.view(), index.read(), dx); });
    expect_equal(
        DType::f32, n, [&](View dx) { fast::avg_pool_backward(g, dy.view(), dx); },
        [&](View dx) { plain::avg_pool_backward(g, dy.view(), dx); });
    if (outputs != n) continue;
    expect_equal(
        DType::f32, n, [&](View out) { fast::avg_pool(g, x.view(), out); },
        [&](View out) { plain::avg_pool(g, x.view(), out); });
  }
}

}  // namespace
}  // namespace isobit::test
