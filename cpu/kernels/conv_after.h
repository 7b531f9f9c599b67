// What a convolution does to its elements once they are stored, part by part while they are in the caches:
// the norm of each channel by numbers that are given, then an activation. Tiles apply relu alone themselves.
#pragma once
#include <cstdint>
#include <optional>

#include "core/backend.h"
#include "cpu/runtime/scratch.h"

namespace isobit::cpu::kernels {

class After {
 public:
  /// For a result of `channels` channels; the epilogue's operands must outlive this.
  After(const Epilogue& epilogue, DType stored, std::int64_t channels);
  /// Whether there is anything to do.
  bool any() const { return norm_ || function_; }
  /// part holds rows of the channels [first, first + count), one after another. From any thread.
  void apply(View part, std::int64_t first, std::int64_t count) const;

  /// Numbers of every channel, in the compute type; none is null.
  struct Channels {
    const void *mean, *rstd, *gamma, *beta;
  };

 private:
  bool norm_;
  std::optional<UnaryOp> function_;
  double slope_;
  Scratch<double> room_;  // 1 / sqrt(variance + eps), and what stands for a missing gamma or beta
  Channels channels_{};
};

}  // namespace isobit::cpu::kernels
