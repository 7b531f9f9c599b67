// Interpolation, windows, blocks and instance norm: results that are stated, and identities between ops.
#include <gtest/gtest.h>
#include <isobit/ops.h>

#include <cmath>

namespace isobit {
namespace {

using Values = std::vector<float>;

/// 1, 2, 3, ... as [1, ..., 1].
Tensor counting(const Shape& shape, DType dtype = DType::f32) {
  Values v(static_cast<std::size_t>(shape.numel()));
  for (std::size_t i = 0; i < v.size(); ++i) v[i] = static_cast<float>(i + 1);
  return from_vector(v, shape).to(dtype);
}

Tensor noise(const Shape& shape, std::uint64_t stream, DType dtype = DType::f32) {
  return random_normal(shape, {23, stream}, 0, 1, {.dtype = dtype});
}

void expect_near(const Tensor& y, const Shape& shape, const Values& expected, const char* what) {
  ASSERT_EQ(y.shape(), shape) << what;
  const Values got = y.to_vector<float>();
  for (std::size_t i = 0; i < expected.size(); ++i)
    EXPECT_NEAR(got[i], expected[i], 2e-6 * std::max(1.0f, std::abs(expected[i]))) << what << " " << i;
}

Values nearest_of_four(std::int64_t out, Coordinates coordinates, Rounding rounding) {
  const ResizeOptions o{.mode = Interpolation::nearest, .coordinates = coordinates, .rounding = rounding};
  return resize(counting({1, 4, 1}), out, o).to_vector<float>();
}

TEST(Resize, NearestByEveryRule) {
  EXPECT_EQ(nearest_of_four(8, Coordinates::half_pixel, Rounding::ceil), (Values{1, 2, 2, 3, 3, 4, 4, 4}));
  EXPECT_EQ(nearest_of_four(8, Coordinates::half_pixel, Rounding::floor), (Values{1, 1, 1, 2, 2, 3, 3, 4}));
  EXPECT_EQ(nearest_of_four(8, Coordinates::asymmetric, Rounding::round_prefer_ceil),
            (Values{1, 2, 2, 3, 3, 4, 4, 4}));
  EXPECT_EQ(nearest_of_four(8, Coordinates::asymmetric, Rounding::round_prefer_floor),
            (Values{1, 1, 2, 2, 3, 3, 4, 4}));
  EXPECT_EQ(nearest_of_four(8, Coordinates::align_corners, Rounding::floor),
            (Values{1, 1, 1, 2, 2, 3, 3, 4}));
  EXPECT_EQ(nearest_of_four(2, Coordinates::half_pixel, Rounding::round_prefer_floor), (Values{1, 3}));
  EXPECT_EQ(nearest_of_four(2, Coordinates::half_pixel, Rounding::round_prefer_ceil), (Values{2, 4}));
  EXPECT_EQ(nearest_of_four(1, Coordinates::align_corners, Rounding::ceil), (Values{1}));
  EXPECT_EQ(nearest_of_four(1, Coordinates::pytorch_half_pixel, Rounding::ceil), (Values{1}));
  const ResizeOptions o{.mode = Interpolation::nearest};
  EXPECT_EQ(resize_by(counting({1, 2, 4, 1}), {0.6}, o).to_vector<float>(), (Values{1, 3}));
}

TEST(Resize, LinearByEveryRule) {
  const Tensor wide = counting({1, 2, 4, 1}), square = counting({1, 4, 4, 1}), small = counting({1, 2, 2, 1});
  expect_near(resize_by(wide, {0.6}), {1, 1, 2, 1}, {8.0f / 3, 13.0f / 3}, "half pixel");
  expect_near(resize_by(wide, {0.6}, {.coordinates = Coordinates::align_corners}), {1, 1, 2, 1},
              {1, 22.0f / 7}, "align corners");
  expect_near(resize_by(small, {2}), {1, 4, 4, 1},
              {1, 1.25, 1.75, 2, 1.5, 1.75, 2.25, 2.5, 2.5, 2.75, 3.25, 3.5, 3, 3.25, 3.75, 4}, "twice");
  expect_near(resize(small, 4, {.coordinates = Coordinates::align_corners}), {1, 4, 4, 1},
              {1, 4.0f / 3, 5.0f / 3, 2, 5.0f / 3, 2, 7.0f / 3, 8.0f / 3, 7.0f / 3, 8.0f / 3, 3, 10.0f / 3, 3,
               10.0f / 3, 11.0f / 3, 4},
              "twice, corners");
  expect_near(
      resize(small, 4, {.coordinates = Coordinates::asymmetric}).slice(0, 1).reshape({4, 4}).slice(0, 1),
      {1, 4}, {1, 1.5, 2, 2}, "asymmetric");
  expect_near(resize_by(small, {2.3, 2.94}, {.coordinates = Coordinates::half_pixel_symmetric})
                  .reshape({4, 5})
                  .slice(0, 1),
              {1, 5}, {1, 1.1598639f, 1.5f, 1.8401361f, 2}, "symmetric");
  expect_near(resize(square, {3, 1}, {.coordinates = Coordinates::pytorch_half_pixel}), {1, 3, 1, 1},
              {5.0f / 3, 7, 37.0f / 3}, "PyTorch's half pixel");
  expect_near(
      resize(square, 3, {.coordinates = Coordinates::tf_crop_and_resize, .roi = {{0.4, 0.6}, {0.6, 0.8}}}),
      {1, 3, 3, 1}, {7.6f, 7.9f, 8.2f, 8.8f, 9.1f, 9.4f, 10, 10.3f, 10.6f}, "crop");
  expect_near(resize(square, 3,
                     {.coordinates = Coordinates::tf_crop_and_resize,
                      .roi = {{0.4, 1.2}, {0.6, 1.7}},
                      .extrapolation = 10}),
              {1, 3, 3, 1}, {7.6f, 10, 10, 12.4f, 10, 10, 10, 10, 10}, "crop with extrapolation");
}

TEST(Resize, Antialias) {
  const Tensor x = counting({1, 4, 4, 1});
  expect_near(resize_by(x, {0.6}, {.antialias = true}), {1, 2, 2, 1}, {2.875, 4.5, 9.375, 11}, "antialias");
  // The first of two outputs of a row of four: centre 0.5, weights 1/8 beyond the edge, then 3, 3, 1 eighths.
  const Tensor row = counting({1, 4, 1});
  expect_near(resize(row, 2, {.antialias = true}), {1, 2, 1}, {1.625f, 3.375f}, "edges read again");
  expect_near(resize(row, 2, {.antialias = true, .exclude_outside = true}), {1, 2, 1}, {12.0f / 7, 23.0f / 7},
              "edges left out");
  // Upwards there is nothing to smooth.
  EXPECT_TRUE(equal_bits(resize(x, 7, {.antialias = true}), resize(x, 7)));
}

TEST(Resize, ThreeAxesOneAfterTheOther) {
  const Tensor x = noise({2, 3, 4, 5, 6}, 1);
  const Tensor y = resize(x, {5, 3, 7});
  EXPECT_EQ(y.shape(), (Shape{2, 5, 3, 7, 6}));
  const Tensor one = resize(resize(resize(x, {3, 4, 7}), {3, 3, 7}), {5, 3, 7});
  EXPECT_TRUE(equal_bits(y, one));
  EXPECT_TRUE(equal_bits(resize(x, {3, 4, 5}), x));  // nothing to do
  const Tensor lines = resize(x.reshape({6, 4, 5, 6}), {3, 7});
  EXPECT_TRUE(equal_bits(resize(x, {3, 3, 7}), lines.reshape({2, 3, 3, 7, 6})));
}

TEST(Resize, HalvesAreRoundedOnceAfterAllAxes) {
  for (const DType dtype : {DType::f16, DType::bf16}) {
    const Tensor x = noise({2, 5, 6, 3}, 2, dtype);
    EXPECT_TRUE(equal_bits(resize(x, {7, 4}), resize(x.to(DType::f32), {7, 4}).to(dtype)));
    EXPECT_TRUE(equal_bits(resize(x, {5, 9}), resize(x.to(DType::f32), {5, 9}).to(dtype)));
  }
}

TEST(Resize, EmptyBatchesAndChannels) {
  EXPECT_EQ(resize(ones({0, 3, 3, 2}), 5).shape(), (Shape{0, 5, 5, 2}));
  EXPECT_EQ(resize(ones({2, 3, 3, 0}), 5).shape(), (Shape{2, 5, 5, 0}));
}

TEST(Resize, NanReachesOnlyWhoReadsIt) {
  Values v{1, 2, NAN, 4};
  const Values y = resize(from_vector(v, {1, 4, 1}), 8).to_vector<float>();
  for (std::size_t i = 0; i < 8; ++i) EXPECT_EQ(std::isnan(y[i]), i >= 3 && i <= 6) << i;
  const Values same =
      resize(from_vector(v, {1, 4, 1}), 7, {.coordinates = Coordinates::align_corners}).to_vector<float>();
  for (std::size_t i = 0; i < 7; ++i) EXPECT_EQ(std::isnan(same[i]), i >= 3 && i <= 5) << i;
}

TEST(Upsample, RepeatsOrInterpolates) {
  const Tensor x = counting({1, 2, 2, 1});
  EXPECT_EQ(upsample(x, {2, 3}).to_vector<float>(),
            (Values{1, 1, 1, 2, 2, 2, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 3, 3, 3, 4, 4, 4}));
  EXPECT_TRUE(equal_bits(upsample(x, 2, Interpolation::linear), resize(x, 4)));
  EXPECT_TRUE(equal_bits(upsample(x, 2, Interpolation::linear, true),
                         resize(x, 4, {.coordinates = Coordinates::align_corners})));
  EXPECT_TRUE(equal_bits(upsample(x, 1, Interpolation::linear), x));
  const Tensor volume = noise({2, 2, 3, 4, 5}, 3);
  for (const std::int64_t factor : {2, 3, 7}) {
    const Tensor y = upsample(volume, factor);
    // Every element `factor` times on each axis: the maxima of the blocks are the elements.
    EXPECT_TRUE(equal_bits(max_pool(y, factor), volume));
    EXPECT_TRUE(equal_bits(neg(max_pool(neg(y), factor)), volume));
  }
}

TEST(Unfold, OfAPictureAndBack) {
  const Tensor x = counting({1, 3, 3, 1});
  EXPECT_EQ(unfold(x, 2).to_vector<float>(), (Values{1, 2, 4, 5, 2, 3, 5, 6, 4, 5, 7, 8, 5, 6, 8, 9}));
  EXPECT_EQ(unfold(x, 2).shape(), (Shape{1, 2, 2, 4}));
  // Each element times the windows that hold it.
  EXPECT_EQ(fold(unfold(x, 2), x.shape(), 2).to_vector<float>(), (Values{1, 4, 3, 8, 20, 12, 7, 16, 9}));
  // Windows side by side: nothing overlaps.
  const Tensor y = noise({2, 6, 4, 5}, 4);
  EXPECT_TRUE(
      equal_bits(fold(unfold(y, {3, 2}, {.stride = {3, 2}}), y.shape(), {3, 2}, {.stride = {3, 2}}), y));
}

TEST(Unfold, ThenAProductIsTheConvolution) {
  for (const DType dtype : {DType::f32, DType::f64, DType::f16, DType::bf16}) {
    const Tensor x = noise({2, 7, 6, 3}, 5, dtype), w = noise({3, 2, 3, 4}, 6, dtype);
    for (const PadMode mode :
         {PadMode::constant, PadMode::reflect, PadMode::symmetric, PadMode::replicate, PadMode::circular}) {
      WindowOptions window;
      window.stride = {2, 1};
      window.dilation = {1, 2};
      window.padding = 2;
      window.mode = mode;
      window.pad_value = mode == PadMode::constant ? 0.5 : 0;
      ConvOptions o;
      o.stride = window.stride;
      o.dilation = window.dilation;
      o.padding = window.padding;
      o.mode = mode;
      o.pad_value = window.pad_value;
      const Tensor columns = unfold(x, {3, 2}, window);
      EXPECT_EQ(columns.shape(-1), 18);
      EXPECT_TRUE(equal_bits(linear(columns, w.reshape({18, 4})), conv(x, w, {}, o))) << name_of(mode);
    }
  }
}

TEST(Unfold, AnyTypeAndEveryRank) {
  const Tensor x = counting({2, 3, 4, 5, 2}, DType::i32);
  EXPECT_EQ(unfold(x, {2, 1, 3}).shape(), (Shape{2, 2, 4, 3, 12}));
  const Tensor mask = from_vector<std::uint8_t>({1, 0, 1}, {1, 3, 1}).to(DType::boolean);
  const Tensor windows = unfold(mask, 2, {.padding = 1, .pad_value = 1}).to(DType::u8);
  EXPECT_EQ(windows.to_vector<std::uint8_t>(), (std::vector<std::uint8_t>{1, 1, 1, 0, 0, 1, 1, 1}));
  const Tensor line = unfold(counting({1, 4, 1}), 3, {.padding = 4, .mode = PadMode::reflect});
  EXPECT_EQ(line.reshape({10, 3}).slice(0, 1).to_vector<float>(), (Values{3, 4, 3}));
}

TEST(Fold, OntoWhatAModeReads) {
  // A row of three, replicated by two: the windows of one element count the readers of each.
  const WindowOptions o{.padding = 2, .mode = PadMode::replicate};
  EXPECT_EQ(fold(ones({1, 7, 1}), {1, 3, 1}, 1, o).to_vector<float>(), (Values{3, 1, 3}));
  WindowOptions mixed;
  mixed.padding = 1;
  mixed.mode = {PadMode::constant, PadMode::circular};
  EXPECT_EQ(fold(ones({1, 4, 4, 1}), {1, 2, 2, 1}, 1, mixed).to_vector<float>(), (Values{2, 2, 2, 2}));
}

TEST(DepthToSpace, BothOrders) {
  // Channels 0 .. 7 of one position: two channels, a block of four.
  const Tensor x = from_vector<float>({0, 1, 2, 3, 4, 5, 6, 7}, {1, 1, 1, 8});
  EXPECT_EQ(depth_to_space(x, 2).to_vector<float>(), (Values{0, 1, 2, 3, 4, 5, 6, 7}));
  EXPECT_EQ(depth_to_space(x, 2).shape(), (Shape{1, 2, 2, 2}));
  EXPECT_EQ(depth_to_space(x, 2, ChannelOrder::crd).to_vector<float>(), (Values{0, 4, 1, 5, 2, 6, 3, 7}));
  EXPECT_EQ(depth_to_space(x, {1, 4}).shape(), (Shape{1, 1, 4, 2}));
  const Tensor wide = counting({1, 2, 1, 4});
  EXPECT_EQ(depth_to_space(wide, 2).to_vector<float>(), (Values{1, 2, 3, 4, 5, 6, 7, 8}));
  const Tensor two = counting({1, 1, 2, 4});
  EXPECT_EQ(depth_to_space(two, 2).to_vector<float>(), (Values{1, 2, 5, 6, 3, 4, 7, 8}));
}

TEST(DepthToSpace, TheInverseOfEveryRank) {
  for (const ChannelOrder order : {ChannelOrder::dcr, ChannelOrder::crd}) {
    const std::pair<Shape, PerAxis> problems[] = {
        {{2, 3, 8}, 4}, {{2, 3, 5, 12}, {2, 3}}, {{2, 2, 3, 4, 24}, {2, 3, 2}}, {{0, 2, 3, 4}, 2}};
    for (const auto& [shape, block] : problems) {
      const Tensor x = noise(shape, 7);
      const Tensor y = depth_to_space(x, block, order);
      EXPECT_TRUE(equal_bits(space_to_depth(y, block, order), x)) << fmt::format("{}", shape);
    }
    const Tensor y = noise({2, 4, 6, 3}, 8);
    EXPECT_TRUE(equal_bits(depth_to_space(space_to_depth(y, {2, 3}, order), {2, 3}, order), y));
  }
  // Taps in row-major order with the channels inside: space_to_depth is unfold with windows side by side.
  const Tensor x = noise({2, 6, 4, 3}, 9);
  EXPECT_TRUE(equal_bits(space_to_depth(x, {3, 2}), unfold(x, {3, 2}, {.stride = {3, 2}})));
  EXPECT_EQ(space_to_depth(counting({1, 2, 2, 1}, DType::u8), 2).to_vector<std::uint8_t>(),
            (std::vector<std::uint8_t>{1, 2, 3, 4}));
}

TEST(InstanceNorm, IsGroupNormOfSingleChannels) {
  for (const DType dtype : {DType::f32, DType::f64, DType::f16, DType::bf16}) {
    const DType wide = dtype == DType::f64 ? DType::f64 : DType::f32;
    for (const Shape& shape :
         {Shape{3, 5, 7, 33}, Shape{2, 600, 4}, Shape{4, 1, 1, 20}, Shape{2, 3, 4, 5, 1}}) {
      const Tensor x = noise(shape, 10, dtype);
      const Tensor gamma = noise({shape[-1]}, 11, wide), beta = noise({shape[-1]}, 12, wide);
      const Tensor y = instance_norm(x, gamma, beta, {.eps = 1e-3});
      EXPECT_TRUE(equal_bits(y, group_norm(x, shape[-1], gamma, beta, {.eps = 1e-3})));
    }
  }
  // One channel of one sample: mean 2, variance 1.
  const Tensor x = from_vector<float>({1, 3, 1, 3}, {1, 2, 2, 1});
  EXPECT_EQ(instance_norm(x, {}, {}, {.eps = 0}).to_vector<float>(), (Values{-1, 1, -1, 1}));
  // A channel alone has the bits that it has among others.
  const Tensor many = noise({2, 4, 5, 9}, 13);
  const Tensor one = pad(many, {{0, 0}, {0, 0}, {0, 0}, {-4, -4}});
  EXPECT_TRUE(equal_bits(pad(instance_norm(many, {}, {}), {{0, 0}, {0, 0}, {0, 0}, {-4, -4}}),
                         instance_norm(one, {}, {})));
}

}  // namespace
}  // namespace isobit
