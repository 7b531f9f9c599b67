// Linked with the objects of the isobit program: the same program with a device "broken" whose
// conv_backward_input flips a bit (verify_program_test.cpp), and a device "tailless" that forgets the
// channels behind the last four (compare_program_test.cpp).
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

[[maybe_unused]] const Device kBroken = [] {
  backend(Device::cpu());  // the devices of the build come first
  register_backend(std::make_unique<Tailless>());
  return register_backend(std::make_unique<Broken>("broken", Mistake::flipped_bit));
}();

}  // namespace
}  // namespace isobit::test
