// Streams between memory and registers: what bandwidth is measured by. No kernels of the seam:
// benchmarks/bandwidth.cpp does the same on the CPU with its own vectors.
#pragma once
#include <cstdint>

namespace isobit::gpu {

/// Floats that a block moves: `count` of a stream is a multiple.
inline constexpr std::int64_t kStreamFloats = 4096;

/// y = x; both aligned for 16 bytes.
void run_copy(const float* x, float* y, std::int64_t count);
/// y = y + factor * x.
void run_update(float factor, const float* x, float* y, std::int64_t count);

}  // namespace isobit::gpu
