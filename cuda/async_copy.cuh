// cp.async, copies from global to shared memory that pass by the registers (sm_80 on; before, plain copies).
// One of the two places in cuda/ with inline PTX.
//
//   async_copy<16>(to, from, inside ? 16 : 0);
//   async_commit();
//   async_wait<1>();
//   __syncthreads();
//
// 4, 8 or 16 bytes, both addresses multiples of it; what was issued since the last commit is one group; then
// all groups have landed but the newest 1, and after the barrier those of the other threads.
#pragma once
#include "cuda/device.cuh"

namespace isobit::gpu {

/// Whether copies are asynchronous; where not, async_copy is a load and a store at once.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
inline constexpr bool kAsyncCopies = false;
#else
inline constexpr bool kAsyncCopies = true;
#endif

/// Stores `value` in one access. On a device an assignment does; on the host g++ stores what was put together
/// from parts in parts, and the tracer would count those.
template <class T>
__device__ inline void store_at_once(T* to, T value) {
#ifndef __CUDACC__
  asm("" : "+m"(value));  // it is whole, in memory
#endif
  *to = value;
}

#ifdef __CUDACC__

/// Copies the first `filled` bytes, 0 to kBytes, and zeroes the rest; reads nothing when filled is 0.
template <int kBytes>
__device__ __forceinline__ void async_copy(void* shared, const void* global, int filled = kBytes) {
  static_assert(kBytes == 4 || kBytes == 8 || kBytes == 16);
#if __CUDA_ARCH__ >= 800
  const unsigned to = static_cast<unsigned>(__cvta_generic_to_shared(shared));
  if constexpr (kBytes == 16) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(global), "r"(filled)
                 : "memory");
  } else {
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(to), "l"(global), "n"(kBytes),
                 "r"(filled)
                 : "memory");
  }
#else
  if (filled == kBytes) {  // one access of the full width
    if constexpr (kBytes == 16) *static_cast<uint4*>(shared) = *static_cast<const uint4*>(global);
    if constexpr (kBytes == 8) *static_cast<uint2*>(shared) = *static_cast<const uint2*>(global);
    if constexpr (kBytes == 4) *static_cast<unsigned*>(shared) = *static_cast<const unsigned*>(global);
    return;
  }
  for (int i = 0; i < kBytes; ++i) {
    static_cast<unsigned char*>(shared)[i] = i < filled ? static_cast<const unsigned char*>(global)[i] : 0;
  }
#endif
}

__device__ __forceinline__ void async_commit() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

template <int kGroups>
__device__ __forceinline__ void async_wait() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_group %0;" ::"n"(kGroups) : "memory");
#endif
}

#else

template <int kBytes>
void async_copy(void* shared, const void* global, int filled = kBytes, const char* file = __builtin_FILE(),
                int line = __builtin_LINE()) {
  static_assert(kBytes == 4 || kBytes == 8 || kBytes == 16);
  emulator::async_copy(shared, global, kBytes, filled, file, line);
}
inline void async_commit() {
  emulator::async_commit();
}
template <int kGroups>
void async_wait() {
  emulator::async_wait(kGroups);
}

#endif

}  // namespace isobit::gpu
