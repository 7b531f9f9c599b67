// What a block of the grid reduces in the tiled kernels (gemm_tile.cuh, gemm_vector.cuh): a run of blocks of
// terms.
#pragma once
#include "cuda/kernels/gemm.cuh"

namespace isobit::gpu::kernels {

inline constexpr int kBlockTerms = static_cast<int>(numerics::kBlock);

/// One block of terms: which leaf, which block of it.
struct Unit {
  std::int64_t leaf, block;
};
__device__ inline std::int64_t leaf_blocks(const GemmMaps& maps, std::int64_t leaf) {
  return numerics::block_count(leaf + 1 == maps.leaves ? maps.last_leaf_terms : maps.leaf_terms);
}
__device__ inline int unit_terms(const GemmMaps& maps, Unit u) {
  const std::int64_t terms =
      (u.leaf + 1 == maps.leaves ? maps.last_leaf_terms : maps.leaf_terms) - u.block * numerics::kBlock;
  return terms < numerics::kBlock ? static_cast<int>(terms) : kBlockTerms;
}
__device__ inline Unit next_unit(const GemmMaps& maps, Unit u) {
  if (u.block + 1 < leaf_blocks(maps, u.leaf)) return {u.leaf, u.block + 1};
  return {u.leaf + 1, 0};
}
/// All blocks of terms.
__device__ inline std::int64_t unit_count(const GemmMaps& maps) {
  if (maps.leaves == 0) return 0;
  return (maps.leaves - 1) * numerics::block_count(maps.leaf_terms) +
         numerics::block_count(maps.last_leaf_terms);
}

/// What a block of the grid reduces: `units` blocks of terms from `first` on, which end with leaf end_leaf.
struct Share {
  Unit first;
  std::int64_t units, end_leaf;
};
__device__ inline Share take_share(const Gemm& p, const GemmMaps& maps) {
  Share s{{0, 0}, unit_count(maps), maps.leaves};
  const std::int64_t number = blockIdx.y, whole = numerics::block_count(maps.leaf_terms);
  if (p.split == Split::leaves) {
    s.first.leaf = number * p.share;
    if (s.first.leaf + p.share < maps.leaves) s.end_leaf = s.first.leaf + p.share;
    s.units = s.end_leaf == maps.leaves ? s.units - s.first.leaf * whole : p.share * whole;
  } else if (p.split == Split::blocks) {
    const std::int64_t first = number * p.share, left = s.units - first;
    s.units = left < 0 ? 0 : left < p.share ? left : p.share;
    if (s.units > 0) s.first = {first / whole, first % whole};
  }
  return s;
}

}  // namespace isobit::gpu::kernels
