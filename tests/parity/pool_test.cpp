// Pooling against the reference: windows that touch, overlap and leave gaps, padding, dilation, the last
// window of ceil_mode, one to three axes, channels around the vector width.
#include "tests/parity/parity.h"

namespace isobit::parity {
namespace {

AxisGeometry axis(std::int64_t in, std::int64_t filter, std::int64_t stride, std::int64_t dilation = 1,
                  std::int64_t before = 0, std::int64_t after = 0, bool ceil_mode = false) {
  AxisGeometry a;
  a.in = in, a.filter = filter, a.stride = stride, a.dilation = dilation, a.pad_before = before,
  a.pad_after = after;
  const std::int64_t room = in + before + after - dilation * (filter - 1) - 1;
  a.out = room < 0 ? 0 : (ceil_mode ? (room + stride - 1) / stride : room / stride) + 1;
  if (ceil_mode && (a.out - 1) * stride >= in + before) --a.out;
  return a;
}

std::vector<PoolGeometry> geometries() {
  std::vector<PoolGeometry> list;
  const auto add = [&](std::int64_t n, std::int64_t c, AxisGeometry d, AxisGeometry h, AxisGeometry w) {
    PoolGeometry g;
    g.n = n, g.c = c, g.axis = {d, h, w};
    list.push_back(g);
  };
  const AxisGeometry one = axis(1, 1, 1);
  add(2, 32, one, axis(12, 2, 2), axis(12, 2, 2));
  add(3, 5, one, axis(9, 2, 2), axis(7, 2, 2));
  add(2, 17, one, axis(8, 3, 2, 1, 1, 1), axis(9, 3, 2, 1, 1, 1));
  add(1, 3, one, axis(10, 3, 1), axis(6, 2, 1));
  add(2, 16, one, axis(11, 2, 3), axis(11, 2, 3));
  add(2, 4, one, axis(10, 2, 2, 3), axis(10, 3, 1, 2, 2, 1));
  add(2, 7, one, axis(7, 3, 2, 1, 0, 0, true), axis(8, 3, 2, 1, 1, 1, true));
  add(2, 9, axis(5, 2, 2), axis(4, 2, 1), axis(6, 3, 2, 1, 1, 0));
  add(3, 33, one, one, axis(20, 4, 3, 1, 2, 1));
  add(2, 70, one, axis(7, 7, 1), axis(7, 7, 1));
  add(2, 19, one, one, axis(12, 3, 3));
  add(2, 20, axis(4, 2, 2), axis(6, 3, 3), axis(4, 1, 1));
  add(20, 32, one, axis(28, 2, 2), axis(28, 2, 2));
  add(0, 4, one, axis(4, 2, 2), axis(4, 2, 2));
  add(2, 0, one, axis(4, 2, 2), axis(4, 2, 2));
  return list;
}
std::int64_t in_size(const PoolGeometry& g) {
  return g.n * g.c * g.axis[0].in * g.axis[1].in * g.axis[2].in;
}
std::int64_t out_size(const PoolGeometry& g) {
  return g.n * g.c * g.positions();
}
std::string text(const PoolGeometry& g, DType dtype) {
  std::string s = fmt::format("n{} c{} {}", g.n, g.c, dtype);
  for (const AxisGeometry& a : g.axis)
    s += fmt::format(" {}/{}s{}d{}p{}+{}", a.in, a.filter, a.stride, a.dilation, a.pad_before, a.pad_after);
  return s;
}

TEST(PoolParity, Max) {
  for (const PoolGeometry& g : geometries()) {
    for (const DType dtype : kFloating) {
      for (const Values values : {Values::plain, Values::hard}) {
        SCOPED_TRACE(text(g, dtype));
        const Array x = random_array(dtype, in_size(g), values);
        expect_parity(
            "max_pool", {Array(dtype, out_size(g)), Array(DType::i64, out_size(g))},
            [&](Backend& b, Outputs& out) { b.max_pool(g, x.view(), out[0].view(), out[1].view()); });
        Array y(dtype, out_size(g)), index(DType::i64, out_size(g));
        backend(Device::cpu()).max_pool(g, x.view(), y.view(), index.view());
        const Array dy = random_array(dtype, out_size(g), values, 2);
        expect_parity("max_pool_backward", {Array(dtype, in_size(g))}, [&](Backend& b, Outputs& out) {
          b.max_pool_backward(g, dy.view(), index.view(), out[0].view());
        });
        expect_parity("max_pool_gather", {Array(dtype, out_size(g))}, [&](Backend& b, Outputs& out) {
          b.max_pool_gather(g, x.view(), index.view(), out[0].view());
        });
        if (HasFailure()) return;
      }
    }
  }
}

// Problems nobody thought of: random windows.
TEST(PoolParity, RandomProblems) {
  std::mt19937 engine(7);
  const auto upto = [&](unsigned n) { return static_cast<std::int64_t>(engine() % n); };
  for (int round = 0; round < (is_long() ? 1000 : 25); ++round) {
    PoolGeometry g;
    g.n = 1 + upto(3), g.c = 1 + upto(40), g.count_include_pad = upto(2) == 0;
    for (int i = round % 3; i < 3; ++i) {
      const std::int64_t filter = 1 + upto(4), dilation = 1 + upto(2), span = dilation * (filter - 1) + 1;
      // Every window holds at least one real tap: padding below the filter, and not beyond the input.
      const std::int64_t in = span + upto(6);
      g.axis[static_cast<std::size_t>(i)] =
          axis(in, filter, 1 + upto(4), dilation, upto(static_cast<unsigned>(filter)),
               upto(static_cast<unsigned>(filter)));
    }
    const DType dtype = kFloating[engine() % 4];
    SCOPED_TRACE(text(g, dtype));
    const Array x = random_array(dtype, in_size(g), Values::plain, static_cast<std::uint32_t>(round));
    const Array dy = random_array(dtype, out_size(g), Values::plain, static_cast<std::uint32_t>(round + 1));
    Array y(dtype, out_size(g)), index(DType::i64, out_size(g));
    expect_parity("max_pool", {y, index},
                  [&](Backend& b, Outputs& out) { b.max_pool(g, x.view(), out[0].view(), out[1].view()); });
    backend(Device::cpu()).max_pool(g, x.view(), y.view(), index.view());
    expect_parity("max_pool_backward", {Array(dtype, in_size(g))}, [&](Backend& b, Outputs& out) {
      b.max_pool_backward(g, dy.view(), index.view(), out[0].view());
    });
    expect_parity("avg_pool", {y}, [&](Backend& b, Outputs& out) { b.avg_pool(g, x.view(), out[0].view()); });
    expect_parity("avg_pool_backward", {Array(dtype, in_size(g))},
                  [&](Backend& b, Outputs& out) { b.avg_pool_backward(g, dy.view(), out[0].view()); });
    if (HasFailure()) return;
  }
}

TEST(PoolParity, Average) {
  for (PoolGeometry g : geometries()) {
    for (const DType dtype : kFloating) {
      for (const bool include : {false, true}) {
        g.count_include_pad = include;
        SCOPED_TRACE(text(g, dtype));
        const Array x = random_array(dtype, in_size(g), Values::hard),
                    dy = random_array(dtype, out_size(g), Values::hard, 2);
        expect_parity("avg_pool", {Array(dtype, out_size(g))},
                      [&](Backend& b, Outputs& out) { b.avg_pool(g, x.view(), out[0].view()); });
        expect_parity("avg_pool_backward", {Array(dtype, in_size(g))},
                      [&](Backend& b, Outputs& out) { b.avg_pool_backward(g, dy.view(), out[0].view()); });
        if (HasFailure()) return;
      }
    }
  }
}

}  // namespace
}  // namespace isobit::parity
