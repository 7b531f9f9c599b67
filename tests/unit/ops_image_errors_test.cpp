// Bad input to interpolation, windows and blocks: an Error that names the op and the offending values.
#include <gtest/gtest.h>
#include <isobit/ops.h>

#include <cmath>
#include <functional>

namespace isobit {
namespace {

void expect_error(const std::function<void()>& act, std::initializer_list<const char*> parts) {
  std::string message = "no error";
  try {
    act();
  } catch (const Error& e) {
    message = e.what();
  }
  for (const char* part : parts)
    EXPECT_NE(message.find(part), std::string::npos) << "'" << message << "' lacks '" << part << "'";
}

constexpr std::int64_t kHuge = std::int64_t{1} << 62;

struct ImageErrors : ::testing::Test {
  const Tensor x = ones({2, 3, 4, 5}), flat = ones({3, 4}), none = Tensor(),
               whole = ones({1, 3, 1}, {.dtype = DType::i64}), empty_rows = ones({1, 0, 4, 2});
};

TEST_F(ImageErrors, Resize) {
  expect_error([&] { resize(none, 4); }, {"resize", "undefined"});
  expect_error([&] { resize(whole, 4); }, {"resize", "i64", "floating"});
  expect_error([&] { resize(flat, 4); }, {"resize", "[3,4]", "3, 4 or 5"});
  expect_error([&] { resize(x, 0); }, {"resize", "axis 0", "[2,3,4,5]", "would become 0", "at least 1"});
  expect_error([&] { resize(x, {4, -7}); }, {"resize", "axis 1", "-7"});
  expect_error([&] { resize(x, {1, 2, 3}); }, {"resize", "3 axes", "2 spatial"});
  expect_error([&] { resize(empty_rows, 4); }, {"resize", "axis 0", "[1,0,4,2]", "no element"});
  expect_error([&] { resize(x, kHuge); }, {"resize", "62 bits"});
  expect_error([&] { resize(x, std::int64_t{1} << 40); }, {"more elements than 63 bits"});
  expect_error([&] { resize(x, 4, {.mode = Interpolation::nearest, .antialias = true}); },
               {"resize", "antialias", "nearest"});
  expect_error([&] { resize(x, 4, {.coordinates = Coordinates::tf_crop_and_resize}); },
               {"resize", "roi", "0 axes", "expected 2"});
  expect_error([&] { resize(x, 4, {.roi = {{0, 1}, {0, 1}}}); }, {"resize", "roi", "2 axes", "expected 0"});
  expect_error(
      [&] {
        resize(x, 4, {.coordinates = Coordinates::tf_crop_and_resize, .roi = {{0, 1}, {0, NAN}}});
      },
      {"resize", "roi", "nan"});
  expect_error([&] { resize(x, 4, {.extrapolation = INFINITY}); }, {"resize", "extrapolation", "inf"});
}

TEST_F(ImageErrors, ResizeBy) {
  for (const double scale : {0.0, -1.0, static_cast<double>(NAN), static_cast<double>(INFINITY)})
    expect_error(
        [&] {
          resize_by(x, {1, scale});
        },
        {"resize_by", "axis 1", fmt::format("is {}", scale).c_str(), "positive finite"});
  expect_error([&] { resize_by(x, {0.3}); }, {"resize_by", "axis 0", "0.8", "at least 1"});
  expect_error([&] { resize_by(x, {1e-320}); }, {"resize_by", "axis 0", "at least 1"});
  expect_error([&] { resize_by(x, {1e300}); }, {"resize_by", "62 bits"});
  expect_error([&] { resize_by(x, {1e10}); }, {"more elements than 63 bits"});
  expect_error([&] { resize_by(x, {1, 1, 1}); }, {"resize_by", "3 scales", "2 spatial"});
  expect_error([&] { resize_by(x, std::span<const double>()); }, {"resize_by", "0 scales"});
  // What a crop far outside reads is the extrapolation, whatever the numbers.
  const Tensor far = resize(x, 2,
                            {.coordinates = Coordinates::tf_crop_and_resize,
                             .roi = {{-1e308, 1e308}, {1e308, -1e308}},
                             .extrapolation = 3});
  EXPECT_EQ(far.to_vector<float>(), std::vector<float>(2 * 2 * 2 * 5, 3));
}

TEST_F(ImageErrors, Upsample) {
  expect_error([&] { upsample(x, 0); }, {"upsample", "factor 0", "axis 0", "at least 1"});
  expect_error([&] { upsample(x, {2, -3}); }, {"upsample", "factor -3", "axis 1"});
  expect_error([&] { upsample(x, kHuge); }, {"upsample", "[2,3,4,5]", "63 bits"});
  expect_error([&] { upsample(x, {2, 2, 2}); }, {"upsample", "3 axes", "2 spatial"});
  expect_error([&] { upsample(x, 2, Interpolation::nearest, true); },
               {"upsample", "align_corners", "nearest"});
  expect_error([&] { upsample(flat, 2); }, {"upsample", "[3,4]"});
  expect_error([&] { upsample(empty_rows, 2); }, {"upsample", "no element"});
}

TEST_F(ImageErrors, Unfold) {
  expect_error([&] { unfold(none, 2); }, {"unfold", "undefined"});
  expect_error([&] { unfold(flat, 2); }, {"unfold", "[3,4]", "3, 4 or 5"});
  expect_error([&] { unfold(x, 0); }, {"unfold", "window is 0", "axis 0"});
  expect_error([&] { unfold(x, {2, kHuge}); }, {"unfold", "axis 1", "too many taps"});
  expect_error([&] { unfold(x, std::int64_t{1} << 35); }, {"unfold", "too many taps"});
  expect_error([&] { unfold(x, {1, 2, 3}); }, {"unfold", "3 axes", "2 spatial"});
  expect_error([&] { unfold(x, 4); }, {"unfold", "4", "3"});
  expect_error([&] { unfold(x, 2, {.stride = 0}); }, {"unfold", "stride is 0"});
  expect_error([&] { unfold(x, 2, {.dilation = -1}); }, {"unfold", "dilation is -1"});
  expect_error([&] { unfold(x, 2, {.padding = kHuge}); }, {"unfold"});
  expect_error([&] { unfold(x, 2, {.pad_value = NAN}); }, {"unfold", "pad_value", "nan"});
  expect_error([&] { unfold(empty_rows, 2, {.padding = 2}); }, {"unfold", "extent 0"});
}

TEST_F(ImageErrors, Fold) {
  expect_error([&] { fold(none, {1, 3, 1}, 2); }, {"fold", "undefined"});
  expect_error([&] { fold(whole, {1, 3, 1}, 1); }, {"fold", "i64"});
  expect_error([&] { fold(x, {2, 4, 5, 5}, 2); }, {"fold", "[2,3,4,5]", "[2,3,4,20]"});
  expect_error([&] { fold(x, {20}, 2); }, {"fold", "[20]"});
}

TEST_F(ImageErrors, Blocks) {
  expect_error([&] { depth_to_space(x, 2); }, {"depth_to_space", "5 channels", "4 positions", "[2,3,4,5]"});
  expect_error([&] { depth_to_space(x, 0); }, {"depth_to_space", "block is 0", "axis 0"});
  expect_error([&] { depth_to_space(x, {1, -5}); }, {"depth_to_space", "block is -5", "axis 1"});
  expect_error([&] { depth_to_space(x, {1, 1, 5}); }, {"depth_to_space", "3 axes", "2 spatial"});
  expect_error([&] { depth_to_space(flat, 2); }, {"depth_to_space", "[3,4]"});
  expect_error([&] { depth_to_space(x, std::int64_t{1} << 39); }, {"depth_to_space", "too many positions"});
  expect_error([&] { depth_to_space(x, kHuge); }, {"depth_to_space", "too many positions"});
  expect_error([&] { space_to_depth(x, {3, 3}); }, {"space_to_depth", "axis 1", "[2,3,4,5]", "blocks of 3"});
  expect_error([&] { space_to_depth(none, 2); }, {"space_to_depth", "undefined"});
  expect_error([&] { space_to_depth(x, {0, 1}); }, {"space_to_depth", "block is 0"});
  // No channels, and blocks whose extents do not fit.
  const Tensor hollow = ones({1, 1 << 30, 1, 0});
  expect_error([&] { depth_to_space(hollow, {std::int64_t{1} << 40, 1}); }, {"depth_to_space", "63 bits"});
}

TEST_F(ImageErrors, InstanceNorm) {
  expect_error([&] { instance_norm(none, {}, {}); }, {"instance_norm", "undefined"});
  expect_error([&] { instance_norm(whole, {}, {}); }, {"instance_norm", "i64"});
  expect_error([&] { instance_norm(ones({2, 3, 0}), {}, {}); }, {"instance_norm", "[2,3,0]", "no channels"});
  expect_error([&] { instance_norm(ones({2, 0, 3}), {}, {}); }, {"instance_norm", "[2,0,3]", "no positions"});
  expect_error([&] { instance_norm(x, ones({4}), {}); }, {"instance_norm", "gamma", "[4]", "[5]"});
  expect_error([&] { instance_norm(x, {}, {}, {.eps = -1}); }, {"instance_norm", "eps is -1"});
}

}  // namespace
}  // namespace isobit
