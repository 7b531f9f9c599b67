// Elements by counters of a Philox stream: which block of the generator gives which elements.
#pragma once
#include "core/numerics/random_values.h"
#include "cuda/kernels/elements.cuh"

namespace isobit::gpu::kernels {

/// Elements at counters first, first + 1, ... (mod 2^64), `each` of them (a power of two) to a block of the
/// generator: element i is value (head + i) % each of block (start + (head + i) / each) mod 2^64 / each.
struct Counters {
  std::uint64_t start, mask;
  std::int64_t head, n;

  Counters(std::uint64_t first, std::int64_t n_, std::uint64_t each)
      : start(first / each),
        mask(~std::uint64_t{0} / each),
        head(static_cast<std::int64_t>(first % each)),
        n(n_) {}
};

/// Values of f32 (and of f16, bf16) or f64 elements in a block.
template <class T>
inline constexpr int kBlockValues = sizeof(T) == 8 ? 2 : 4;

inline std::int64_t blocks_of(const Counters& c, int each) {
  return c.n == 0 ? 0 : blocks_for(c.head + c.n, each);
}

/// body(block of the generator, its first element i, which is negative in the first block of an unaligned
/// stream): once for each block, spread over the grid.
template <int kEach, class Body>
__device__ inline void for_blocks(const Counters& c, const Body& body) {
  for (std::int64_t k = grid_thread(); kEach * k < c.head + c.n; k += grid_threads())
    body((c.start + static_cast<std::uint64_t>(k)) & c.mask, kEach * k - c.head);
}

/// Calls body(S{}) for the storage type S of floating elements that are computed in T.
template <class T, class Body>
__device__ inline void with_storage(DType dtype, const Body& body) {
  if constexpr (std::is_same_v<T, double>) {
    body(double{});
  } else {
    if (dtype == DType::f32) {
      body(float{});
    } else if (dtype == DType::f16) {
      body(f16{});
    } else {
      body(bf16{});
    }
  }
}

/// Whether whole blocks of N elements lie in aligned packs.
template <int N>
bool packs_blocks(const Counters& c, const void* data, DType dtype) {
  const std::uintptr_t bytes = static_cast<std::uintptr_t>(N * size_of(dtype) < 16 ? N * size_of(dtype) : 16);
  return c.head == 0 && reinterpret_cast<std::uintptr_t>(data) % bytes == 0;
}

/// Elements [i, i + N) of a block, of which those outside of the output are 0 or left out.
template <int N, class S>
__device__ inline void read_block(const S* x, std::int64_t i, std::int64_t n, bool packs, Value<S> (&v)[N]) {
  if (packs && i + N <= n) return read_pack(x, i, v);
  for (int k = 0; k < N; ++k) v[k] = i + k >= 0 && i + k < n ? widened(x[i + k]) : Value<S>{};
}
template <int N, class S>
__device__ inline void write_block(S* out, std::int64_t i, std::int64_t n, bool packs,
                                   const Value<S> (&v)[N]) {
  if (packs && i + N <= n) return write(out, i, n, true, v);
  for (int k = 0; k < N; ++k)
    if (i + k >= 0 && i + k < n) out[i + k] = stored<S>(v[k]);
}

}  // namespace isobit::gpu::kernels
