// The matrix unit of a warp: products of 16 x K by K x 8 elements with sums in f32 (mma.sync), loads of its
// operands from shared memory (ldmatrix), and the roundings that it takes. One of the two places in cuda/
// with inline PTX; under the host compiler a model of the unit computes (cuda/simt/matrix_unit.h).
//
// All 32 lanes call together. Lane l owns, with g = l / 4 and t = l % 4, of 32-bit registers that hold one
// tf32 or two neighbours in K of 16 bits:
//   sums, d[0..3]
//     (g, 2t) (g, 2t + 1) (g + 8, 2t) (g + 8, 2t + 1)
//   16 bits, K = 16
//     a[0..3]: rows g, g + 8, g, g + 8 at k = 2t, 2t, 2t + 8, 2t + 8
//     b[0..1]: column g at 2t, 2t + 8
//   tf32, K = 8
//     a[0..3]: rows g, g + 8, g, g + 8 at k = t, t, t + 4, t + 4
//     b[0..1]: column g at t, t + 4
//
// sm_75 has f16 alone, of K = 8: two of those. A kernel of another type traps there; the host refuses it
// before. How the unit orders and rounds its sums differs between chips.
#pragma once
#include "cuda/device.cuh"
#ifndef __CUDACC__
#include "cuda/simt/matrix_unit.h"
#endif

namespace isobit::gpu {

#ifdef __CUDACC__

/// The nearest tf32, ties away from zero.
__device__ __forceinline__ std::uint32_t round_tf32(float v) {
  std::uint32_t bits = 0;
#if __CUDA_ARCH__ >= 800
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(v));
#else
  __trap();
#endif
  return bits;
}

/// Two f16, the first in the low half, each rounded to nearest even.
__device__ __forceinline__ std::uint32_t pack_f16(float low, float high) {
  std::uint16_t l, h;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(l) : "f"(low));
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(h) : "f"(high));
  return l | static_cast<std::uint32_t>(h) << 16;
}

/// Two bf16, likewise.
__device__ __forceinline__ std::uint32_t pack_bf16(float low, float high) {
  std::uint32_t both = 0;
#if __CUDA_ARCH__ >= 800
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(high), "f"(low));
#else
  __trap();
#endif
  return both;
}

__device__ __forceinline__ void mma_tf32(float (&d)[4], const std::uint32_t (&a)[4],
                                         const std::uint32_t (&b)[2]) {
#if __CUDA_ARCH__ >= 800
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
  __trap();
#endif
}

__device__ __forceinline__ void mma_f16(float (&d)[4], const std::uint32_t (&a)[4],
                                        const std::uint32_t (&b)[2]) {
#if __CUDA_ARCH__ >= 800
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
#pragma unroll
  for (int half = 0; half < 2; ++half)
    asm volatile(
        "mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[half * 2]), "r"(a[half * 2 + 1]), "r"(b[half]));
#endif
}

__device__ __forceinline__ void mma_bf16(float (&d)[4], const std::uint32_t (&a)[4],
                                         const std::uint32_t (&b)[2]) {
#if __CUDA_ARCH__ >= 800
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
  __trap();
#endif
}

/// Four 8 x 8 matrices of 16-bit elements. `row` of lane l: 16 bytes of shared memory, row l % 8 of matrix l
/// / 8. r[i]: of matrix i elements (g, 2t) and (g, 2t + 1), or of its transpose.
template <bool kTransposed>
__device__ __forceinline__ void load_matrices(std::uint32_t (&r)[4], const void* row) {
  const unsigned from = static_cast<unsigned>(__cvta_generic_to_shared(row));
  if constexpr (kTransposed) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(from)
                 : "memory");
  } else {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(from)
                 : "memory");
  }
}

#else

inline std::uint32_t round_tf32(float v) {
  return emulator::round_tf32(v);
}
inline std::uint32_t pack_f16(float low, float high) {
  return numerics::f32_to_f16(low) | static_cast<std::uint32_t>(numerics::f32_to_f16(high)) << 16;
}
inline std::uint32_t pack_bf16(float low, float high) {
  return numerics::f32_to_bf16(low) | static_cast<std::uint32_t>(numerics::f32_to_bf16(high)) << 16;
}
inline void mma_tf32(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2],
                     const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  emulator::mma(emulator::MatrixType::tf32, d, a, b, {file, line});
}
inline void mma_f16(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2],
                    const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  emulator::mma(emulator::MatrixType::f16, d, a, b, {file, line});
}
inline void mma_bf16(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2],
                     const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  emulator::mma(emulator::MatrixType::bf16, d, a, b, {file, line});
}
template <bool kTransposed>
void load_matrices(std::uint32_t (&r)[4], const void* row, const char* file = __builtin_FILE(),
                   int line = __builtin_LINE()) {
  emulator::check_matrix_row(row, {file, line});
  // A read of the kernel's own, which the tracer sees.
  const uint4 mine = *static_cast<const uint4*>(row);
  emulator::exchange_matrices(r, mine, kTransposed, {file, line});
}

#endif

}  // namespace isobit::gpu
