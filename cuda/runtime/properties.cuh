// What there is on this machine, what this build can serve of it, and why not the rest.
#pragma once
#include <isobit/device.h>

#include <string>
#include <string_view>
#include <vector>

#include "cuda/runtime/platform.cuh"

namespace isobit::gpu {

/// Of one GPU, for `isobit devices`; makes no context.
std::vector<DeviceProperty> properties(int device);

/// Why no GPU can be used, from what cudaGetDeviceCount, cudaDriverGetVersion (0: no driver) and
/// cudaRuntimeGetVersion said; empty when `count` of them can.
std::string why_no_devices(cudaError_t status, int count, int driver, int runtime);

/// Why code built for `architectures` ("75-real 80 90-virtual", as CMAKE_CUDA_ARCHITECTURES) cannot run on a
/// GPU of compute capability `major`.`minor`; empty when it can. Machine code runs within its major version,
/// on its minor version and later ones; PTX ("-virtual", or no suffix) on everything that is not older.
std::string why_not_built(std::string_view architectures, int major, int minor);

}  // namespace isobit::gpu
