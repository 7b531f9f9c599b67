// The seam proven: a second device, defined here, on which everything runs without a line of core knowing it.
// Its memory is the host's; it counts calls and hands them to the CPU.
#include <gtest/gtest.h>
#include <isobit/isobit.h>

#include <map>
#include <set>

#include "core/backend.h"
#include "tests/support/forwarding.h"
#include "tests/support/kernel_names.h"

namespace isobit {
namespace {

class Counting final : public test::Forwarding {
 public:
  explicit Counting(Backend& cpu) : Forwarding("counting", cpu) {}
  mutable std::map<std::string, int> calls;

 protected:
  Backend& forward(const char* kernel) const override {
    ++calls[kernel];
    return Forwarding::forward(kernel);
  }
};

struct Registered {
  Device device;
  Counting* counting;
};
/// One device for all tests of this file: a registry only grows.
Registered& registered() {
  static Registered r = [] {
    auto backend = std::make_unique<Counting>(isobit::backend(Device::cpu()));
    Counting* counting = backend.get();
    return Registered{register_backend(std::move(backend)), counting};
  }();
  return r;
}

/// A loss that passes through every layer kind; everything lives on the device of x.
Tensor everything(const Tensor& x, const std::vector<Tensor>& p, const Tensor& labels) {
  Tensor h = conv(x, p[0], p[1], {.padding = Same, .activation = Activate::relu});
  h = max_pool(h, 2);
  h = local_response_norm(batch_norm(h, p[2], p[3]).y, 3, {.alpha = 0.5});
  h = gelu(conv(pad(h, {{0, 0}, {1, 1}, {1, 1}, {0, 0}}), p[4]));
  h = avg_pool(h, 2);
  h = group_norm(h, 2, {}, {});
  h = upsample(h, 2, Interpolation::linear);
  h = mul_scalar(unfold(h, 2, {.stride = 2}), 0.5);
  h = fold(h, {h.shape(0), 2 * h.shape(1), 2 * h.shape(2), h.shape(3) / 4}, 2, {.stride = 2});
  h = avg_pool(h, 2);
  h = dropout(flatten(h), 0.25, {1, 2});
  h = layer_norm(linear(h, p[5]), {}, {});
  h = matmul(softmax(h), p[6]);
  h = maximum(h, mul_scalar(h, 0.5));
  const Tensor hot = one_hot(labels, 4, 1, 0, DType::f32);
  return add(cross_entropy(h, labels), mse(permute(h, {1, 0}), permute(hot.to(h.device()), {1, 0})));
}

std::vector<Tensor> parameters(Device device) {
  const Shape shapes[] = {{3, 3, 2, 4}, {4}, {4}, {4}, {3, 3, 4, 4}, {16, 6}, {6, 4}};
  std::vector<Tensor> list;
  for (std::size_t i = 0; i < 7; ++i) {
    Tensor t = random_normal(shapes[i], {7, i}, 0, 0.5).to(device).detach();
    list.push_back(t.set_requires_grad());
  }
  return list;
}

/// Kernels that everything() does not call: the tests below do.
const std::set<std::string> kOtherTests{"random_uniform", "random_normal", "cast", "optimizer_step"};

TEST(Seam, EverythingRunsOnAForeignDeviceWithTheSameBits) {
  const Device device = registered().device;
  EXPECT_EQ(device.name(), "counting");
  EXPECT_EQ(Device::parse("counting"), device);
  auto& calls = registered().counting->calls;
  calls.clear();
  const Tensor x = random_normal({8, 8, 8, 2}, {1, 1});
  const Tensor labels = from_vector<std::int64_t>({0, 1, 2, 3, 0, 1, 2, 3}, {8});
  std::vector<Tensor> here = parameters(Device::cpu()), there = parameters(device);
  const GradOptions graph{.create_graph = true};
  const Tensor a = everything(x, here, labels), b = everything(x.to(device), there, labels.to(device));
  EXPECT_EQ(b.device(), device);
  EXPECT_TRUE(equal_bits(a.detach(), b.detach()));
  const auto ga = grad(a, here, {}, graph), gb = grad(b, there, {}, graph);
  Tensor sa = sum(square(ga[0])), sb = sum(square(gb[0]));
  for (std::size_t i = 0; i < ga.size(); ++i) {
    EXPECT_EQ(gb[i].device(), device);
    EXPECT_TRUE(equal_bits(ga[i].detach(), gb[i].detach())) << i;
    sa = add(sa, sum(square(ga[i])));
    sb = add(sb, sum(square(gb[i])));
  }
  const auto ha = grad(sa, here), hb = grad(sb, there);
  for (std::size_t i = 0; i < ha.size(); ++i) EXPECT_TRUE(equal_bits(ha[i], hb[i])) << "second order " << i;
  for (const char* what : {"allocate", "upload"}) EXPECT_GT(calls[what], 0) << what;
  for (const std::string& kernel : test::kernel_names())
    if (!kOtherTests.contains(kernel)) {
      EXPECT_GT(calls[kernel], 0) << kernel;
    }
}

TEST(Seam, RemainingKernels) {
  const Device device = registered().device;
  auto& calls = registered().counting->calls;
  calls.clear();
  const TensorOptions there{.device = device};
  EXPECT_TRUE(equal_bits(random_uniform({9}, {1, 2}, 0, 1, there), random_uniform({9}, {1, 2})));
  EXPECT_TRUE(equal_bits(random_normal({9}, {1, 2}, 0, 1, there), random_normal({9}, {1, 2})));
  EXPECT_TRUE(equal_bits(zeros({3}, there).to(DType::f16), zeros({3}, {.dtype = DType::f16})));
  const Tensor part = ones({2}, there);
  EXPECT_EQ(concat(std::vector<Tensor>{part, part}).shape(), (Shape{4}));
  EXPECT_EQ(ones({2}, there).to_vector<float>(), (std::vector<float>{1, 1}));
  synchronize(device);
  for (const char* kernel : {"random_uniform", "random_normal", "cast", "copy", "synchronize", "download"})
    EXPECT_GT(calls[kernel], 0) << kernel;
}

TEST(Seam, ASmallNetworkTrainsWithTheBitsOfTheCpu) {
  const Device device = registered().device;
  registered().counting->calls.clear();
  const auto train = [](Device on) {
    nn::Sequential net{nn::Conv2D(4, 3, {.padding = Same}), nn::ReLU(), nn::MaxPool2D(2), nn::Flatten(),
                       nn::Linear(3)};
    net.build({6, 6, 1}, on, Seed{1});
    optim::SGD sgd(net.parameters(), {.lr = 0.1, .momentum = 0.9});
    for (std::uint64_t step = 0; step < 5; ++step) {
      const Tensor x = random_normal({16, 6, 6, 1}, {step, 0}).to(on);
      std::vector<std::int64_t> label(16);
      for (std::size_t i = 0; i < 16; ++i) label[i] = static_cast<std::int64_t>((i + step) % 3);
      sgd.zero_grad();
      cross_entropy(net(x), from_vector(label, {16}).to(on)).backward();
      sgd.step();
    }
    return digest(net);
  };
  EXPECT_EQ(train(Device::cpu()), train(device));
  EXPECT_EQ(registered().counting->calls["optimizer_step"], 5);
}

TEST(Seam, DevicesDoNotMix) {
  const Tensor a = ones({2}), b = ones({2}, {.device = registered().device});
  try {
    add(a, b);
    FAIL() << "no error";
  } catch (const Error& e) {
    const std::string what = e.what();
    EXPECT_NE(what.find("add"), std::string::npos) << what;
    EXPECT_NE(what.find("cpu"), std::string::npos) << what;
    EXPECT_NE(what.find("counting"), std::string::npos) << what;
  }
  EXPECT_THROW(conv(ones({1, 3, 3, 1}), ones({1, 1, 1, 1}, {.device = registered().device})), Error);
  EXPECT_THROW(gather(b, from_vector<std::int64_t>({0}, {1})), Error);
  EXPECT_THROW(cross_entropy(ones({1, 2}), from_vector<std::int64_t>({0}, {1}).to(registered().device)),
               Error);
  EXPECT_THROW(layer_norm(b, a, {}), Error);
}

}  // namespace
}  // namespace isobit
