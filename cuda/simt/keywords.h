// CUDA's keywords for the host compiler. They are the only macros of this folder beside SHARED and
// DYN_SHARED.
#pragma once

#define __global__
#define __device__
#define __host__
#define __constant__
#define __grid_constant__
#define __launch_bounds__(...)
#define __forceinline__ inline __attribute__((always_inline))
#define __align__(bytes) alignas(bytes)
// One definition must serve nvcc and the host compiler: SHARED(name, type) does, __shared__ cannot.
#define __shared__ static_assert(false, "write SHARED(name, type)");

// One variable of the block: 16-byte aligned, NaN when the block starts.
#define SHARED(name, ...)                                                                               \
  static constexpr ::isobit::emulator::SharedTag name##_tag{#name,                                      \
                                                            sizeof(std::type_identity_t<__VA_ARGS__>)}; \
  auto& name =                                                                                          \
      *static_cast<std::type_identity_t<__VA_ARGS__>*>(::isobit::emulator::shared_variable(name##_tag))
// The launch's dynamic shared memory.
#define DYN_SHARED(name, type) \
  type* const name = static_cast<type*>(::isobit::emulator::dynamic_shared_memory())
