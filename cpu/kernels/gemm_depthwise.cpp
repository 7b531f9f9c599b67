// The register tiles of depthwise convolution: 6 rows x 2 vectors of channels. Each lane is a channel with
// its own source, so a term loads a vector of A for every row and vector. Twin:
// cuda/kernels/conv_depthwise.cu.
#include "cpu/kernels/gemm_tile.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/kernels/gemm_depthwise.cpp"
#include "hwy/foreach_target.h"
#include "cpu/kernels/gemm_tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {

template <class T>
const gemm::TileSet<T>& depthwise_tiles_of() {
  static constexpr gemm::TileSet<T> set =
      make_set<Tag<T>, 2, Row::vectors>(std::make_integer_sequence<int, 6>());
  return set;
}

const gemm::TileSet<float>& depthwise_tiles_f32() {
  return depthwise_tiles_of<float>();
}
const gemm::TileSet<double>& depthwise_tiles_f64() {
  return depthwise_tiles_of<double>();
}

}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace isobit::cpu {
HWY_EXPORT(depthwise_tiles_f32);
HWY_EXPORT(depthwise_tiles_f64);
}  // namespace isobit::cpu

namespace isobit::cpu::gemm {

template <>
const TileSet<float>& depthwise_tiles<float>() {
  return HWY_DYNAMIC_DISPATCH(depthwise_tiles_f32)();
}
template <>
const TileSet<double>& depthwise_tiles<double>() {
  return HWY_DYNAMIC_DISPATCH(depthwise_tiles_f64)();
}

}  // namespace isobit::cpu::gemm
#endif
