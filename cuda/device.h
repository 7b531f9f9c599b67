// What core is told of these devices: the functions that cmake/builtin_devices.cpp.in calls.
#pragma once

namespace isobit::gpu {

/// Registers every GPU that answers as "cuda:0", "cuda:1", ...; or, in the simt build of the same sources,
/// the one emulated device as "simt". Never throws for want of a driver or a GPU.
void register_device();

}  // namespace isobit::gpu
