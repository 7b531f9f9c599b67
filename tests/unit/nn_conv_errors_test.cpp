// What the layers of the convolution family refuse: each message names the layer, the numbers and what was
// expected.
#include <gtest/gtest.h>
#include <isobit/nn.h>
#include <isobit/ops.h>

#include <functional>
#include <limits>

namespace isobit {
namespace {

using Sides = std::vector<std::pair<std::int64_t, std::int64_t>>;

/// The action is refused in a message with all of `parts`.
void expect_refused(const std::function<void()>& action, std::initializer_list<const char*> parts) {
  try {
    action();
    ADD_FAILURE() << "nothing was refused";
  } catch (const Error& error) {
    for (const char* part : parts)
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what() << " lacks " << part;
  }
}

TEST(NnConvErrors, WrongOptionsAreRefusedWhenTheLayerIsMade) {
  const double infinite = std::numeric_limits<double>::infinity();
  expect_refused([] { nn::Conv1D(0, 3); }, {"Conv1D: 0 filters"});
  expect_refused([] { nn::Conv1D(4, {3, 3}); }, {"Conv1D", "kernel is given for 2 axes", "expected 1"});
  expect_refused([] { nn::Conv3D(4, {3, 3}); }, {"Conv3D", "kernel is given for 2 axes", "1 or 3"});
  expect_refused([] { nn::Conv3D(4, {3, 0, 3}); }, {"Conv3D", "kernel is 3x0x3", "at least 1"});
  expect_refused([] { nn::Conv2D(4, -2); }, {"Conv2D", "kernel is -2", "at least 1"});
  expect_refused([] { nn::Conv2D(4, 3, {.stride = {1, 0}}); }, {"Conv2D", "stride is 1x0", "at least 1"});
  expect_refused([] { nn::Conv2D(4, 3, {.dilation = -1}); }, {"Conv2D", "dilation is -1"});
  expect_refused([] { nn::Conv1D(4, 3, {.dilation = {1, 2}}); }, {"Conv1D", "dilation is given for 2 axes"});
  expect_refused([] { nn::Conv2D(8, 3, {.groups = 3}); }, {"Conv2D", "8 filters", "3 groups"});
  expect_refused([] { nn::Conv3D(8, 3, {.groups = 0}); }, {"Conv3D", "8 filters", "0 groups"});
  expect_refused(
      [] {
        nn::Conv2D(4, 3, {.padding = Padding(Sides{{1, 1}, {1, 1}, {1, 1}})});
      },
      {"Conv2D", "padding is given for 3 axes", "1 or 2"});
  expect_refused([] { nn::Conv2D(4, 3, {.padding = Padding(Sides{})}); },
                 {"Conv2D", "padding is given for 0 axes"});
  expect_refused(
      [] {
        nn::Conv1D(4, 3, {.mode = {PadMode::reflect, PadMode::reflect}});
      },
      {"Conv1D", "modes are given for 2 axes"});
  expect_refused([&] { nn::Conv2D(4, 3, {.pad_value = infinite}); },
                 {"Conv2D", "pad_value is inf", "finite"});
  expect_refused([&] { nn::Conv2D(4, 3, {.slope = -infinite}); }, {"Conv2D", "slope is -inf", "finite"});
  expect_refused([] { nn::ConvTranspose2D(0, 3); }, {"ConvTranspose2D: 0 filters"});
  expect_refused([] { nn::ConvTranspose1D(4, 3, {.stride = 2, .output_padding = 2}); },
                 {"ConvTranspose1D", "output_padding is 2", "below the stride", "2"});
  expect_refused(
      [] {
        nn::ConvTranspose3D(4, 3, {.stride = 2, .output_padding = {0, -1, 0}});
      },
      {"ConvTranspose3D", "output_padding is 0x-1x0", "at least 0"});
  expect_refused([] { nn::ConvTranspose2D(4, 3, {.output_shape = PerAxis(5, 0)}); },
                 {"ConvTranspose2D", "output_shape is 5x0", "at least 1"});
  expect_refused([] { nn::ConvTranspose2D(4, 3, {.stride = 2, .output_padding = 1, .output_shape = 9}); },
                 {"ConvTranspose2D", "output_padding is 1", "output_shape of 9", "one of them"});
  expect_refused([] { nn::Pad{Same}; }, {"Pad", "rule", "expected widths"});
  expect_refused([] { nn::Pad(Padding(Sides{})); }, {"Pad", "0 axes", "1 to 3"});
  expect_refused(
      [] {
        nn::Pad(Padding(Sides(2)), {.mode = {PadMode::reflect, PadMode::reflect, PadMode::reflect}});
      },
      {"Pad", "modes are given for 3 axes", "widths for 2"});
}

TEST(NnConvErrors, WrongSamplesAreRefusedWhenTheNetworkIsBuilt) {
  expect_refused([] { nn::Conv1D(4, 3).build({8, 8, 3}); }, {"Conv1D needs samples [w, c]", "[8,8,3]"});
  expect_refused([] { nn::Conv3D(4, 3).build({8, 8, 3}); }, {"Conv3D needs samples [d, h, w, c]", "[8,8,3]"});
  expect_refused([] { nn::ConvTranspose2D(4, 3).build({8}); },
                 {"ConvTranspose2D needs samples [h, w, c]", "[8]"});
  expect_refused(
      [] {
        nn::Conv1D(4, 3, {.groups = 2}).build({8, 3});
      },
      {"Conv1D", "3 input channels", "2 groups"});
  expect_refused(
      [] {
        nn::ConvTranspose1D(4, 3, {.groups = 4}).build({8, 6});
      },
      {"ConvTranspose1D", "6 input channels", "4 groups"});
  expect_refused(
      [] {
        nn::Conv3D(4, 3).build({8, 2, 8, 1});
      },
      {"Conv3D", "exceeds the padded input", "spans 3", "axis 1"});
  expect_refused([] { nn::Conv2D(4, 3, {.padding = -5}).build({8, 8, 1}); }, {"Conv2D", "{-5,-5}", "crops"});
  expect_refused(
      [] {
        nn::ConvTranspose2D(4, 3, {.padding = 9}).build({8, 8, 1});
      },
      {"ConvTranspose2D", "axis 0", "-8 rows", "at least 1"});
  expect_refused(
      [] {
        nn::ConvTranspose2D(4, 3, {.output_shape = 20}).build({8, 8, 1});
      },
      {"ConvTranspose2D", "[1,8,8,1]", "[1,18,18,1]"});
  expect_refused([] { nn::Conv1D(4, std::int64_t{1} << 61).build({8, 3}); }, {"63 bits"});
  const std::int64_t many = std::int64_t{1} << 50;  // elements that fit, in tensors whose product does not
  expect_refused(
      [&] {
        nn::Conv1D(512, 1).output_shape({many, 512});
      },
      {"Conv1D", "multiply-adds", "63 bits"});
  expect_refused([&] { nn::Linear(512).output_shape({many, 512}); }, {"Linear", "multiply-adds", "63 bits"});
  expect_refused([] { nn::Pad(-5).build({8, 8, 1}); }, {"Pad", "{-5,-5}", "[1,8,8,1]"});
  expect_refused([] { nn::Pad(Padding(Sides(2))).build({8, 1}); }, {"Pad is given for 2 axes", "[8,1]"});
  expect_refused([] { nn::Pad(1).build({8}); }, {"Pad needs samples", "[8]"});
  expect_refused(
      [] {
        nn::Pad(1, {.mode = PadMode::reflect}).build({0, 2});
      },
      {"Pad", "no element to reflect"});
}

TEST(NnConvErrors, AnErrorOfTheForwardPassNamesTheLayer) {
  const nn::Sequential net{nn::Pad(1), nn::ConvTranspose1D(4, 3, {.stride = 2})};
  net.build({8, 3});
  expect_refused(
      [&] {
        net(zeros({1, 8, 5}));
      },
      {"conv_transpose", "[3,4,3]", "[1,10,5]", "layer 1, ConvTranspose1D(4, 3, stride 2)"});
}

}  // namespace
}  // namespace isobit
