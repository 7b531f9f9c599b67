// A convolution that a ReLU layer follows applies it to its sums while they are in registers: Sequential says
// so before it calls the convolution, and leaves out the layer. The bits are those of the two layers
// (docs/numerics.md).
#pragma once
#include <utility>

namespace isobit::nn {

/// What a convolution's module has: whether it may apply a relu after it.
class AppliesRelu {
 public:
  virtual bool applies_relu() const = 0;

 protected:
  ~AppliesRelu() = default;
};

/// What the module of a ReLU layer is.
class IsRelu {
 protected:
  ~IsRelu() = default;
};

/// While it lives, the next forward pass of a module on this thread that asks take() is told to apply relu.
class ReluAhead {
 public:
  ReluAhead() { announced() = true; }
  ~ReluAhead() { announced() = false; }
  ReluAhead(const ReluAhead&) = delete;
  ReluAhead& operator=(const ReluAhead&) = delete;
  static bool take() { return std::exchange(announced(), false); }

 private:
  static bool& announced() {
    thread_local bool value = false;
    return value;
  }
};

}  // namespace isobit::nn
