// Fast mode's matrix products (isobit/arithmetic.h): the gathered products of gemm.cuh, by the warps' matrix
// units. The kernel is in tensor_tile.cuh, the choice of tiles and splits in tensor_product.cu, the products
// that convolutions are in tensor_conv.cu. No order of summation is promised, only the bound of
// docs/fast-mode.md.
#pragma once
#include "cuda/kernels/gemm.cuh"
#include "cuda/mma.cuh"

namespace isobit::gpu::kernels {

/// What the matrix unit multiplies.
enum class Unit { tf32, f16, bf16 };

enum class TensorShape { best, m128n128, m64n64 };

/// Which way an operand lies in memory: neighbours are terms of a row, or rows of a term (for b: columns).
enum class Lie : std::int32_t { terms, rows };

/// A product as gemm.cuh has it, of one leaf: `plan.split` is Split::none or Split::blocks, and `plan.share`
/// counts slabs of terms then.
struct TensorProduct {
  Gemm plan;
  Lie a = Lie::terms, b = Lie::rows;
  /// Whether runs of 16 bytes of an operand, aligned in their tile, are neighbours in memory and aligned
  /// there.
  bool a_runs = false, b_runs = false;
};

/// Why products of elements of `dtype` are not served on the current device in the arithmetic in force, null
/// when they are.
const char* refuse_tensor_product(DType dtype);

/// Whether runs of 16 bytes from `data` on are aligned at offsets that are sums of the multiples.
bool aligned_runs(ConstView data, std::initializer_list<std::int64_t> multiples);

/// Runs p, whose plan is not made yet, in the arithmetic in force.
void run_tensor_product(DType dtype, TensorShape shape, TensorProduct p);

/// The launches alone; each pair of storage type and unit is compiled in a file of its own, tensor_*.cu. With
/// shares > 1 the partial sums are joined afterwards.
template <class S, Unit kUnit>
void launch_tensor_product(TensorShape shape, std::int64_t tiles, std::int64_t shares,
                           const TensorProduct& p);

/// Bytes of an operand's row in a slab, and elements of S in it.
inline constexpr int kTensorSlabBytes = 64;
template <class S>
inline constexpr int kTensorSlab = kTensorSlabBytes / static_cast<int>(sizeof(S));

/// The shape of a tile: rows, columns, warps over both.
template <int kM_, int kN_, int kWarpsM_, int kWarpsN_>
struct TensorTile {
  static constexpr int kM = kM_, kN = kN_, kWarpsM = kWarpsM_, kWarpsN = kWarpsN_;
  static constexpr int kThreads = kWarpsM * kWarpsN * 32;
  static constexpr int kRowTiles = kM / kWarpsM / 16, kColumnTiles = kN / kWarpsN / 8;  // of a warp
  static constexpr std::int64_t kElements = std::int64_t{kM} * kN;
};
using LargeTensorTile = TensorTile<128, 128, 2, 4>;
using SmallTensorTile = TensorTile<64, 64, 2, 2>;

}  // namespace isobit::gpu::kernels
