// What introductions to convolutional networks say, held against the library: docs/first-steps.md tells the
// same with pictures. Only public headers.
#include <gtest/gtest.h>
#include <isobit/isobit.h>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

namespace isobit {
namespace {

Tensor noise(const Shape& shape, const char* name) {
  return random_normal(shape, random_key(Seed{11}, name));
}

bool holds(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

std::string error_of(const std::function<void()>& act) {
  try {
    act();
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

TEST(Texts, TenFiltersOverAColourPicture) {
  const Tensor y = conv(noise({1, 32, 32, 3}, "picture"), noise({5, 5, 3, 10}, "filters"));
  EXPECT_EQ(y.shape(), (Shape{1, 28, 28, 10}));
}

TEST(Texts, ABatchGoesThroughAndEveryShapeIsInferred) {
  nn::Sequential net{nn::Input({32, 32, 3}, {.mean = 0, .deviation = 255}),
                     nn::Conv2D(10, 5),
                     nn::ReLU(),
                     nn::MaxPool2D(2),
                     nn::Flatten(),
                     nn::Linear(7)};
  net.build({32, 32, 3}, Device::cpu(), Seed{1});
  const Tensor pictures = full({100, 32, 32, 3}, std::int64_t{200}, {.dtype = DType::u8});
  EXPECT_EQ(net(pictures).shape(), (Shape{100, 7}));
  std::vector<Shape> shapes;
  for (const nn::SummaryRow& row : net.summarize({32, 32, 3}).rows) shapes.push_back(row.output);
  const std::vector<Shape> expected{{32, 32, 3}, {28, 28, 10}, {28, 28, 10}, {14, 14, 10}, {1960}, {7}};
  EXPECT_EQ(shapes, expected);
  const std::string what = error_of([&] {
    net(full({100, 28, 28, 3}, std::int64_t{200}, {.dtype = DType::u8}));
  });
  EXPECT_TRUE(holds(what, "[32,32,3]") && holds(what, "[100,28,28,3]")) << what;
}

TEST(Texts, TheWorkedExample) {
  const Tensor x = from_vector(std::vector<float>{1, 1, 1, 0, 0,  //
                                                  0, 1, 1, 1, 0,  //
                                                  0, 0, 1, 1, 1,  //
                                                  0, 0, 1, 1, 0,  //
                                                  0, 1, 1, 0, 0},
                               {1, 5, 5, 1});
  const Tensor w = from_vector(std::vector<float>{1, 0, 1, 0, 1, 0, 1, 0, 1}, {3, 3, 1, 1});
  const std::vector<float> expected{4, 3, 4, 2, 4, 3, 2, 3, 4};
  const Tensor y = conv(x, w);
  EXPECT_EQ(y.shape(), (Shape{1, 3, 3, 1}));
  EXPECT_EQ(y.to_vector<float>(), expected);
}

TEST(Texts, ZeroPaddingKeepsTheShapeForOddKernels) {
  const Tensor x = noise({2, 9, 8, 3}, "picture");
  for (const std::int64_t k : {1, 3, 5, 7}) {
    const Tensor y = conv(x, noise({k, k, 3, 4}, "filters"), {}, {.padding = Padding((k - 1) / 2)});
    EXPECT_EQ(y.shape(), (Shape{2, 9, 8, 4})) << "kernel " << k;
    EXPECT_TRUE(equal_bits(y, conv(x, noise({k, k, 3, 4}, "filters"), {}, {.padding = Same})))
        << "kernel " << k;
  }
}

TEST(Texts, AKernelIsOneNumberOrAPair) {
  for (const std::int64_t k : {1, 3, 5, 7}) {
    nn::Sequential net{nn::Conv2D(4, k)};
    EXPECT_EQ(net.output_shape({16, 16, 3}), (Shape{17 - k, 17 - k, 4})) << "kernel " << k;
  }
  nn::Sequential pair{nn::Conv2D(4, {3, 5})};
  EXPECT_EQ(pair.output_shape({16, 16, 3}), (Shape{14, 12, 4}));
  pair.build({16, 16, 3}, Device::cpu(), Seed{1});
  EXPECT_EQ(pair.parameters().at(0).shape(), (Shape{3, 5, 3, 4}));
}

TEST(Texts, AFilterOfTheWrongDepthNamesBothNumbers) {
  const std::string what = error_of([] { conv(noise({100, 32, 32, 3}, "x"), noise({5, 5, 1, 10}, "w")); });
  EXPECT_TRUE(holds(what, "conv") && holds(what, "1 input channel") && holds(what, "3 channels")) << what;
}

// Eight random 3x3 filters, a pool and a linear layer learn to tell clothes apart.
TEST(Texts, EightRandomFiltersLearn) {
  auto [train, test] = data::fashion_mnist();
  train = train.take(6000);
  test = test.take(2000);
  nn::Sequential net{nn::Conv2D(8, 3, {.padding = Same}), nn::ReLU(), nn::MaxPool2D(2), nn::Flatten(),
                     nn::Linear(10)};
  net.build({28, 28, 1}, Device::cpu(), Seed{1});
  const Tensor filters = net.parameters().at(0).clone();
  const double before = accuracy(net, test);
  optim::SGD sgd(net.parameters(), {.lr = 0.05, .momentum = 0.9});
  for (std::int64_t epoch = 0; epoch < 3; ++epoch) {
    for (const auto& [pictures, labels] : data::Batches(train, 64, Seed{2}, {}, {.epoch = epoch})) {
      cross_entropy(net(pictures), labels).backward();
      sgd.step();
    }
  }
  const double after = accuracy(net, test);
  std::printf("accuracy before %.3f, after %.3f\n", before, after);
  EXPECT_LT(before, 0.25);
  EXPECT_GT(after, 0.8);
  EXPECT_FALSE(equal_bits(filters, net.parameters().at(0)));
}

// A Sobel filter is planted: a filter that starts at random and sees only pictures and the planted filter's
// answers becomes the same filter.
TEST(Texts, APlantedSobelFilterIsRecovered) {
  const Tensor sobel = from_vector(std::vector<float>{-1, 0, 1, -2, 0, 2, -1, 0, 1}, {3, 3, 1, 1});
  Tensor w = noise({3, 3, 1, 1}, "start");
  w.set_requires_grad();
  optim::SGD sgd({w}, {.lr = 0.1});
  const auto cosine = [&] {
    const auto a = w.to_vector<float>(), b = sobel.to_vector<float>();
    double ab = 0, aa = 0, bb = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
      ab += double{a[i]} * b[i];
      aa += double{a[i]} * a[i];
      bb += double{b[i]} * b[i];
    }
    return ab / std::sqrt(aa * bb);
  };
  const double before = cosine();
  for (std::uint64_t step = 0; step < 60; ++step) {
    const Tensor x = random_normal({8, 12, 12, 1}, random_key(Seed{5}, "pictures", step));
    mse(conv(x, w), conv(x, sobel)).backward();
    sgd.step();
  }
  std::printf("cosine before %.3f, after %.6f\n", before, cosine());
  EXPECT_LT(before, 0.9);
  EXPECT_GT(cosine(), 0.99);
}

}  // namespace
}  // namespace isobit
