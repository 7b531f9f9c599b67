// What the tests of nn::Graphed share: devices that record, a small network with draws and running
// statistics.
#pragma once
#include <gtest/gtest.h>
#include <isobit/isobit.h>

#include <memory>
#include <string>
#include <vector>

#include "core/backend.h"

namespace isobit::graphed {

// All but the CPU, which has nothing to record. By name: devices are looked for when a test runs, not while
// tests are registered, when nobody has read the environment yet.
inline const std::vector<std::string>& others() {
  static const auto& names = *new std::vector<std::string>{"simt", "cuda"};
  return names;
}

// Sets `device` to the one of this name; or says why there are no graphs on it: a runtime without them (the
// virtual GPU's) is no failure.
inline std::string find_graphs(const std::string& name, Device& device) {
  for (const DeviceInfo& info : devices())
    if (info.name == name || info.name == name + ":0") device = info.device;
  if (device == Device::cpu()) return name + " is not here";
  try {
    backend(device).record_work();
  } catch (const Error& error) {
    if (std::string(error.what()).find("records no graphs") == std::string::npos) throw;
    return error.what();
  }
  return {};
}

class GraphedOn : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (const std::string why = find_graphs(GetParam(), gpu_); !why.empty()) GTEST_SKIP() << why;
  }
  Tensor filled(std::int64_t size, double value) const {
    return full(Shape{size}, value, {DType::f32, gpu_});
  }

  Device gpu_ = Device::cpu();
};

struct Net {
  nn::Sequential net;
  std::unique_ptr<optim::Optimizer> optimizer;
};

inline Net make_net(const std::string& kind, Device device) {
  Net n{nn::Sequential{nn::Conv2D(6, 3, {.padding = Same}), nn::BatchNorm(), nn::ReLU(), nn::MaxPool2D(2),
                       nn::Flatten(), nn::Dropout(0.3), nn::Linear(16), nn::ReLU(), nn::Dropout(0.1),
                       nn::Linear(5)},
        nullptr};
  n.net.build({8, 8, 3}, device, Seed{7});
  const std::vector<Tensor> p = n.net.parameters();
  if (kind == "sgd")
    n.optimizer = std::make_unique<optim::SGD>(p, optim::SGDOptions{.lr = 0.1, .momentum = 0.9});
  if (kind == "adam") n.optimizer = std::make_unique<optim::Adam>(p, optim::AdamOptions{.lr = 0.01});
  if (kind == "adamw") n.optimizer = std::make_unique<optim::AdamW>(p, optim::AdamWOptions{.lr = 0.01});
  if (kind == "rmsprop") n.optimizer = std::make_unique<optim::RMSprop>(p, optim::RMSpropOptions{});
  return n;
}

struct Sample {
  Tensor x, labels;
};
inline Sample sample(std::int64_t batch, std::uint64_t number, Device device) {
  const Tensor x = random_normal({batch, 8, 8, 3}, random_key(Seed{3}, "x", number));
  std::vector<std::int64_t> labels;
  for (std::int64_t i = 0; i < batch; ++i) labels.push_back((i * 3 + static_cast<std::int64_t>(number)) % 5);
  return {x.to(device), from_vector(labels, Shape{batch}).to(device)};
}

inline nn::Graphed::Step step_of(const Net& n) {
  return [net = n.net, &optimizer = *n.optimizer](const std::vector<Tensor>& in) {
    const Tensor loss = cross_entropy(net(in[0]), in[1]);
    loss.backward();
    optimizer.step();
    return std::vector{loss};
  };
}

}  // namespace isobit::graphed
