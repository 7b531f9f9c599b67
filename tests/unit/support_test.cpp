// The tests' own tools: they must see what they are there to see.
#include <gtest/gtest.h>
#include <isobit/error.h>

#include <cmath>
#include <limits>
#include <set>

#include "tests/support/buffers.h"
#include "tests/support/compare.h"
#include "tests/support/shapes.h"
#include "tests/support/values.h"

namespace isobit::test {
namespace {

TEST(FencedBuffer, StartsPoisonedAndSeesOverruns) {
  for (const std::int64_t skip : {0, 1, 3}) {
    FencedBuffer buffer(DType::f32, 5, skip);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(buffer.as<float>()) % 64,
              static_cast<std::uintptr_t>(4 * skip));
    for (int i = 0; i < 5; ++i) EXPECT_TRUE(std::isnan(buffer.as<float>()[i]));
    for (int i = 0; i < 5; ++i) buffer.as<float>()[i] = 1;
    EXPECT_TRUE(buffer.fences_hold());
    for (const int outside : {-1, 5, -8, 60}) {
      FencedBuffer broken(DType::f32, 5, skip);
      broken.as<float>()[outside] = 1;
      EXPECT_FALSE(broken.fences_hold()) << outside;
    }
  }
}

TEST(EqualBits, TellsZerosApartAndNaNsNot) {
  const auto view = [](const std::vector<float>& v) {
    return ConstView{v.data(), DType::f32, static_cast<std::int64_t>(v.size())};
  };
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(equal_bits(view({1, nan}), view({1, -nan})));
  EXPECT_FALSE(equal_bits(view({1, 0.0f}), view({1, -0.0f})));
  EXPECT_FALSE(equal_bits(view({1, nan}), view({1, 2})));
  EXPECT_FALSE(equal_bits(view({1}), view({1, 2})));
  const auto result = equal_bits(view({1, 2, 3}), view({1, 5, 4}));
  EXPECT_NE(
      std::string(result.message()).find("2 of 3 elements differ, first [1]: got 2 (0x40000000), expected 5"),
      std::string::npos)
      << result.message();
}

TEST(Values, AreWhatTheyPromise) {
  for (const DType dtype : {DType::f32, DType::f64, DType::f16, DType::bf16, DType::i32, DType::i64}) {
    FencedBuffer a(dtype, 2000), b(dtype, 2000), c(dtype, 2000);
    fill_integers(a.view(), 1, -3, 3);
    fill_integers(b.view(), 1, -3, 3);
    fill_integers(c.view(), 2, -3, 3);
    EXPECT_TRUE(equal_bits(a.read(), b.read()));
    EXPECT_FALSE(equal_bits(a.read(), c.read()));
    std::set<double> seen;
    for (std::int64_t i = 0; i < 2000; ++i) seen.insert(element_value(a.read(), i));
    EXPECT_EQ(seen, (std::set<double>{-3, -2, -1, 0, 1, 2, 3}));
    EXPECT_TRUE(a.fences_hold());
    if (!is_floating(dtype)) continue;
    FencedBuffer hard(dtype, 4000);
    fill_hard(hard.view(), 3, {.infinities = true, .nans = true});
    int zeros[2] = {}, infinities = 0, nans = 0, small = 0;
    for (std::int64_t i = 0; i < 4000; ++i) {
      const double v = element_value(hard.read(), i);
      if (v == 0) ++zeros[std::signbit(v) ? 1 : 0];
      if (std::isinf(v)) ++infinities;
      if (std::isnan(v)) ++nans;
      if (v != 0 && std::fabs(v) < 0x1p-14) ++small;
    }
    EXPECT_GT(zeros[0], 50);
    EXPECT_GT(zeros[1], 50);
    EXPECT_GT(infinities, 20);
    EXPECT_GT(nans, 20);
    EXPECT_GT(small, 20);
  }
}

TEST(Shapes, FollowTheGrammar) {
  const ConvShape shape = parse_conv_shape(R"(mb2g1ic3ih8iw9oc5kh3kw2sh2sw1ph1pw0dh0dw0n"name")", "here");
  const ConvGeometry& g = shape.geometry;
  EXPECT_EQ(shape.name, "name");
  EXPECT_EQ(g.n, 2);
  EXPECT_EQ(g.c, 3);
  EXPECT_EQ(g.k, 5);
  EXPECT_EQ(g.axis[0].out, 1);
  EXPECT_EQ(g.axis[1].stride, 2);
  EXPECT_EQ(g.axis[1].out, (8 + 2 - 3) / 2 + 1);
  EXPECT_EQ(g.axis[2].out, 8);
  const ConvGeometry square = parse_conv_shape("mb1ic1ih7oc1kh3sh2ph0phr1dh1").geometry;
  EXPECT_EQ(square.axis[2].in, 7) << "the width is like the height";
  EXPECT_EQ(square.axis[2].dilation, 2);
  EXPECT_EQ(square.axis[2].pad_after, 1);
  EXPECT_EQ(square.axis[2].out, (7 + 1 - 5) / 2 + 1);
  EXPECT_EQ(square.axis[0].in, 1);
  const ConvGeometry line = parse_conv_shape("mb1ic1iw7oc1kw3").geometry;
  EXPECT_EQ(line.axis[1].in, 1);
  EXPECT_EQ(line.axis[2].out, 5);
  const ConvGeometry cube = parse_conv_shape("mb1ic1id4oc1kd3pd1").geometry;
  for (const AxisGeometry& axis : cube.axis) EXPECT_EQ(axis.out, 4);
  EXPECT_EQ(parse_conv_shape("mb1ic1iw7ow4oc1kw3sw2pw1").geometry.axis[2].pad_after, 1);
  EXPECT_EQ(parse_conv_shape("mb1ic1iw8ow4oc1kw3sw2pw0").geometry.axis[2].pad_after, 1) << "from the output";
  EXPECT_EQ(parse_conv_shape("mb1ic1iw7oc1kw3pw-1").geometry.axis[2].out, 3);
}

TEST(Shapes, RefuseWhatIsNoShape) {
  for (const char* text : {"mb2", "mb2ic3ih8oc4kh", "mb2ic3ih8oc4kh3zz1", "mb2ic3ih8oc4kh3kh3",
                           "mb2g2ic3ih8oc4kh3", "mb2ic3ih2oc4kh3", "mb2ic3ih8oc4kh3sh0",
                           "mb2ic3ih8oh9oc4kh3ph0phr0", "mb2ic3ih8oc4kh3n\"x", "mb2ic3ih99999999999oc4kh3"})
    EXPECT_THROW(parse_conv_shape(text, "here"), Error) << text;
}

TEST(Shapes, FilesHaveUniqueNames) {
  std::set<std::string> names;
  for (const ConvShape& shape : all_conv_shapes())
    EXPECT_TRUE(names.insert(shape.place.substr(0, shape.place.find(':')) + "/" + shape.name).second)
        << shape.name;
  EXPECT_GE(names.size(), 150u);
}

}  // namespace
}  // namespace isobit::test
