// Elements of a storage type in device code: loads widen, stores round once; and packs of neighbouring
// elements that move in one access of up to 16 bytes.
#pragma once
#include <isobit/error.h>

#include "core/numerics/casts.h"
#include "core/numerics/half.h"
#include "cuda/device.cuh"

namespace isobit::gpu::kernels {

/// What elements of storage type S are computed in: f32 for f16 and bf16, else S itself.
template <class S>
using Compute = std::conditional_t<numerics::is_half<S>, float, S>;

template <class S>
__device__ inline Compute<S> widen(S v) {
  if constexpr (numerics::is_half<S>) {
    return numerics::widen(v);
  } else {
    return v;
  }
}

/// Calls body(S{}) for the floating storage type S of `dtype`.
template <class Body>
void with_floating(const char* kernel, DType dtype, const Body& body) {
  switch (dtype) {
    case DType::f32:
      return body(float{});
    case DType::f64:
      return body(double{});
    case DType::f16:
      return body(f16{});
    case DType::bf16:
      return body(bf16{});
    default:
      throw Error(kernel, "got " + std::string(name_of(dtype)) + " elements, expected a floating type");
  }
}

/// Neighbouring elements, read and written with as few accesses as their bytes allow.
template <class S, int kCount>
struct alignas(kCount * sizeof(S) < 16 ? kCount * sizeof(S) : 16) Pack {
  S at[kCount];
};

template <class S, int kCount>
__device__ inline Pack<S, kCount> load_pack(const S* from) {
  return *reinterpret_cast<const Pack<S, kCount>*>(from);
}
template <class S, int kCount>
__device__ inline void store_pack(S* to, const Pack<S, kCount>& pack) {
  *reinterpret_cast<Pack<S, kCount>*>(to) = pack;
}

/// Whether `data` may be read in packs of kCount elements of S. Views may start at any element.
template <class S, int kCount>
bool fits_packs(const void* data) {
  return reinterpret_cast<std::uintptr_t>(data) % alignof(Pack<S, kCount>) == 0;
}

}  // namespace isobit::gpu::kernels
