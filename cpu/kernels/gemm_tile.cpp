// The sets of register tiles (gemm_tile.h), once for every instruction set. AVX-512: 10 rows x 2 vectors, 20
// accumulators and two vectors of B in 32 registers; AVX2: 6 x 2 in 16. One vector of 8 floats where there
// are no more columns. The pointers of ten rows, the index of the term and B's pointer are what 15 general
// registers can hold. Twin: cuda/kernels/gemm_tile.cuh.
#include "cpu/kernels/gemm_tile.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/kernels/gemm_tile.cpp"
#include "hwy/foreach_target.h"
#include "cpu/kernels/gemm_tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {

template <class T>
const gemm::TileSet<T>& tiles_of(std::int64_t columns) {
#if HWY_TARGET == HWY_AVX3
  using Half = hn::CappedTag<T, 32 / sizeof(T)>;
  static constexpr gemm::TileSet<T> narrow = make_set<Half, 1>(std::make_integer_sequence<int, 10>());
  static constexpr gemm::TileSet<T> wide = make_set<Tag<T>, 2>(std::make_integer_sequence<int, 10>());
  return columns <= 32 / std::int64_t{sizeof(T)} ? narrow : wide;
#elif HWY_TARGET == HWY_AVX2
  static constexpr gemm::TileSet<T> narrow = make_set<Tag<T>, 1>(std::make_integer_sequence<int, 8>());
  static constexpr gemm::TileSet<T> wide = make_set<Tag<T>, 2>(std::make_integer_sequence<int, 6>());
  return columns <= 32 / std::int64_t{sizeof(T)} ? narrow : wide;
#else
  static constexpr gemm::TileSet<T> set = make_set<Tag<T>, 2>(std::make_integer_sequence<int, 4>());
  return set;
#endif
}

const gemm::TileSet<float>& tiles_f32(std::int64_t columns) {
  return tiles_of<float>(columns);
}
const gemm::TileSet<double>& tiles_f64(std::int64_t columns) {
  return tiles_of<double>(columns);
}

}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace isobit::cpu {
HWY_EXPORT(tiles_f32);
HWY_EXPORT(tiles_f64);
}  // namespace isobit::cpu

namespace isobit::cpu::gemm {

template <>
const TileSet<float>& tiles<float>(std::int64_t columns) {
  return HWY_DYNAMIC_DISPATCH(tiles_f32)(columns);
}
template <>
const TileSet<double>& tiles<double>(std::int64_t columns) {
  return HWY_DYNAMIC_DISPATCH(tiles_f64)(columns);
}

}  // namespace isobit::cpu::gemm
#endif
