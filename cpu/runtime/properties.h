// What the CPU device says of itself: processor, instruction set in use, threads, caches, memory.
#pragma once
#include <isobit/device.h>

#include <cstdint>
#include <string>
#include <vector>

namespace isobit::cpu {

/// Read from the system at each call; what the system does not tell is left out.
std::vector<DeviceProperty> properties();

/// The processor's name, empty where the system does not tell. Read once.
const std::string& processor();

/// Bytes of the largest cache, 32 MiB where the system does not tell. Read once.
std::int64_t last_level_cache();

}  // namespace isobit::cpu
