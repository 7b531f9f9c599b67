// What the CPU device says of itself: processor, instruction set in use, threads, caches, memory.
#pragma once
#include <isobit/device.h>

#include <vector>

namespace isobit::cpu {

/// Read from the system at each call; what the system does not tell is left out.
std::vector<DeviceProperty> properties();

}  // namespace isobit::cpu
