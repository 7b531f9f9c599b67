// Linked with the objects of the isobit program: the same program with a device "broken" whose
// conv_backward_input flips a bit (verify_program_test.cpp), and a device "tailless" that forgets the
// channels behind the last four, and "crooked" with faults beyond convolutions (compare_program_test.cpp).
#include "tests/support/broken.h"

namespace isobit::test {
namespace {

/// Of filters with more than one tap, writes zeros where the channels no longer make four.
class Tailless final : public Forwarding {
 public:
  Tailless() : Forwarding("tailless", backend(Device::cpu())) {}
  void conv_forward(const ConvGeometry& g, ConstView x, ConstView w, const Epilogue& e, View y) override {
    Forwarding::conv_forward(g, x, w, e, y);
    if (y.dtype != DType::f32 || g.taps() == 1) return;
    for (std::int64_t i = 0; i < y.numel; ++i)
      if (i % g.k >= g.k / 4 * 4) y.as<float>()[i] = 0;
  }
};

/// Norms leave out the channels behind the last four, averages are not divided.
class Crooked final : public Forwarding {
 public:
  Crooked() : Forwarding("crooked", backend(Device::cpu())) {}
  void norm_apply(const NormGeometry& g, double eps, ConstView x, ConstView mean, ConstView variance,
                  ConstView gamma, ConstView beta, View y) override {
    Forwarding::norm_apply(g, eps, x, mean, variance, gamma, beta, y);
    for (std::int64_t i = 0; i < y.numel; ++i)
      if (i % g.channels() >= g.channels() / 4 * 4) y.as<float>()[i] = 0;
  }
  void avg_pool(const PoolGeometry& g, ConstView x, View y) override {
    PoolGeometry sum = g;
    sum.sum = true;
    Forwarding::avg_pool(sum, x, y);
  }
};

[[maybe_unused]] const Device kBroken = [] {
  backend(Device::cpu());  // the devices of the build come first
  register_backend(std::make_unique<Tailless>());
  register_backend(std::make_unique<Crooked>());
  return register_backend(std::make_unique<Broken>("broken", Mistake::flipped_bit));
}();

}  // namespace
}  // namespace isobit::test
