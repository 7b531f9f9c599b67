// Walks over dense outputs whose operands are read by strides: an output index taken apart by divisions with
// numbers that are known at the launch.
#pragma once
#include "core/geometry.h"
#include "cuda/kernels/elements.cuh"

namespace isobit::gpu::kernels {

/// Division of indices by a number that a launch fixes. Dividends below 2^31 take a multiplication and a
/// shift (Granlund and Montgomery): with 2^shift >= value and multiplier = floor(2^32 (2^shift - value) /
/// value) + 1 the quotient is (high(n * multiplier) + n) >> shift. Larger ones are divided.
struct Divisor {
  std::int64_t value;
  std::uint32_t multiplier;
  int shift;
  bool small;

  Divisor() = default;
  /// value >= 1; no dividend exceeds `largest`.
  Divisor(std::int64_t value_, std::int64_t largest) : value(value_), multiplier(0), shift(0), small(false) {
    constexpr std::int64_t kLimit = std::int64_t{1} << 31;
    if (largest >= kLimit || value >= kLimit) return;
    small = true;
    while ((std::int64_t{1} << shift) < value) ++shift;
    const std::uint64_t over = (std::uint64_t{1} << shift) - static_cast<std::uint64_t>(value);
    multiplier = static_cast<std::uint32_t>((over << 32) / static_cast<std::uint64_t>(value) + 1);
  }

  /// n = quotient * value + rest.
  __device__ void split(std::int64_t n, std::int64_t& quotient, std::int64_t& rest) const {
    if (small) {
      const std::uint32_t dividend = static_cast<std::uint32_t>(n);
      const std::uint32_t high = static_cast<std::uint32_t>((std::uint64_t{dividend} * multiplier) >> 32);
      const std::uint32_t q = (high + dividend) >> shift;
      quotient = q;
      rest = dividend - q * static_cast<std::uint32_t>(value);
    } else {
      quotient = n / value;
      rest = n - quotient * value;
    }
  }
};

/// StridedGeometry for kernels: plain arrays, divisors ready.
struct Walk {
  std::int64_t numel;
  int rank;
  Divisor extent[Shape::max_rank];
  std::int64_t stride[3][Shape::max_rank];
  std::int64_t offset[3];
  std::int64_t inner[3];  // strides of the last axis
};

inline Walk make_walk(const StridedGeometry& g) {
  Walk walk{};
  walk.numel = g.numel();
  walk.rank = g.rank;
  for (int axis = 0; axis < g.rank; ++axis) {
    walk.extent[axis] = Divisor(g.extent[axis] < 1 ? 1 : g.extent[axis], walk.numel);
    for (int k = 0; k < 3; ++k) walk.stride[k][axis] = g.stride[k][axis];
  }
  for (int k = 0; k < 3; ++k) {
    walk.offset[k] = g.offset[k];
    walk.inner[k] = g.stride[k][g.rank - 1];
  }
  return walk;
}

/// The elements that the first N operands show at output element i.
template <int N>
__device__ inline void locate(const Walk& walk, std::int64_t i, std::int64_t (&element)[N]) {
  for (int k = 0; k < N; ++k) element[k] = walk.offset[k];
  for (int axis = walk.rank - 1; axis > 0; --axis) {
    std::int64_t at = 0;
    walk.extent[axis].split(i, i, at);
    for (int k = 0; k < N; ++k) element[k] += at * walk.stride[k][axis];
  }
  for (int k = 0; k < N; ++k) element[k] += i * walk.stride[k][0];
}

/// Whether operand k can be read N elements of S at once, at any output index that N divides: they lie side
/// by side in an aligned pack or are one repeated element, and no pack crosses the end of the last axis.
template <class S, int N>
bool packs_operand(const StridedGeometry& g, int k, const void* data) {
  const int last = g.rank - 1;
  if (g.rank > 1 && g.extent[last] % N != 0) return false;
  if (g.stride[k][last] == 0) return true;
  if (g.stride[k][last] != 1) return false;
  for (int axis = 0; axis < last; ++axis)
    if (g.stride[k][axis] % N != 0) return false;
  return fits_packs<S, N>(static_cast<const S*>(data) + g.offset[k]);
}

/// N elements of an operand from `element` on, for output indices [i, i + N) of n: in a pack where the host
/// found that packs_operand (N > 1). Where n ends inside, what lies beyond is 0; that happens only to
/// operands of one axis.
template <int N, class S>
__device__ inline void read_operand(const S* x, std::int64_t element, std::int64_t inner, std::int64_t i,
                                    std::int64_t n, Value<S> (&v)[N]) {
  if constexpr (N == 1) {
    v[0] = widened(x[element]);
  } else if (inner == 0) {
    const Value<S> repeated = widened(x[element]);
    for (int k = 0; k < N; ++k) v[k] = repeated;
  } else {
    read<N>(x, element, element + (n - i), true, v);
  }
}

}  // namespace isobit::gpu::kernels
