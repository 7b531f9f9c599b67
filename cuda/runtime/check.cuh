// The one check of CUDA calls. Included through cuda/device.cuh, or by the runtime's own files.
#pragma once
#ifdef __CUDACC__
#include <cuda_runtime.h>
#else
#include "cuda/simt/cuda.h"
#endif

namespace isobit::gpu {

/// Throws Error, OutOfMemory for cudaErrorMemoryAllocation, when `status` is not cudaSuccess. The message
/// names the kernel of the seam that is running (or that was, for an error that arrives late), the call, the
/// error in words and what to do about it, and the place. A sticky error (the context is lost) is remembered:
/// every later call of this device throws it again with the kernel that caused it; other devices go on.
void check(cudaError_t status, const char* call, const char* file = __builtin_FILE(),
           int line = __builtin_LINE());

/// The kernel of the seam that this thread is in, for messages; null outside of one.
const char* current_kernel();

}  // namespace isobit::gpu
