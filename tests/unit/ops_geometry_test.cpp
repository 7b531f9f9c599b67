// Extents and padding against brute force over every small problem; merging of axes against index arithmetic.
#include <gtest/gtest.h>
#include <isobit/ops.h>

#include <algorithm>
#include <limits>

#include "core/geometry.h"
#include "core/verify/shapes.h"

namespace isobit {
namespace {

using Sides = std::vector<std::pair<std::int64_t, std::int64_t>>;

/// Windows that fit, counted one by one.
std::int64_t count_windows(std::int64_t in, std::int64_t k, std::int64_t s, std::int64_t d,
                           std::int64_t before, std::int64_t after) {
  std::int64_t count = 0;
  for (std::int64_t start = -before; start + d * (k - 1) < in + after; start += s) ++count;
  return count;
}

TEST(Geometry, WindowsOfChannels) {
  const auto widths = [](std::int64_t size, std::int64_t c) {
    const LocalResponseGeometry g =
        make_local_response_geometry("test", {2, 3, c}, size, {.alpha = 3, .beta = 1, .bias = 2});
    EXPECT_EQ(g.rows, 6);
    EXPECT_EQ(g.c, c);
    EXPECT_EQ(g.scale, 3 / static_cast<double>(size));
    return std::pair{g.before, g.after};
  };
  EXPECT_EQ(widths(1, 9), (std::pair<std::int64_t, std::int64_t>{0, 0}));
  EXPECT_EQ(widths(4, 9), (std::pair<std::int64_t, std::int64_t>{1, 2})) << "the odd channel comes after";
  EXPECT_EQ(widths(5, 9), (std::pair<std::int64_t, std::int64_t>{2, 2}));
  EXPECT_EQ(widths(4, 2), (std::pair<std::int64_t, std::int64_t>{1, 1}));
  EXPECT_EQ(widths(std::numeric_limits<std::int64_t>::max(), 3),
            (std::pair<std::int64_t, std::int64_t>{2, 2}));
}

TEST(Geometry, ConvExtentsAgainstBruteForce) {
  int legal = 0, refused = 0;
  for (std::int64_t in = 1; in <= 12; ++in)
    for (std::int64_t k = 1; k <= 7; ++k)
      for (std::int64_t s = 1; s <= 4; ++s)
        for (std::int64_t d = 1; d <= 3; ++d)
          for (std::int64_t before = -2; before <= 4; ++before)
            for (std::int64_t after = -2; after <= 4; after += 2) {
              ConvOptions o;
              o.stride = s;
              o.dilation = d;
              o.padding = Padding(Sides{{before, after}});
              const std::int64_t cropped =
                  in + std::min<std::int64_t>(before, 0) + std::min<std::int64_t>(after, 0);
              const std::int64_t expected = count_windows(in, k, s, d, before, after);
              if (expected == 0 || cropped < 0) {
                EXPECT_THROW(make_conv_geometry(Shape{2, in, 3}, Shape{k, 3, 5}, o), Error);
                ++refused;
                continue;
              }
              const ConvGeometry g = make_conv_geometry(Shape{2, in, 3}, Shape{k, 3, 5}, o);
              ASSERT_EQ(g.axis[2].out, expected) << in << " " << k << " " << s << " " << d << " " << before;
              ++legal;
            }
  EXPECT_GT(legal, 5000);
  EXPECT_GT(refused, 1000);
}

TEST(Geometry, SameRules) {
  for (std::int64_t in = 1; in <= 12; ++in)
    for (std::int64_t k = 1; k <= 7; ++k)
      for (std::int64_t s = 1; s <= 4; ++s)
        for (std::int64_t d = 1; d <= 3; ++d)
          for (const SameRule rule : {SameRule::same_upper, SameRule::same_lower}) {
            ConvOptions o;
            o.stride = s;
            o.dilation = d;
            o.padding = rule;
            const AxisGeometry a = make_conv_geometry(Shape{2, in, 3}, Shape{k, 3, 5}, o).axis[2];
            ASSERT_EQ(a.out, (in + s - 1) / s);
            ASSERT_EQ(count_windows(in, k, s, d, a.pad_before, a.pad_after), a.out);
            ASSERT_GE(a.pad_before, 0);
            const std::int64_t odd = a.pad_after - a.pad_before;
            ASSERT_TRUE(rule == SameRule::same_upper ? odd == 0 || odd == 1 : odd == 0 || odd == -1);
            // No smaller padding gives the extent.
            if (a.pad_before + a.pad_after > 0) {
              ASSERT_LT(count_windows(in, k, s, d, 0, a.pad_before + a.pad_after - 1), a.out);
            }
          }
}

TEST(Geometry, PoolExtentsAgainstBruteForce) {
  int legal = 0;
  for (std::int64_t in = 1; in <= 12; ++in)
    for (std::int64_t k = 1; k <= 7; ++k)
      for (std::int64_t s = 1; s <= 4; ++s)
        for (std::int64_t d = 1; d <= 3; ++d)
          for (std::int64_t before = 0; before <= 4; before += 1)
            for (std::int64_t after = 0; after <= 4; after += 2)
              for (const bool ceil_mode : {false, true}) {
                PoolOptions o;
                o.stride = PerAxis(s);
                o.dilation = d;
                o.ceil_mode = ceil_mode;
                o.padding = Padding(Sides{{before, after}});
                const std::int64_t reach = d * (k - 1) + 1;
                std::int64_t expected = count_windows(in, k, s, d, before, after);
                bool real = expected > 0 && before < reach && after < reach;
                if (real && ceil_mode) {
                  // A partial last window: begins where the next one would, not beyond input and left
                  // padding.
                  const std::int64_t start = expected * s - before;
                  const bool partial = (expected - 1) * s - before + reach < in + after;
                  if (partial && start < in) ++expected;
                }
                for (std::int64_t p = 0; p < expected && real; ++p) {
                  bool any = false;
                  for (std::int64_t r = 0; r < k; ++r) {
                    const std::int64_t at = p * s + r * d - before;
                    any = any || (at >= 0 && at < in);
                  }
                  real = any;
                }
                const auto make = [&] {
                  return make_pool_geometry("max_pool", Shape{2, in, 3}, PerAxis(k), o);
                };
                if (!real) {
                  EXPECT_THROW(make(), Error)
                      << in << " " << k << " " << s << " " << d << " " << before << " " << after;
                  continue;
                }
                ASSERT_EQ(make().axis[2].out, expected) << in << " " << k << " " << s << " " << d << " "
                                                        << before << " " << after << " " << ceil_mode;
                ++legal;
              }
  EXPECT_GT(legal, 5000);
}

/// Element offsets that an operand is read at, in order.
std::vector<std::int64_t> offsets(const StridedGeometry& g, int operand) {
  std::vector<std::int64_t> list;
  std::array<std::int64_t, Shape::max_rank> at{};
  for (std::int64_t i = 0; i < g.numel(); ++i) {
    std::int64_t offset = g.offset[operand];
    for (int axis = 0; axis < g.rank; ++axis) offset += at[axis] * g.stride[operand][axis];
    list.push_back(offset);
    for (int axis = g.rank - 1; axis >= 0 && ++at[axis] == g.extent[axis]; --axis) at[axis] = 0;
  }
  return list;
}

TEST(Geometry, BroadcastReadsTheRightElements) {
  const std::vector<Shape> shapes{{},        {1},       {3},       {2, 3},    {2, 1}, {1, 3},
                                  {4, 2, 3}, {4, 1, 3}, {4, 1, 1}, {1, 2, 1}, {0, 3}};
  for (const Shape& a : shapes)
    for (const Shape& b : shapes) {
      const int rank = std::max(a.rank(), b.rank());
      std::vector<std::int64_t> common;
      bool fits = true;
      const auto extent = [&](const Shape& s, int i) {
        return i < rank - s.rank() ? 1 : s[i - (rank - s.rank())];
      };
      for (int i = 0; i < rank; ++i) {
        const std::int64_t ea = extent(a, i), eb = extent(b, i);
        fits = fits && (ea == eb || ea == 1 || eb == 1);
        common.push_back(ea == 1 ? eb : ea);
      }
      const Shape operands[] = {a, b};
      Shape out;
      if (!fits) {
        EXPECT_THROW(make_broadcast_geometry("add", operands, &out), Error);
        continue;
      }
      const StridedGeometry g = make_broadcast_geometry("add", operands, &out);
      ASSERT_EQ(out, Shape(std::span<const std::int64_t>(common)));
      ASSERT_EQ(g.numel(), out.numel());
      for (int operand = 0; operand < 2; ++operand) {
        const auto list = offsets(g, operand);
        const Shape& s = operands[operand];
        for (std::int64_t i = 0; i < out.numel(); ++i) {
          std::int64_t rest = i, expected = 0, stride = 1;
          for (int axis = rank - 1; axis >= 0; --axis) {
            const std::int64_t coordinate = rest % common[static_cast<std::size_t>(axis)];
            rest /= common[static_cast<std::size_t>(axis)];
            if (extent(s, axis) != 1) expected += coordinate * stride;
            stride *= extent(s, axis);
          }
          ASSERT_EQ(list[static_cast<std::size_t>(i)], expected) << i;
        }
      }
    }
}

TEST(Geometry, AxesAreMergedWhereTheyCan) {
  Shape out;
  const Shape bias[] = {{8, 5, 5, 3}, {3}};
  const StridedGeometry g = make_broadcast_geometry("add", bias, &out);
  EXPECT_EQ(g.rank, 2);
  EXPECT_EQ(g.extent[0], 200);
  EXPECT_EQ(g.extent[1], 3);
  const int identity[] = {0, 1, 2}, front[] = {1, 2, 0};
  EXPECT_EQ(make_permute_geometry({2, 3, 4}, identity, &out).rank, 1);
  EXPECT_EQ(make_permute_geometry({2, 3, 4}, front, &out).rank, 2);
  EXPECT_EQ(out, (Shape{3, 4, 2}));
}

TEST(Geometry, ReductionsKeepBatchAndLanesApart) {
  const auto text = [](const Shape& s, std::vector<int> axes) {
    return make_reduce_geometry(s, axes).to_string();
  };
  EXPECT_EQ(text({8, 5, 6, 3}, {0, 1, 2}), "8rx30rx3k batch");
  EXPECT_EQ(text({8, 5, 6, 3}, {1, 2}), "8kx30rx3k");
  EXPECT_EQ(text({8, 5, 6, 3}, {3}), "240kx3r lanes");
  EXPECT_EQ(text({8, 5, 6, 3}, {1, 2, 3}), "8kx90r lanes");
  EXPECT_EQ(text({8, 5, 6, 3}, {0, 1, 2, 3}), "8rx90r batch lanes");
  EXPECT_EQ(text({8, 5, 6, 3}, {0}), "8rx90k batch");
  EXPECT_EQ(text({8, 5, 6, 3}, {0, 2}), "8rx5kx6rx3k batch");
  EXPECT_EQ(text({8}, {0}), "8r batch");
  EXPECT_EQ(text({8, 1, 3}, {1}), "24k");
  EXPECT_EQ(text({8, 5, 1}, {0, 1}), "8rx5rx1k batch");  // a single channel is still a channel: no lanes
  EXPECT_EQ(text({}, {}), "1k");
}

TEST(Geometry, NamesOfProblems) {
  ConvOptions o;
  o.groups = 2;
  o.stride = PerAxis(2, 1);
  o.padding = Padding(Sides{{1, 0}, {2, 2}});
  EXPECT_EQ(make_conv_geometry(Shape{2, 8, 9, 4}, Shape{3, 2, 2, 6}, o).to_string(),
            "mb2g2ic4oc6ih8oh4kh3sh2dh0ph1phr0iw9ow12kw2sw1dw0pw2");
}

TEST(Geometry, NamesAreLinesOfShapeFiles) {
  ConvOptions o;
  o.padding = Padding(Sides{{1, 0}, {0, 2}, {-1, 3}});
  o.dilation = PerAxis(1, 2, 1);
  o.mode = PadModes(PadMode::reflect, PadMode::constant, PadMode::replicate);
  const ConvGeometry g = make_conv_geometry(Shape{2, 5, 8, 9, 4}, Shape{2, 3, 2, 4, 6}, o);
  const ConvGeometry read = verify::parse_conv_shape(g.to_string()).geometry;
  EXPECT_EQ(read.to_string(), g.to_string());
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(read.axis[i].pad_before, g.axis[i].pad_before);
    EXPECT_EQ(read.axis[i].pad_after, g.axis[i].pad_after);
    EXPECT_EQ(read.axis[i].out, g.axis[i].out);
    EXPECT_EQ(read.axis[i].mode, g.axis[i].mode);
  }
}

}  // namespace
}  // namespace isobit
