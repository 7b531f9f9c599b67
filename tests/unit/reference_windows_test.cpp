// The reference resample, unfold and fold: results worked out by hand, on data that tell the orders apart.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "core/numerics/casts.h"
#include "cpu/reference/reference.h"
#include "tests/support/vector_views.h"

namespace isobit::cpu::reference {
namespace {

using test::in;
using test::out;

constexpr float kBig = 0x1p24f;  // absorbs a 1, not a 2
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
using Indices = std::vector<std::int64_t>;

TEST(ReferenceResample, RowsOfEntriesTimesLines) {
  // Two lines of three elements with two inner ones; rows: nothing, {2: 0.5}, {0: 2, 2: -1}, {1: 1, 1: 1}.
  const ResampleGeometry g{2, 3, 4, 2};
  const std::vector<float> x{1, 10, 2, 20, 3, 30, 4, 40, 5, 50, 6, 60}, weight{0.5f, 2, -1, 1, 1};
  std::vector<float> y(16, kNan);
  resample(g, in(x), in(Indices{0, 0, 1, 3, 5}), in(Indices{2, 0, 2, 1, 1}), in(weight), out(y));
  EXPECT_EQ(y, (std::vector<float>{0, 0, 1.5f, 15, -1, -10, 4, 40, 0, 0, 3, 30, 2, 20, 10, 100}));
}

TEST(ReferenceResample, TheFirstProductIsRoundedTheOthersAreFused) {
  // (1 + 2^-12)^2 = 1 + 2^-11 + 2^-24: rounded as the first product, exact inside of an fma.
  const float a = 1 + 0x1p-12f, rounded = 1 + 0x1p-11f;
  const std::vector<float> x{a, -rounded};
  std::vector<float> y(2, kNan);
  resample({1, 2, 2, 1}, in(x), in(Indices{0, 2, 4}), in(Indices{0, 1, 1, 0}),
           in(std::vector<float>{a, 1, 1, a}), out(y));
  EXPECT_EQ(y, (std::vector<float>{0, 0x1p-24f}));
}

TEST(ReferenceResample, TheSignOfAZeroAndANanPassAlone) {
  const std::vector<float> x{-0.0f, kNan};
  std::vector<float> y(3, 1);
  resample({1, 2, 3, 1}, in(x), in(Indices{0, 1, 2, 2}), in(Indices{0, 1}), in(std::vector<float>{1, 1}),
           out(y));
  EXPECT_TRUE(y[0] == 0 && std::signbit(y[0]));
  EXPECT_TRUE(std::isnan(y[1]));
  EXPECT_TRUE(y[2] == 0 && !std::signbit(y[2]));
}

TEST(ReferenceResample, HalvesAreRoundedOnce) {
  const std::vector<f16> x{numerics::cast<f16>(1.0f), numerics::cast<f16>(0x1p-11f)};
  std::vector<f16> y(1);
  // 1 + 1.5 * 2^-11 lies above the middle between 1 and 1 + 2^-10.
  resample({1, 2, 1, 1}, in(x), in(Indices{0, 2}), in(Indices{0, 1}), in(std::vector<float>{1, 1.5f}),
           out(y));
  EXPECT_EQ(numerics::widen(y[0]), 1 + 0x1p-10f);
}

ConvGeometry row_of(std::int64_t extent, std::int64_t filter, std::int64_t stride, std::int64_t pad,
                    PadMode mode) {
  ConvGeometry g;
  g.n = 1, g.c = 1, g.k = 1;
  AxisGeometry& a = g.axis[2];
  a.in = extent, a.filter = filter, a.stride = stride, a.pad_before = a.pad_after = pad, a.mode = mode;
  a.out = (extent + 2 * pad - filter) / stride + 1;
  return g;
}

TEST(ReferenceUnfold, EveryModeOfARow) {
  const std::vector<std::int32_t> x{1, 2, 3};
  const auto windows = [&](PadMode mode) {
    ConvGeometry g = row_of(3, 2, 3, 2, mode);
    g.pad_value = 9;
    std::vector<std::int32_t> columns(4, -1);
    unfold(g, in(x), out(columns));
    return columns;
  };
  // Windows over the padded row: its elements 0, 1 and 3, 4.
  EXPECT_EQ(windows(PadMode::constant), (std::vector<std::int32_t>{9, 9, 2, 3}));
  EXPECT_EQ(windows(PadMode::reflect), (std::vector<std::int32_t>{3, 2, 2, 3}));
  EXPECT_EQ(windows(PadMode::symmetric), (std::vector<std::int32_t>{2, 1, 2, 3}));
  EXPECT_EQ(windows(PadMode::replicate), (std::vector<std::int32_t>{1, 1, 2, 3}));
  EXPECT_EQ(windows(PadMode::circular), (std::vector<std::int32_t>{2, 3, 2, 3}));
}

TEST(ReferenceUnfold, TapsAreRowMajorWithTheChannelsInside) {
  ConvGeometry g = row_of(2, 2, 1, 0, PadMode::constant);
  g.c = 2;
  g.axis[1].in = g.axis[1].filter = 2;
  const std::vector<std::int64_t> x{1, 2, 3, 4, 5, 6, 7, 8};
  std::vector<std::int64_t> columns(8, -1);
  unfold(g, in(x), out(columns));
  EXPECT_EQ(columns, x);
}

TEST(ReferenceFold, IsAChainOverAscendingTaps) {
  // Element 2 of four is read by tap 0 of output 2, tap 1 of output 1, tap 2 of output 0.
  const ConvGeometry g = row_of(4, 3, 1, 1, PadMode::constant);
  std::vector<float> columns(12, 0), x(4, kNan);
  columns[2 * 3 + 0] = kBig;
  columns[1 * 3 + 1] = 1;
  columns[3 * 3 + 0] = 5;
  columns[0 * 3 + 2] = 7;
  columns[0 * 3 + 0] = 100;  // what lies in the padding goes nowhere
  fold(g, in(columns), out(x));
  EXPECT_EQ(x, (std::vector<float>{0, kBig + 8, 5, 0}));
  std::vector<float> ascending(12, 0);  // of element 1: taps 0, 1, 2 are kBig, 1, 1
  ascending[2 * 3 + 0] = kBig;
  ascending[1 * 3 + 1] = 1;
  ascending[0 * 3 + 2] = 1;
  fold(g, in(ascending), out(x));
  EXPECT_EQ(x[1], kBig);
  std::vector<float> small_first(12, 0);  // 1, 1, kBig: the ones come together
  small_first[2 * 3 + 0] = 1;
  small_first[1 * 3 + 1] = 1;
  small_first[0 * 3 + 2] = kBig;
  fold(g, in(small_first), out(x));
  EXPECT_EQ(x[1], kBig + 2);
}

}  // namespace
}  // namespace isobit::cpu::reference
