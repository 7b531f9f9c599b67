// Ready-made networks for small images.
#include <isobit/models.h>

namespace isobit::models {
namespace {

using namespace nn;

// A convolution that batch norm follows: its bias would be subtracted again.
Conv2D conv3(std::int64_t filters, std::int64_t stride = 1) {
  return Conv2D(filters, 3, {.stride = stride, .padding = Same, .bias = false});
}

// The classes: small weights, so that the first loss is near that of guessing and the first steps are calm.
Linear head(std::int64_t classes) {
  return Linear(classes, {.init = normal(0, 0.01)});
}

Residual block(std::int64_t filters, std::int64_t stride) {
  const Sequential body{conv3(filters, stride), BatchNorm(), ReLU(), conv3(filters), BatchNorm()};
  if (stride == 1) return Residual(body);
  return Residual(body, Sequential{Conv2D(filters, 1, {.stride = stride, .bias = false}), BatchNorm()});
}

}  // namespace

Sequential lenet(std::int64_t classes) {
  return {Conv2D(32, 5, {.padding = Same}),
          ReLU(),
          MaxPool2D(2),
          Conv2D(64, 5, {.padding = Same}),
          ReLU(),
          MaxPool2D(2),
          Flatten(),
          Linear(512),
          ReLU(),
          head(classes)};
}

Sequential vgg_small(std::int64_t classes) {
  Sequential net;
  for (std::int64_t filters : {32, 64, 128}) {
    for (int i = 0; i < 2; ++i) net.add(conv3(filters)).add(BatchNorm()).add(ReLU());
    net.add(MaxPool2D(2));
  }
  net.add(Flatten()).add(Linear(256)).add(ReLU()).add(Dropout(0.3)).add(head(classes));
  return net;
}

Sequential resnet_small(std::int64_t classes) {
  return {conv3(32), BatchNorm(),   ReLU(), block(32, 1),    ReLU(),       block(64, 2),
          ReLU(),    block(128, 2), ReLU(), GlobalAvgPool(), head(classes)};
}

std::vector<std::string_view> names() {
  return {"lenet", "vgg-small", "resnet-small"};
}

Sequential make(std::string_view name, std::int64_t classes) {
  if (name == "lenet") return lenet(classes);
  if (name == "vgg-small") return vgg_small(classes);
  if (name == "resnet-small") return resnet_small(classes);
  std::string known;
  for (std::string_view n : names()) known += (known.empty() ? "" : ", ") + std::string(n);
  fail("models", "there is no model \"{}\": choose one of {}", name, known);
}

}  // namespace isobit::models
