// A model of the warp's matrix unit, for cuda/mma.cuh. Chips differ in how they sum; this one does what the
// coarsest of them do (Fasi, Higham, Mikaitis and Pranesh, "Numerical behavior of NVIDIA tensor cores",
// 2021): a product is exact; the sum takes four products at a time, with what was there, aligned to the
// largest of the five, cuts each to the 24 bits of that one, adds them exactly, and cuts the result to f32.
// So its results lie further off than a newer chip's, on the side of zero, and what passes here passes there.
// Infinities and NaN follow IEEE.
#pragma once
#include <cstdint>

#include "cuda/simt/place.h"
#include "cuda/simt/vector_types.h"

namespace isobit::emulator {

enum class MatrixType : std::uint8_t { tf32, f16, bf16 };

/// The nearest tf32, ties away from zero; any NaN becomes 0x7fffffff.
std::uint32_t round_tf32(float v);

/// d += a * b, fragments as in cuda/mma.cuh. All 32 lanes; a tf32 operand that was not rounded is a fault.
void mma(MatrixType type, float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2],
         Place place);

/// A fault unless `row` is 16-byte aligned shared memory.
void check_matrix_row(const void* row, Place place);
/// What ldmatrix gives a lane whose row is `mine`.
void exchange_matrices(std::uint32_t (&r)[4], uint4 mine, bool transposed, Place place);

}  // namespace isobit::emulator
