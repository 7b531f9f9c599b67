// CUDA for the host compiler: what cuda/device.cuh and the runtime include where nvcc includes
// cuda_runtime.h. Everything lives in isobit::emulator and is seen from the device's namespace, so that it
// never meets the real CUDA runtime of the same process. (docs/gpu-without-a-gpu.md)
#pragma once

#include "cuda/simt/atomics.h"
#include "cuda/simt/async_copy.h"
#include "cuda/simt/device_functions.h"
#include "cuda/simt/emulator.h"
#include "cuda/simt/keywords.h"
#include "cuda/simt/launch.h"
#include "cuda/simt/runtime_api.h"
#include "cuda/simt/runtime_types.h"
#include "cuda/simt/vector_types.h"

namespace isobit::gpu {
using namespace ::isobit::emulator;
}
