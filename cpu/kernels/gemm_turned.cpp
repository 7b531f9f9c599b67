// The register tiles (gemm_tile.h) of products with one to four columns, turned round: a row is a vector of
// neighbouring elements of A, read once for all columns, and B's numbers are spread over vectors. AVX-512: 9
// rows x 3 columns or 6 x 4, 24 to 27 accumulators, beside them the numbers and a row in 32 registers; AVX2:
// 2 to 5 rows in 16. With one column every multiply-add reads a row, 10 of them. No twin: a thread of the
// GPU's tiles has a few columns anyway.
#include "cpu/kernels/gemm_tile.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/kernels/gemm_turned.cpp"
#include "hwy/foreach_target.h"
#include "cpu/kernels/gemm_tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {

template <class T, int kColumns>
const gemm::TileSet<T>& turned_tiles_with() {
#if HWY_TARGET == HWY_AVX3
  constexpr int kRows[] = {10, 10, 9, 6};
#elif HWY_TARGET == HWY_AVX2
  constexpr int kRows[] = {10, 5, 3, 2};
#else
  constexpr int kRows[] = {4, 2, 1, 1};
#endif
  static constexpr gemm::TileSet<T> set =
      make_set<Tag<T>, kColumns, Row::vector>(std::make_integer_sequence<int, kRows[kColumns - 1]>());
  return set;
}

template <class T>
const gemm::TileSet<T>& turned_tiles_of(std::int64_t columns) {
  switch (columns) {
    case 1:
      return turned_tiles_with<T, 1>();
    case 2:
      return turned_tiles_with<T, 2>();
    case 3:
      return turned_tiles_with<T, 3>();
    default:
      return turned_tiles_with<T, 4>();
  }
}

const gemm::TileSet<float>& turned_tiles_f32(std::int64_t columns) {
  return turned_tiles_of<float>(columns);
}
const gemm::TileSet<double>& turned_tiles_f64(std::int64_t columns) {
  return turned_tiles_of<double>(columns);
}

}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace isobit::cpu {
HWY_EXPORT(turned_tiles_f32);
HWY_EXPORT(turned_tiles_f64);
}  // namespace isobit::cpu

namespace isobit::cpu::gemm {

template <>
const TileSet<float>& turned_tiles<float>(std::int64_t columns) {
  return HWY_DYNAMIC_DISPATCH(turned_tiles_f32)(columns);
}
template <>
const TileSet<double>& turned_tiles<double>(std::int64_t columns) {
  return HWY_DYNAMIC_DISPATCH(turned_tiles_f64)(columns);
}

}  // namespace isobit::cpu::gemm
#endif
