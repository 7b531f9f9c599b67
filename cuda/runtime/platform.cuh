// CUDA, or what executes it on the CPU. Included through the runtime's headers, never by kernels.
#pragma once
#ifdef __CUDACC__
#include <cuda_runtime.h>
#else
#include "cuda/simt/cuda.h"
#endif
#include <string>

namespace isobit::gpu {

#ifdef __CUDACC__
inline constexpr bool kEmulated = false;
#else
inline constexpr bool kEmulated = true;
#endif

/// The name under which core knows device `index`: "cuda:1", or "simt".
std::string device_name(int index);

}  // namespace isobit::gpu
