// The one check of CUDA calls. Included through cuda/device.cuh, or by the runtime's own files.
#pragma once
#include "cuda/runtime/platform.cuh"

namespace isobit::gpu {

/// Throws Error, OutOfMemory for cudaErrorMemoryAllocation, when `status` is not cudaSuccess. The message
/// names the kernel of the seam that is running (or those that were, for an error that arrives late), the
/// call, the error in words and what to do about it, and the place. An error after which the device's context
/// is lost is remembered: every later use of this device throws the same message; other devices go on.
void check(cudaError_t status, const char* call, const char* file = __builtin_FILE(),
           int line = __builtin_LINE());

/// The kernel of the seam that this thread is in, for messages; null outside of one.
const char* current_kernel();

/// Throws the error that lost the device, if one did.
void throw_if_lost(int device);
/// What runs is written down from here on: for errors that arrive when the kernel that made them is long
/// past.
void remember_launch(int device, const char* kernel);
/// All that was launched on the device is known to be done, and well.
void forget_launches(int device);
/// The device is usable again: it was reset.
void forget_lost(int device);

}  // namespace isobit::gpu
