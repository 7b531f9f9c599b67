// The reference convolutions against one enumeration of all (output, tap) pairs in 64-bit integers, on small
// integers, where every order of summation agrees: every shape of tests/shapes, every floating type. Then
// what integers cannot show: padded taps take part, phases, epilogues.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "core/numerics/casts.h"
#include "cpu/reference/reference.h"
#include "tests/support/buffers.h"
#include "tests/support/compare.h"
#include "tests/support/shapes.h"
#include "tests/support/values.h"

namespace isobit::cpu::reference {
namespace {

using test::FencedBuffer;
using Integers = std::vector<std::int64_t>;

// The element that a coordinate shows, found by walking there from element 0 step by step: -1 is the value.
std::int64_t walked(PadMode mode, std::int64_t coordinate, std::int64_t extent) {
  if (mode == PadMode::constant) return coordinate >= 0 && coordinate < extent ? coordinate : -1;
  std::int64_t at = 0, step = coordinate < 0 ? -1 : 1;
  for (std::int64_t left = coordinate < 0 ? -coordinate : coordinate; left > 0; --left) {
    const std::int64_t next = at + step;
    if (next >= 0 && next < extent) {
      at = next;
    } else if (mode == PadMode::circular) {
      at = step > 0 ? 0 : extent - 1;
    } else if (mode == PadMode::symmetric) {  // the edge shows once more, and the way leads back
      step = -step;
    } else if (mode == PadMode::reflect && extent > 1) {
      step = -step;
      at += step;
    }
  }
  return at;
}

// Which input coordinate every (output, tap) of an axis reads, -1 for the value: found by walking the padded
// line.
struct Pair {
  std::int64_t out, tap, in;
};
std::vector<Pair> pairs_of(const AxisGeometry& a) {
  std::vector<Pair> pairs;
  const std::int64_t padded = a.in + a.pad_before + a.pad_after;
  std::int64_t out = 0;
  for (std::int64_t start = 0; start + a.dilation * (a.filter - 1) < padded; start += a.stride, ++out)
    for (std::int64_t tap = 0; tap < a.filter; ++tap) {
      pairs.push_back({out, tap, walked(a.mode, start + tap * a.dilation - a.pad_before, a.in)});
    }
  EXPECT_EQ(out, a.out) << "the extent of the output";
  return pairs;
}

// In quarters, so that values between the whole numbers can stand outside.
constexpr std::int64_t kUnit = 4;
struct Expected {
  Integers y, dx, dw;
};

Expected enumerate(const ConvGeometry& g, const Integers& x, const Integers& w, const Integers& dy) {
  Expected e{Integers(dy.size()), Integers(x.size()), Integers(w.size())};
  const auto depth = pairs_of(g.axis[0]), height = pairs_of(g.axis[1]), width = pairs_of(g.axis[2]);
  const auto& [ad, ah, aw] = g.axis;
  const std::int64_t cg = g.c / g.groups, kg = g.k / g.groups;
  const auto outside = static_cast<std::int64_t>(g.pad_value * kUnit);
  EXPECT_EQ(static_cast<double>(outside), g.pad_value * kUnit) << "a value that is no number of quarters";
  for (std::int64_t n = 0; n < g.n; ++n)
    for (const Pair& d : depth)
      for (const Pair& h : height)
        for (const Pair& v : width) {
          const bool real = d.in >= 0 && h.in >= 0 && v.in >= 0;
          const std::int64_t in = ((n * ad.in + d.in) * ah.in + h.in) * aw.in + v.in;
          const std::int64_t out = ((n * ad.out + d.out) * ah.out + h.out) * aw.out + v.out;
          const std::int64_t tap = (d.tap * ah.filter + h.tap) * aw.filter + v.tap;
          for (std::int64_t group = 0; group < g.groups; ++group)
            for (std::int64_t c = 0; c < cg; ++c)
              for (std::int64_t k = 0; k < kg; ++k) {
                const auto ix = static_cast<std::size_t>(real ? in * g.c + group * cg + c : 0);
                const auto iy = static_cast<std::size_t>(out * g.k + group * kg + k);
                const auto iw = static_cast<std::size_t>((tap * cg + c) * g.k + group * kg + k);
                const std::int64_t read = real ? x[ix] * kUnit : outside;
                e.y[iy] += read * w[iw];
                if (real) e.dx[ix] += dy[iy] * w[iw] * kUnit;
                e.dw[iw] += read * dy[iy];
              }
        }
  return e;
}

Integers integers_of(ConstView v) {
  Integers list;
  for (std::int64_t i = 0; i < v.numel; ++i)
    list.push_back(static_cast<std::int64_t>(test::element_value(v, i)));
  return list;
}

// Exact quarters, rounded once to the dtype; zeros are +0.
FencedBuffer rounded(const Integers& quarters, DType dtype) {
  FencedBuffer buffer(dtype, static_cast<std::int64_t>(quarters.size()));
  for (std::size_t i = 0; i < quarters.size(); ++i) {
    const double value = static_cast<double>(quarters[i]) / kUnit;
    if (dtype == DType::f32) buffer.as<float>()[i] = numerics::cast<float>(value);
    if (dtype == DType::f64) buffer.as<double>()[i] = value;
    if (dtype == DType::f16) buffer.as<f16>()[i] = numerics::cast<f16>(value);
    if (dtype == DType::bf16) buffer.as<bf16>()[i] = numerics::cast<bf16>(value);
  }
  return buffer;
}

void check(const test::ConvShape& shape, DType dtype) {
  SCOPED_TRACE(shape.place + " " + shape.name + " " + std::string(name_of(dtype)));
  const ConvGeometry& g = shape.geometry;
  FencedBuffer x(dtype, g.x_size()), w(dtype, g.w_size()), dy(dtype, g.y_size());
  test::fill_integers(x.view(), 1);
  test::fill_integers(w.view(), 2);
  test::fill_integers(dy.view(), 3);
  const Expected expected =
      enumerate(g, integers_of(x.read()), integers_of(w.read()), integers_of(dy.read()));
  FencedBuffer y(dtype, g.y_size()), dx(dtype, g.x_size()), dw(dtype, g.w_size());
  conv_forward(g, x.read(), w.read(), {}, y.view());
  conv_backward_input(g, dy.read(), w.read(), dx.view());
  conv_backward_filter(g, x.read(), dy.read(), dw.view());
  for (const FencedBuffer* buffer : {&y, &dx, &dw}) EXPECT_TRUE(buffer->fences_hold());
  // Sums of +0 products are +0 and so is every exact sum that cancels.
  EXPECT_TRUE(test::equal_bits(y.read(), rounded(expected.y, dtype).read())) << "y";
  // Halves round what the padded x gets before it is folded: their dx is no single rounding.
  if (!g.folds() || dtype == DType::f32 || dtype == DType::f64) {
    EXPECT_TRUE(test::equal_bits(dx.read(), rounded(expected.dx, dtype).read())) << "dx";
  }
  EXPECT_TRUE(test::equal_bits(dw.read(), rounded(expected.dw, dtype).read())) << "dw";
}

TEST(ReferenceConv, AgreesWithTheEnumerationOnEveryShape) {
  const auto shapes = test::all_conv_shapes();
  ASSERT_GE(shapes.size(), 150u);
  for (const auto& shape : shapes) check(shape, DType::f32);
}

TEST(ReferenceConv, AgreesWithTheEnumerationInEveryType) {
  for (const char* file : {"basic.txt", "grouped.txt", "small.txt"})
    for (const auto& shape : test::read_conv_shapes(file))
      for (const DType dtype : {DType::f64, DType::f16, DType::bf16}) check(shape, dtype);
}

// 1-D, one channel: y [out] from x [in].
ConvGeometry line(std::int64_t in, std::int64_t filter, std::int64_t stride, std::int64_t pad) {
  ConvGeometry g;
  g.n = g.c = g.k = 1;
  g.axis[2] = {in, filter, (in + 2 * pad - filter) / stride + 1, stride, 1, pad, pad};
  return g;
}
ConstView view(const std::vector<float>& v) {
  return {v.data(), DType::f32, static_cast<std::int64_t>(v.size())};
}
View view(std::vector<float>& v) {
  return {v.data(), DType::f32, static_cast<std::int64_t>(v.size())};
}
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

TEST(ReferenceConv, PaddedTapsTakePart) {
  const ConvGeometry g = line(3, 3, 1, 1);
  const std::vector<float> x{1, 1, 1}, w{kNaN, 1, 1};
  std::vector<float> y(3), dx(3), dw(3);
  conv_forward(g, view(x), view(w), {}, view(y));
  for (const float v : y) EXPECT_TRUE(std::isnan(v)) << "the NaN tap lies in the padding of the first output";
  conv_backward_input(g, view(x), view(w), view(dx));
  for (const float v : dx) EXPECT_TRUE(std::isnan(v));
  conv_backward_filter(g, view(x), view(std::vector<float>{kNaN, 1, 1}), view(dw));
  for (const float v : dw) EXPECT_TRUE(std::isnan(v)) << "the first tap meets dy[0] in the padding";
}

TEST(ReferenceConv, APaddedTapTurnsAnUnderflowedSumIntoPlusZero) {
  const ConvGeometry g = line(1, 2, 1, 1);  // two outputs: (pad, x), (x, pad)
  const std::vector<float> x{-0x1p-100f}, w{0x1p-100f, 0x1p-100f};
  std::vector<float> y(2);
  conv_forward(g, view(x), view(w), {}, view(y));
  EXPECT_TRUE(std::signbit(y[0])) << "fma(x, w, +0) underflows to -0 and is the last term";
  EXPECT_FALSE(std::signbit(y[1])) << "fma(+0, w, -0) is +0";
}

TEST(ReferenceConv, OnlyTapsOfThePhaseTakePart) {
  const ConvGeometry g = line(6, 3, 2, 0);  // outputs at 0 and 2; taps 0 and 2 are the even phase, 1 the odd
  const std::vector<float> dy{1, 1}, w{1, kNaN, 1};
  std::vector<float> dx(6);
  conv_backward_input(g, view(dy), view(w), view(dx));
  EXPECT_EQ(dx[0], 1.0f) << "tap 2 of output -1 reads +0";
  EXPECT_TRUE(std::isnan(dx[1]));
  EXPECT_EQ(dx[2], 2.0f);
  EXPECT_EQ(dx[4], 1.0f);
  EXPECT_TRUE(std::isnan(dx[5])) << "no window reaches it, yet its phase has tap 1 with dy outside";
  const ConvGeometry sparse = line(6, 1, 3, 0);
  std::vector<float> rest(6);
  conv_backward_input(sparse, view(dy), view(std::vector<float>{kNaN}), view(rest));
  EXPECT_TRUE(std::isnan(rest[0]));
  EXPECT_EQ(rest[1], 0.0f) << "a phase without a tap";
  EXPECT_FALSE(std::signbit(rest[1]));
}

TEST(ReferenceConv, CroppedElementsGetPlusZero) {
  ConvGeometry g = line(5, 1, 1, -1);
  ASSERT_EQ(g.axis[2].out, 3);
  std::vector<float> dx(5, kNaN);
  conv_backward_input(g, view(std::vector<float>{1, 2, 3}), view(std::vector<float>{kNaN}), view(dx));
  EXPECT_EQ(dx[0], 0.0f);
  EXPECT_TRUE(std::isnan(dx[1]));
  EXPECT_EQ(dx[4], 0.0f);
}

TEST(ReferenceConv, TheEpilogueRoundsTheBiasThenApplies) {
  const ConvGeometry g = line(4, 1, 1, 0);
  const std::vector<float> x{0x1p24f, -3, kNaN, -0.0f}, w{1}, bias{1};
  std::vector<float> y(4);
  const Epilogue with_bias{view(bias), Activation::none, 0, {}}, relu{{}, Activation::relu, 0, {}},
      both{view(bias), Activation::relu, 0, {}};
  conv_forward(g, view(x), view(w), with_bias, view(y));
  EXPECT_EQ(y[0], 0x1p24f);
  EXPECT_EQ(y[1], -2.0f);
  conv_forward(g, view(x), view(w), relu, view(y));
  EXPECT_EQ(y[1], 0.0f);
  EXPECT_TRUE(std::isnan(y[2]));
  conv_forward(g, view(x), view(w), both, view(y));
  EXPECT_EQ(y[1], 0.0f);
  EXPECT_EQ(y[3], 1.0f);
}

TEST(ReferenceMatmul, AgreesWithIntegersForEveryTranspose) {
  for (const bool ta : {false, true})
    for (const bool tb : {false, true})
      for (const DType dtype : {DType::f32, DType::f64, DType::f16, DType::bf16}) {
        MatmulGeometry g{2, 3, 5, 300, ta, tb, 3 * 300, 0};  // b repeats
        FencedBuffer a(dtype, 2 * 3 * 300), b(dtype, 300 * 5), c(dtype, 2 * 3 * 5);
        test::fill_integers(a.view(), 5);
        test::fill_integers(b.view(), 6);
        matmul(g, a.read(), b.read(), c.view());
        const Integers ai = integers_of(a.read()), bi = integers_of(b.read());
        Integers expected;
        for (std::size_t batch = 0; batch < 2; ++batch)
          for (std::size_t m = 0; m < 3; ++m)
            for (std::size_t n = 0; n < 5; ++n) {
              std::int64_t sum = 0;
              for (std::size_t k = 0; k < 300; ++k)
                sum += ai[batch * 900 + (ta ? k * 3 + m : m * 300 + k)] * bi[tb ? n * 300 + k : k * 5 + n];
              expected.push_back(sum * kUnit);
            }
        EXPECT_TRUE(test::equal_bits(c.read(), rounded(expected, dtype).read()));
        EXPECT_TRUE(c.fences_hold());
      }
}

}  // namespace
}  // namespace isobit::cpu::reference
