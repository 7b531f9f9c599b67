// What core is told of this device: the one function that cmake/builtin_devices.cpp.in calls.
#pragma once

namespace isobit::cpu {

/// Registers the CPU under "cpu". The device must be the first that is registered.
void register_device();

}  // namespace isobit::cpu
