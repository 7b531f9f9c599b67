// The examples of the texts that this project started from, through the layers.
#include <gtest/gtest.h>
#include <isobit/nn.h>
#include <isobit/ops.h>

namespace isobit {
namespace {

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(NnTexts, TenFiltersOver32x32x3Give28x28x10) {
  const nn::Sequential net{nn::Input({32, 32, 3}), nn::Conv2D(10, 5)};
  net.build({32, 32, 3}, Device::cpu(), Seed{1});
  EXPECT_EQ(net.output_shape({32, 32, 3}), (Shape{28, 28, 10}));
  EXPECT_EQ(net.parameters()[0].shape(), (Shape{5, 5, 3, 10}));
  const Tensor x = random_uniform({1, 32, 32, 3}, random_key(Seed{1}, "x"), 0, 255);
  EXPECT_EQ(net(x).shape(), (Shape{1, 28, 28, 10}));
}

TEST(NnTexts, ABatchOfAHundredGoesThroughAndAllElseIsInferred) {
  const nn::Sequential net{nn::Conv2D(10, 5, {.activation = Activate::relu}), nn::MaxPool2D(2),
                           nn::Conv2D(16, 3, {.padding = Same}), nn::Flatten(), nn::Linear(10)};
  const Tensor x = random_uniform({100, 32, 32, 3}, random_key(Seed{1}, "x"));
  EXPECT_EQ(net(x).shape(), (Shape{100, 10}));
  const nn::StateDict parameters = net.named_parameters();
  ASSERT_EQ(parameters.size(), 6u);
  EXPECT_EQ(parameters[0].first, "0.weight");
  EXPECT_EQ(parameters[0].second.shape(), (Shape{5, 5, 3, 10}));
  EXPECT_EQ(parameters[2].second.shape(), (Shape{3, 3, 10, 16}));
  EXPECT_EQ(parameters[4].first, "4.weight");
  EXPECT_EQ(parameters[4].second.shape(), (Shape{14 * 14 * 16, 10}));
}

TEST(NnTexts, TheFiveByFivePicture) {
  const nn::Conv2D layer(1, 3, {.bias = false});
  layer.build({5, 5, 1});
  layer.load_state_dict({{"weight", from_vector<float>({1, 0, 1, 0, 1, 0, 1, 0, 1}, {3, 3, 1, 1})}});
  const Tensor picture = from_vector<float>(
      {1, 1, 1, 0, 0, 0, 1, 1, 1, 0, 0, 0, 1, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0}, {1, 5, 5, 1});
  const Tensor map = layer(picture);
  EXPECT_EQ(map.shape(), (Shape{1, 3, 3, 1}));
  EXPECT_EQ(map.to_vector<float>(), (std::vector<float>{4, 3, 4, 2, 4, 3, 2, 3, 4}));
}

TEST(NnTexts, ZeroPaddingKeepsTheShape) {
  for (const PerAxis kernel :
       {PerAxis(1), PerAxis(3), PerAxis(5), PerAxis(7), PerAxis(1, 7), PerAxis(5, 3)}) {
    const nn::Conv2D layer(4, kernel, {.padding = Same});
    EXPECT_EQ(layer.output_shape({11, 13, 2}), (Shape{11, 13, 4}));
    EXPECT_EQ(layer(zeros({2, 11, 13, 2})).shape(), (Shape{2, 11, 13, 4}));
  }
}

TEST(NnTexts, KernelSizesAndPairsWithoutPadding) {
  EXPECT_EQ(nn::Conv2D(4, 1).output_shape({9, 9, 2}), (Shape{9, 9, 4}));
  EXPECT_EQ(nn::Conv2D(4, 7).output_shape({9, 9, 2}), (Shape{3, 3, 4}));
  EXPECT_EQ(nn::Conv2D(4, {3, 5}).output_shape({9, 9, 2}), (Shape{7, 5, 4}));
}

TEST(NnTexts, AFilterOfTheWrongDepthNamesBothNumbers) {
  const nn::Sequential net{nn::Conv2D(8, 3)};
  net.build({16, 16, 3});
  const std::string message = message_of([&] { net(zeros({1, 16, 16, 5})); });
  EXPECT_TRUE(contains(message, "3") && contains(message, "5")) << message;
  EXPECT_TRUE(contains(message, "layer 0, Conv2D(8, 3x3)")) << message;
}

TEST(NnTexts, InputTakesRawPixelsAndRefusesOtherData) {
  const nn::Sequential net{nn::Input({4, 6, 3}), nn::Flatten()};
  net.build({4, 6, 3});
  std::vector<std::uint8_t> pixels(2 * 4 * 6 * 3);
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<std::uint8_t>(i * 7);
  const Tensor y = net(from_vector(pixels, {2, 4, 6, 3}));
  EXPECT_EQ(y.dtype(), DType::f32);
  const auto values = y.to_vector<float>();
  for (std::size_t i = 0; i < pixels.size(); ++i) ASSERT_EQ(values[i], static_cast<float>(pixels[i]));

  const std::string shape = message_of([&] { net(zeros({2, 6, 4, 3})); });
  EXPECT_TRUE(contains(shape, "[4,6,3]") && contains(shape, "[2,6,4,3]")) << shape;
  const std::string dtype = message_of([&] { net(zeros({2, 4, 6, 3}, {DType::i64})); });
  EXPECT_TRUE(contains(dtype, "i64")) << dtype;
  const std::string built = message_of([&] { nn::Input({4, 6, 3}).build({5, 6, 3}); });
  EXPECT_TRUE(contains(built, "[4,6,3]") && contains(built, "[5,6,3]")) << built;
}

TEST(NnTexts, InputScalesWhenAsked) {
  const nn::Input input({2}, {.deviation = 255});
  const Tensor y = input(from_vector<std::uint8_t>({0, 255}, {1, 2}));
  EXPECT_EQ(y.to_vector<float>(), (std::vector<float>{0, 1}));
}

}  // namespace
}  // namespace isobit
