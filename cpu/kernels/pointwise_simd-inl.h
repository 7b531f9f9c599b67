// The element-wise functions of the seam on registers, and the loop that applies one of them to contiguous
// elements.
#if defined(ISOBIT_CPU_KERNELS_POINTWISE_SIMD_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ISOBIT_CPU_KERNELS_POINTWISE_SIMD_INL_H_
#undef ISOBIT_CPU_KERNELS_POINTWISE_SIMD_INL_H_
#else
#define ISOBIT_CPU_KERNELS_POINTWISE_SIMD_INL_H_
#endif

#include "cpu/kernels/elementary_simd-inl.h"
#include "cpu/kernels/elementwise-inl.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {

#include "core/numerics/pointwise-inl.h"

/// out[i] = f(a, x[i]) on contiguous elements; out may be x.
template <class T, class O = T>
using UnaryTile = void (*)(T a, const T* x, O* out, std::int64_t n);

template <class Function, class T>
void unary_tile(T a, const T* x, T* out, std::int64_t n) {
  const Vec<T> parameter(a);
  for_vectors<T>(n, [&](auto tail, std::int64_t i, std::int64_t lanes) HWY_ATTR {
    store_some<tail.value>(Function()(load_some<T, tail.value>(x + i, lanes), parameter), out + i, lanes);
  });
}

template <class Function, class T>
void binary_tile(T parameter, const T* a, const T* b, T* out, std::int64_t n) {
  const Vec<T> p(parameter);
  for_vectors<T>(n, [&](auto tail, std::int64_t i, std::int64_t lanes) HWY_ATTR {
    const Vec<T> first = load_some<T, tail.value>(a + i, lanes);
    const Vec<T> second = load_some<T, tail.value>(b + i, lanes);
    store_some<tail.value>(Function()(first, second, p), out + i, lanes);
  });
}

// The tiles of the functions that need an elementary function; each pair in a file of its own, for the
// compiler's sake.
UnaryTile<float> elementary_tile_f32(UnaryOp op);
UnaryTile<double> elementary_tile_f64(UnaryOp op);
BinaryTile<float, float> gradient_tile_f32(BinaryOp op);
BinaryTile<double, double> gradient_tile_f64(BinaryOp op);

}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per target
