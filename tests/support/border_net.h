// A small network of convolutions of every rank and direction, with every padding mode: for pictures [8, 8,
// 1].
#pragma once
#include <isobit/nn.h>
#include <isobit/ops.h>

namespace isobit::test {

inline nn::Sequential border_net(std::int64_t classes) {
  const auto viewed = [](const char* name, Shape sample) {
    return nn::Lambda(name, [sample](const Tensor& x) { return x.reshape(sample.inserted(0, x.shape(0))); });
  };
  return {
      nn::Input({8, 8, 1}, {.deviation = 255}),
      nn::Conv2D(4, 3,
                 {.padding = 1, .activation = Activate::leaky_relu, .slope = 0.2, .mode = PadMode::reflect}),
      nn::ConvTranspose2D(3, 4, {.stride = 2, .padding = 1, .activation = Activate::silu}),  // [16, 16, 3]
      nn::Pad(Padding(std::vector<std::pair<std::int64_t, std::int64_t>>{{0, 0}, {-2, 2}}),
              {.mode = PadMode::replicate}),
      viewed("Lines", {16, 48}),
      nn::Conv1D(8, 5, {.stride = 2, .padding = Same, .groups = 4, .mode = PadMode::circular, .flip = true}),
      nn::ConvTranspose1D(6, 3, {.padding = 1, .mode = PadMode::symmetric}),  // [8, 6]
      viewed("Volumes", {2, 2, 4, 3}),
      nn::Conv3D(4, 2,
                 {.padding = Same,
                  .mode = {PadMode::symmetric, PadMode::replicate, PadMode::constant},
                  .pad_value = 0.5}),
      nn::ConvTranspose3D(3, {1, 2, 2}, {.stride = {1, 2, 1}, .bias = false}),
      nn::Tanh(),
      nn::Flatten(),
      nn::Linear(classes)};
}

}  // namespace isobit::test
