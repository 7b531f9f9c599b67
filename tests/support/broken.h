// A device that hands everything to the CPU and errs in one kernel, to see that `isobit verify` notices.
#pragma once
#include <isobit/error.h>

#include <cstring>
#include <memory>
#include <string>

#include "tests/support/forwarding.h"

namespace isobit::test {

enum class Mistake {
  none,
  flipped_bit,    ///< the lowest bit of the middle element of dx
  outside,        ///< a byte behind dx
  changed_input,  ///< a byte of dy
  forgotten,      ///< dx is not written
  thrown,         ///< an Error instead of a result
};

/// Errs in conv_backward_input.
class Broken final : public Forwarding {
 public:
  Broken(std::string name, Mistake mistake)
      : Forwarding(std::move(name), backend(Device::cpu())), mistake_(mistake) {}

  void conv_backward_input(const ConvGeometry& g, ConstView dy, ConstView w, View dx) override {
    if (mistake_ == Mistake::thrown) fail("broken", "the kernel failed");
    if (mistake_ == Mistake::forgotten) return;
    Forwarding::conv_backward_input(g, dy, w, dx);
    if (dx.numel == 0 || dy.numel == 0) return;
    const auto size = static_cast<std::size_t>(size_of(dx.dtype));
    auto* bytes = static_cast<unsigned char*>(dx.data);
    if (mistake_ == Mistake::flipped_bit) bytes[static_cast<std::size_t>(dx.numel / 2) * size] ^= 1;
    if (mistake_ == Mistake::outside) bytes[static_cast<std::size_t>(dx.numel) * size] = 7;
    if (mistake_ == Mistake::changed_input)
      static_cast<unsigned char*>(const_cast<void*>(dy.data))[0] ^= 1;  // what a kernel must never do
  }

 private:
  Mistake mistake_;
};

}  // namespace isobit::test
