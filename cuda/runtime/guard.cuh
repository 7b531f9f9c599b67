// What holds while a function of the device runs: the device is the current one, the thread's floating-point
// mode is the exact one (constants of kernels are computed on the host), and messages know the kernel.
#pragma once
#include "core/numerics/fp_mode.h"
#include "cuda/runtime/platform.cuh"

namespace isobit::gpu {

class Guard {
 public:
  /// Throws Error when the device is lost. `kernel` is a literal, null where no kernel of the seam runs.
  Guard(int device, const char* kernel);
  /// Gives the caller's current device back.
  ~Guard();
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;

 private:
  numerics::FpMode mode_;
  const char* outer_;
  int before_ = 0;
  bool changed_ = false;
};

/// ISOBIT_SYNC=1: every launch is waited for, so that an error names the kernel that made it.
bool sync_wanted();

}  // namespace isobit::gpu
