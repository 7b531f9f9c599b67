// What must hold of a convolution whatever computes it: on whole numbers, exactly. And NaN and infinity
// travel to wherever a nominal tap carries them, and nowhere else.
#include <gtest/gtest.h>
#include <isobit/device.h>
#include <isobit/explain.h>

#include <cmath>
#include <limits>
#include <set>

#include "core/geometry.h"
#include "core/numerics/pad_index.h"
#include "tests/support/gradcheck.h"

namespace isobit::test {
namespace {

using Sides = std::vector<std::pair<std::int64_t, std::int64_t>>;

constexpr PadMode kModes[] = {PadMode::constant, PadMode::reflect, PadMode::symmetric, PadMode::replicate,
                              PadMode::circular};

Tensor whole(const Shape& shape, std::uint64_t seed) {
  return random_integers(shape, seed, 5);
}

/// x[n, h, w, c] without all but every `step`-th row and column.
Tensor every(const Tensor& x, std::int64_t step) {
  std::vector<Tensor> rows;
  const Tensor by_row = permute(x, {1, 2, 0, 3});
  for (std::int64_t h = 0; h < x.shape(1); h += step) rows.push_back(by_row.slice(h, h + 1));
  const Tensor by_column = permute(concat(rows), {1, 0, 2, 3});
  std::vector<Tensor> columns;
  for (std::int64_t w = 0; w < x.shape(2); w += step) columns.push_back(by_column.slice(w, w + 1));
  return permute(concat(columns), {2, 1, 0, 3});
}

TEST(ConvAlgebra, IsLinearInBoth) {
  for (const PadMode mode : kModes) {
    ConvOptions o;
    o.padding = Same;
    o.mode = mode;
    const Tensor x = whole({2, 6, 7, 3}, 1), z = whole({2, 6, 7, 3}, 2), w = whole({3, 3, 3, 4}, 3),
                 v = whole({3, 3, 3, 4}, 4);
    EXPECT_TRUE(equal_bits(conv(x + z * 3.0, w, {}, o), conv(x, w, {}, o) + conv(z, w, {}, o) * 3.0));
    EXPECT_TRUE(equal_bits(conv(x, w - v, {}, o), conv(x, w, {}, o) - conv(x, v, {}, o)));
  }
}

TEST(ConvAlgebra, ADeltaFilterShifts) {
  const Tensor x = whole({1, 6, 7, 2}, 1);
  for (const PadMode mode : kModes)
    for (std::int64_t r = 0; r < 3; ++r)
      for (std::int64_t s = 0; s < 3; ++s) {
        // One tap, each channel to itself.
        const Tensor one = one_hot(arange(2, 0, 1, {.dtype = DType::i64}), 2).reshape({1, 1, 2, 2});
        const Tensor delta = pad(one, {{r, 2 - r}, {s, 2 - s}, {0, 0}, {0, 0}});
        ConvOptions o;
        o.padding = 1;
        o.mode = mode;
        const Tensor around = pad(x, {{0, 0}, {1, 1}, {1, 1}, {0, 0}}, mode);
        EXPECT_TRUE(
            equal_bits(conv(x, delta, {}, o), pad(around, {{0, 0}, {-r, r - 2}, {-s, s - 2}, {0, 0}})))
            << name_of(mode) << r << s;
      }
}

TEST(ConvAlgebra, ShiftsWithItsInput) {
  ConvOptions o;
  o.padding = Same;
  o.mode = PadMode::circular;
  const Tensor x = whole({2, 5, 6, 3}, 1), w = whole({3, 3, 3, 2}, 2);
  const auto shifted = [](const Tensor& t) {
    return pad(t, {{0, 0}, {2, -2}, {-1, 1}, {0, 0}}, PadMode::circular);
  };
  EXPECT_TRUE(equal_bits(conv(shifted(x), w, {}, o), shifted(conv(x, w, {}, o))));
}

TEST(ConvAlgebra, AStrideLeavesOut) {
  const Tensor x = whole({2, 9, 10, 3}, 1), w = whole({3, 2, 3, 4}, 2);
  for (const PadMode mode : kModes)
    for (const std::int64_t stride : {2, 3, 5}) {
      ConvOptions dense, strided;
      dense.padding = strided.padding = 2;
      dense.mode = strided.mode = mode;
      strided.stride = stride;
      EXPECT_TRUE(equal_bits(conv(x, w, {}, strided), every(conv(x, w, {}, dense), stride)));
    }
}

TEST(ConvAlgebra, DilationStuffsTheFilterWithZeros) {
  const Tensor x = whole({2, 9, 10, 3}, 1), w = whole({3, 3, 3, 4}, 2);
  // Rows and columns of zeros between those of w: a transposed convolution with one tap and a stride.
  ConvOptions wide, stuffed;
  wide.padding = stuffed.padding = 3;
  wide.dilation = 2;
  std::vector<Tensor> rows;
  for (std::int64_t r = 0; r < 3; ++r) {
    std::vector<Tensor> columns;
    const Tensor row = w.slice(r, r + 1).reshape({3, 3, 4});
    for (std::int64_t s = 0; s < 3; ++s) {
      columns.push_back(row.slice(s, s + 1));
      if (s < 2) columns.push_back(zeros({1, 3, 4}));
    }
    rows.push_back(concat(columns).reshape({1, 5, 3, 4}));
    if (r < 2) rows.push_back(zeros({1, 5, 3, 4}));
  }
  EXPECT_TRUE(equal_bits(conv(x, w, {}, wide), conv(x, concat(rows), {}, stuffed)));
}

TEST(ConvAlgebra, GroupsAreABlockDiagonal) {
  const Tensor x = whole({2, 5, 6, 6}, 1), w = whole({3, 2, 2, 9}, 2);
  ConvOptions grouped;
  grouped.groups = 3;
  std::vector<Tensor> blocks;
  for (std::int64_t g = 0; g < 3; ++g) {
    const Tensor block = pad(w, {{0, 0}, {0, 0}, {0, 0}, {-3 * g, 3 * g - 6}});
    blocks.push_back(pad(block, {{0, 0}, {0, 0}, {2 * g, 4 - 2 * g}, {3 * g, 6 - 3 * g}}));
  }
  EXPECT_TRUE(equal_bits(conv(x, w, {}, grouped), conv(x, blocks[0] + blocks[1] + blocks[2], {})));
}

TEST(ConvAlgebra, OneByOneIsAProduct) {
  const Tensor x = whole({2, 5, 6, 7}, 1), w = whole({1, 1, 7, 4}, 2);
  EXPECT_TRUE(equal_bits(conv(x, w).reshape({60, 4}), matmul(x.reshape({60, 7}), w.reshape({7, 4}))));
}

/// Every place of y that reads a place of x is NaN when that is, and no other; y has one channel.
void check_spread(Device device, const ConvOptions& o, double poison) {
  const Shape xs{2, 5, 6, 2}, ws{3, 2, 2, 1};
  const Tensor w = full(ws, 1), x = ones(xs);
  const Tensor clean = conv(x, w, {}, o);
  for (const auto& [h, v] : {std::pair<std::int64_t, std::int64_t>{0, 0}, {2, 3}, {4, 5}}) {
    const Tensor spot = pad(full({1, 1, 1, 1}, poison), {{1, 0}, {h, 4 - h}, {v, 5 - v}, {1, 0}});
    const Tensor y = conv((x + spot).to(device), w.to(device), {}, o).to(Device::cpu());
    std::set<std::int64_t> reached;
    for (const ConvUse& use : uses(xs, ws, {h, v}, o))
      reached.insert(y.numel() / 2 + use.output[1] * y.shape(2) + use.output[2]);
    for (std::int64_t i = 0; i < y.numel(); ++i) {
      const float got = static_cast<const float*>(y.raw())[i],
                  before = static_cast<const float*>(clean.raw())[i];
      if (reached.contains(i)) {
        EXPECT_FALSE(std::isfinite(got)) << name_of(o.mode.value[0]) << " " << i;
      } else {
        EXPECT_EQ(got, before) << name_of(o.mode.value[0]) << " " << i;
      }
    }
    EXPECT_FALSE(reached.empty());
  }
  // From w to every output of its filter and to every dx of its phase, whatever the place of the tap.
  const Tensor tap = pad(full({1, 1, 1, 1}, poison), {{2, 0}, {0, 1}, {0, 1}, {0, 0}});
  const Tensor y = conv(x.to(device), (w + tap).to(device), {}, o).to(Device::cpu());
  for (std::int64_t i = 0; i < y.numel(); ++i)
    EXPECT_FALSE(std::isfinite(static_cast<const float*>(y.raw())[i]));
  const Tensor dx = conv_backward_input(clean.to(device), (w + tap).to(device), xs, o).to(Device::cpu());
  const ConvGeometry g = make_conv_geometry(xs, ws, o);
  for (std::int64_t h = 0; h < 5; ++h)
    for (std::int64_t v = 0; v < 6; ++v) {
      // The padded places that fold onto the element: one of the tap's phase carries it here.
      bool reached = false;
      for (std::int64_t u = 0; u < 5 + g.axis[1].pad_before + g.axis[1].pad_after; ++u)
        for (std::int64_t t = 0; t < 6 + g.axis[2].pad_before + g.axis[2].pad_after; ++t)
          reached = reached ||
                    (numerics::pad_source(g.axis[1].mode, u - g.axis[1].pad_before, std::int64_t{5}) == h &&
                     numerics::pad_source(g.axis[2].mode, t - g.axis[2].pad_before, std::int64_t{6}) == v &&
                     (u - 2 * g.axis[1].dilation) % g.axis[1].stride == 0 && t % g.axis[2].stride == 0);
      EXPECT_EQ(!std::isfinite(static_cast<const float*>(dx.raw())[(h * 6 + v) * 2]), reached)
          << name_of(o.mode.value[0]) << " dx " << h << "," << v;
    }
}

TEST(ConvAlgebra, NansTravelWhereTapsCarryThem) {
  for (const DeviceInfo& info : devices())
    for (const PadMode mode : kModes)
      for (const std::int64_t stride : {1, 2})
        for (const double poison :
             {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
          ConvOptions o;
          o.padding = Padding(Sides{{2, 1}, {1, 3}});
          o.stride = stride;
          o.mode = mode;
          o.pad_value = mode == PadMode::constant ? 0.5 : 0.0;
          check_spread(Device::parse(info.name), o, poison);
        }
}

}  // namespace
}  // namespace isobit::test
