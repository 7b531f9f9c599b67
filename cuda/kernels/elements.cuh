// Elements in memory and in registers, for the kernels that move or map them: storage types, loads that
// widen, stores that round once, packs of elements that are one access of up to 128 bits.
#pragma once
#include <cstring>

#include "cuda/kernels/element.cuh"

namespace isobit::gpu::kernels {

/// A bool in memory: a byte, for foreign memory may hold others than 0 and 1.
struct Truth {
  std::uint8_t byte;
};

/// What elements of a C++ type lie in memory as.
template <class S>
using Stored = std::conditional_t<std::is_same_v<S, bool>, Truth, S>;
/// What they are computed in: 0 or 1 of 8 bits for bool, else as Compute.
template <class S>
using Value = std::conditional_t<std::is_same_v<S, Truth>, std::uint8_t, Compute<S>>;

template <class S>
__device__ inline Value<S> widened(S v) {
  if constexpr (std::is_same_v<S, Truth>) {
    return v.byte != 0 ? 1 : 0;
  } else {
    return widen(v);
  }
}

/// v as an element of type S, rounded once (core/numerics/casts.h).
template <class S, class T>
__device__ inline S stored(T v) {
  if constexpr (std::is_same_v<S, Truth>) {
    return Truth{static_cast<std::uint8_t>(numerics::cast<bool>(v) ? 1 : 0)};
  } else {
    return numerics::cast<S>(v);
  }
}

/// Elements of S in an access of 128 bits, at most 8.
template <class S>
inline constexpr int kPack = sizeof(S) == 1 ? 8 : static_cast<int>(16 / sizeof(S));

/// The position of this thread in the grid, and the threads of the grid: the loop of every kernel that maps.
__device__ inline std::int64_t grid_thread() {
  return static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}
__device__ inline std::int64_t grid_threads() {
  return static_cast<std::int64_t>(gridDim.x) * blockDim.x;
}

/// Elements [i, i + N), widened; x + i is aligned for a pack.
template <int N, class S>
__device__ inline void read_pack(const S* x, std::int64_t i, Value<S> (&v)[N]) {
  const Pack<S, N> pack = load_pack<S, N>(x + i);
  for (int k = 0; k < N; ++k) v[k] = widened(pack.at[k]);
}

/// Elements [i, i + N) of n, widened; those at n and beyond are 0. `aligned`: x and i allow packs.
template <int N, class S>
__device__ inline void read(const S* x, std::int64_t i, std::int64_t n, bool aligned, Value<S> (&v)[N]) {
  if (aligned && i + N <= n) return read_pack(x, i, v);
  for (int k = 0; k < N; ++k) v[k] = i + k < n ? widened(x[i + k]) : Value<S>{};
}

/// v as elements [i, i + N) of n, rounded once; those at n and beyond are left out.
template <int N, class S, class T>
__device__ inline void write(S* out, std::int64_t i, std::int64_t n, bool aligned, const T (&v)[N]) {
  if (aligned && i + N <= n) {
    Pack<S, N> pack;
    for (int k = 0; k < N; ++k) pack.at[k] = stored<S>(v[k]);
    store_pack<S, N>(out + i, pack);
  } else {
    for (int k = 0; k < N; ++k)
      if (i + k < n) out[i + k] = stored<S>(v[k]);
  }
}

/// Element i of floating elements of any dtype, as T, and back: for kernels whose arithmetic is so long that
/// the branch does not show, so that one of them serves f32, f16 and bf16.
template <class T>
__device__ inline T load_any(const void* x, DType dtype, std::int64_t i) {
  if constexpr (std::is_same_v<T, double>) {
    return static_cast<const double*>(x)[i];
  } else {
    if (dtype == DType::f32) return static_cast<const float*>(x)[i];
    if (dtype == DType::f16) return numerics::widen(static_cast<const f16*>(x)[i]);
    return numerics::widen(static_cast<const bf16*>(x)[i]);
  }
}
template <class T>
__device__ inline void store_any(void* out, DType dtype, std::int64_t i, T v) {
  if constexpr (std::is_same_v<T, double>) {
    static_cast<double*>(out)[i] = v;
  } else {
    if (dtype == DType::f32) {
      static_cast<float*>(out)[i] = v;
    } else if (dtype == DType::f16) {
      static_cast<f16*>(out)[i] = numerics::cast<f16>(v);
    } else {
      static_cast<bf16*>(out)[i] = numerics::cast<bf16>(v);
    }
  }
}

/// A parameter as T: an integer keeps all its bits, anything that rounds does so once.
template <class T>
inline T scalar_as(Scalar s) {
  return s.is_integer ? numerics::cast<T>(s.integer) : numerics::cast<T>(s.real);
}

/// The low bytes of a value; every supported processor is little-endian.
template <class S>
inline std::uint64_t bits_of(S value) {
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(S));
  return bits;
}

/// Calls body(U{}) for the unsigned type of `bytes` bytes; 16 bytes are a Pack.
template <class Body>
void with_unit(std::int64_t bytes, const Body& body) {
  switch (bytes) {
    case 1:
      return body(std::uint8_t{});
    case 2:
      return body(std::uint16_t{});
    case 4:
      return body(std::uint32_t{});
    case 8:
      return body(std::uint64_t{});
    default:
      return body(Pack<std::uint32_t, 4>{});
  }
}

/// Threads of a block in the kernels of this family.
inline constexpr int kMapThreads = 256;

}  // namespace isobit::gpu::kernels
