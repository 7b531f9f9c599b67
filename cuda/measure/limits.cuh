// What the current device can do at most: HasLimits (core/device_limits.h) for CUDA devices.
#pragma once
#include <isobit/device_limits.h>

namespace isobit::gpu {

DeviceLimits measure_limits(int peak_rounds, int bandwidth_rounds);
/// Of the second level.
std::int64_t cache_bytes(int device);
void flush_cache(int device);

}  // namespace isobit::gpu
