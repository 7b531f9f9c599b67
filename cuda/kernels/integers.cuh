// Arithmetic of i32, i64 and u8: two's complement that wraps, division that truncates and gives 0 for a zero
// divisor (lowest / -1 wraps to lowest).
#pragma once
#include <cstdint>
#include <type_traits>

#include "cuda/device.cuh"

namespace isobit::gpu::kernels::integers {

// By way of 64 unsigned bits, of which the low ones are kept.
template <class T>
__device__ inline T add(T x, T y) {
  return static_cast<T>(static_cast<std::uint64_t>(x) + static_cast<std::uint64_t>(y));
}
template <class T>
__device__ inline T sub(T x, T y) {
  return static_cast<T>(static_cast<std::uint64_t>(x) - static_cast<std::uint64_t>(y));
}
template <class T>
__device__ inline T mul(T x, T y) {
  return static_cast<T>(static_cast<std::uint64_t>(x) * static_cast<std::uint64_t>(y));
}
template <class T>
__device__ inline T div(T x, T y) {
  if (y == 0) return 0;
  if constexpr (std::is_signed_v<T>) {
    if (y == -1) return sub(T{0}, x);
  }
  return static_cast<T>(x / y);
}

template <class T>
__device__ inline bool negative(T x) {
  if constexpr (std::is_signed_v<T>) {
    return x < 0;
  } else {
    return false;
  }
}

}  // namespace isobit::gpu::kernels::integers
