// What an outside project does with isobit: trains a small convolutional network, and adds an op of its own
// whose gradient it gives. Only public headers. Prints the digest of the trained weights as its last line, so
// that builds can be compared; exits with 1 when the network does not learn or a gradient is wrong.
#include <fmt/format.h>
#include <isobit/isobit.h>

#include <cmath>
#include <cstdint>
#include <vector>

namespace {

using namespace isobit;

// x^3, with the rule for its derivative written with ops that have derivatives themselves.
Tensor cube(const Tensor& x) {
  Tensor y = [&] {
    const NoGrad off;
    return mul(square(x), x);
  }();
  return record("cube", {x}, y, {x}, [](const BackwardContext& c) {
    return std::vector{mul(c.dy(), mul_scalar(square(c.saved(0)), 3))};
  });
}

// First and second derivative of cube at a few points; all numbers are exact in f32.
bool cube_is_right() {
  Tensor x = from_vector(std::vector<float>{-2, -0.5f, 0, 1, 3}, {5});
  x.set_requires_grad();
  const Tensor first = grad(sum(cube(x)), {x}, {}, {.create_graph = true})[0];
  const Tensor second = grad(sum(first), {x})[0];
  return first.to_vector<float>() == std::vector<float>{12, 0.75f, 0, 3, 27} &&
         second.to_vector<float>() == std::vector<float>{-12, -3, 0, 6, 18};
}

// Pictures 8x8 of two kinds: a bright row or a bright column, the rest noise.
void make_pictures(std::int64_t count, Tensor& pictures, Tensor& labels) {
  const RandomKey key = random_key(Seed{3}, "pictures");
  std::vector<float> pixels = random_uniform({count, 8, 8, 1}, key).to_vector<float>();
  std::vector<std::int64_t> kinds(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t kind = i % 2, place = (i / 2) % 8;
    kinds[static_cast<std::size_t>(i)] = kind;
    for (std::int64_t j = 0; j < 8; ++j) {
      const std::int64_t row = kind == 0 ? place : j, column = kind == 0 ? j : place;
      pixels[static_cast<std::size_t>((i * 8 + row) * 8 + column)] += 1.0f;
    }
  }
  pictures = from_vector(pixels, {count, 8, 8, 1});
  labels = from_vector(kinds, {count});
}

int run() {
  if (!cube_is_right()) {
    fmt::print("the op of this project's own has a wrong gradient\n");
    return 1;
  }
  Tensor pictures, labels;
  make_pictures(64, pictures, labels);
  nn::Sequential net{nn::Conv2D(8, 3, {.padding = Same}), nn::ReLU(), nn::MaxPool2D(2), nn::Flatten(),
                     nn::Linear(2)};
  net.build({8, 8, 1}, Device::cpu(), Seed{1});
  optim::SGD sgd(net.parameters(), {.lr = 0.1, .momentum = 0.9});
  double first = 0, last = 0;
  for (int step = 0; step < 40; ++step) {
    const Tensor logits = net(pictures);
    // A pinch of the project's own op in the loss, so that its gradient takes part in the training.
    Tensor loss = cross_entropy(logits, labels) + mul_scalar(mean(cube(logits)), 1e-4);
    if (step == 0) first = loss.item();
    last = loss.item();
    sgd.zero_grad();
    loss.backward();
    sgd.step();
  }
  fmt::print("loss {:.4f} -> {:.4f}\n", first, last);
  if (!(last < 0.5 * first)) {
    fmt::print("the network did not learn\n");
    return 1;
  }
  fmt::print("{}\n", digest(net));
  return 0;
}

}  // namespace

int main() {
  try {
    return run();
  } catch (const isobit::Error& e) {
    fmt::print("{}\n", e.what());
    return 1;
  }
}
