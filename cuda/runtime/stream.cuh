// Streams and events, owned.
#pragma once
#include "cuda/runtime/check.cuh"

namespace isobit::gpu {

/// The stream that kernels and copies of this thread go to, on the device that is current: the device's own,
/// unless the user has put another in its place (isobit/gpu.h).
cudaStream_t current_stream();

}  // namespace isobit::gpu
