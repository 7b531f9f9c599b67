// Runs of elements that move as they are, for kernels that copy: in units of 1 to 16 bytes.
#pragma once
#include "cuda/kernels/walk.cuh"

namespace isobit::gpu::kernels {

/// The largest unit, in elements of `size` bytes, up to 16 bytes, that divides all of `counts` and both
/// pointers.
inline std::int64_t unit_of(std::int64_t size, std::initializer_list<std::int64_t> counts, const void* in,
                            const void* out) {
  const std::uintptr_t pointers =
      reinterpret_cast<std::uintptr_t>(in) | reinterpret_cast<std::uintptr_t>(out);
  std::int64_t n = 16 / size;
  const auto fits = [&] {
    bool divides = pointers % static_cast<std::uintptr_t>(n * size) == 0;
    for (const std::int64_t count : counts) divides = divides && count % n == 0;
    return divides;
  };
  while (n > 1 && !fits()) n /= 2;
  return n;
}

}  // namespace isobit::gpu::kernels
