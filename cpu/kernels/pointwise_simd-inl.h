// The element-wise functions of the seam on registers, and the loop that applies one of them to contiguous
// elements.
#if defined(ISOBIT_CPU_KERNELS_POINTWISE_SIMD_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ISOBIT_CPU_KERNELS_POINTWISE_SIMD_INL_H_
#undef ISOBIT_CPU_KERNELS_POINTWISE_SIMD_INL_H_
#else
#define ISOBIT_CPU_KERNELS_POINTWISE_SIMD_INL_H_
#endif

#include "cpu/kernels/elementary_ranges-inl.h"
#include "cpu/kernels/elementwise-inl.h"
#include "cpu/kernels/stream-inl.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {

#include "core/numerics/pointwise-inl.h"

/// A sanitizer's checks make four copies of a long function take minutes to compile: one at a time there.
inline constexpr bool kOneByOne = HWY_IS_ASAN != 0 || HWY_IS_TSAN != 0;

/// Four registers, past the caches if so; then out lies on a line.
template <class T>
HWY_INLINE void put_four(Vec<T> a, Vec<T> b, Vec<T> c, Vec<T> d, T* out, bool past) {
  constexpr std::int64_t size = Vec<T>::size;
  constexpr Tag<T> t;
  if (past) {
    hn::Stream(a.raw, t, out);
    hn::Stream(b.raw, t, out + size);
    hn::Stream(c.raw, t, out + 2 * size);
    hn::Stream(d.raw, t, out + 3 * size);
  } else {
    store(a, out);
    store(b, out + size);
    store(c, out + 2 * size);
    store(d, out + 3 * size);
  }
}

/// Elements of a block of four registers.
template <class T>
inline constexpr std::int64_t kFour = 4 * Vec<T>::size;

/// Asks for a block of each of two or three arrays some lines ahead of block `i`: more arrays side by side
/// than the processor's own reading ahead keeps up with.
template <class T, class... In>
HWY_INLINE void ask_ahead(std::int64_t i, std::int64_t n, const In*... in) {
  constexpr std::int64_t kAhead = 4096 / sizeof(T), line = kLineBytes / sizeof(T);
  const std::int64_t at = i + kAhead;
  if (at + kFour < T >> n) return;
  for (std::int64_t k = 0; k < kFour<T>; k += line) (hwy::Prefetch(in + at + k), ...);
}

/// out[i ...] = result(tail, i, lanes) for n elements; `in`: what it reads.
template <class T, class Result, class... In>
HWY_INLINE void for_results(std::int64_t n, T* out, bool past, const Result& result, const In*... in) {
  constexpr std::int64_t size = Vec<T>::size;
  constexpr std::false_type full;
  std::int64_t i = 0;
  for (; !kOneByOne && i + kFour<T> <= n; i += kFour<T>) {
    if (past) ask_ahead<T>(i, n, in...);
    const Vec<T> a = result(full, i, size), b = result(full, i + size, size);
    const Vec<T> c = result(full, i + 2 * size, size), d = result(full, i + 3 * size, size);
    put_four(a, b, c, d, out + i, past);
  }
  for (; i + size <= n; i += size) store(result(full, i, size), out + i);
  if (i < n) store_some<true>(result(std::true_type(), i, n - i), out + i, n - i);
}

/// out[i] = f(a, x[i]) on contiguous elements; out may be x unless the result goes past the caches.
template <class T, class O = T>
using UnaryTile = void (*)(T a, const T* x, O* out, std::int64_t n, bool past);

template <class Function, class T>
void unary_tile(T a, const T* x, T* out, std::int64_t n, bool past) {
  const Vec<T> p(a);
  for_results<T>(
      n, out, past,
      [&](auto tail, std::int64_t i, std::int64_t lanes)
          HWY_ATTR { return Function()(load_some<T, tail.value>(x + i, lanes), p); },
      x);
}

template <class Function, class T>
void binary_tile(T parameter, const T* a, const T* b, T* out, std::int64_t n, bool past) {
  const Vec<T> p(parameter);
  for_results<T>(
      n, out, past,
      [&](auto tail, std::int64_t i, std::int64_t lanes) HWY_ATTR {
        const Vec<T> first = load_some<T, tail.value>(a + i, lanes);
        return Function()(first, load_some<T, tail.value>(b + i, lanes), p);
      },
      a, b);
}

/// unary_tile by blocks of four registers: InRange (elementary_ranges-inl.h) where a block's arguments allow
/// it.
template <class Function, class InRange>
void ranged_tile(float a, const float* x, float* out, std::int64_t n, bool past) {
  constexpr std::int64_t size = Vec<float>::size;
  const Vec<float> p(a);
  const InRange f;
  std::int64_t i = 0;
  for (; i + kFour<float> <= n; i += kFour<float>) {
    if (past) ask_ahead<float>(i, n, x);
    const Vec<float> x0 = load(x + i), x1 = load(x + i + size), x2 = load(x + i + 2 * size),
                     x3 = load(x + i + 3 * size);
    if (!ranges::all_within(x0, x1, x2, x3, InRange::kLargest)) {
      unary_tile<Function, float>(a, x + i, out + i, kFour<float>, false);
    } else if constexpr (kOneByOne) {
      for (std::int64_t k = i; k < i + kFour<float>; k += size) store(f(load(x + k), p), out + k);
    } else {
      put_four(f(x0, p), f(x1, p), f(x2, p), f(x3, p), out + i, past);
    }
  }
  if (i < n) unary_tile<Function, float>(a, x + i, out + i, n - i, false);
}

/// The same of a gradient: b is what the range is of.
template <class Function, class InRange>
void ranged_gradient_tile(float parameter, const float* a, const float* b, float* out, std::int64_t n,
                          bool past) {
  constexpr std::int64_t size = Vec<float>::size;
  const Vec<float> p(parameter);
  const InRange f;
  std::int64_t i = 0;
  for (; i + kFour<float> <= n; i += kFour<float>) {
    if (past) ask_ahead<float>(i, n, a, b);
    const Vec<float> b0 = load(b + i), b1 = load(b + i + size), b2 = load(b + i + 2 * size),
                     b3 = load(b + i + 3 * size);
    if (!ranges::all_within(b0, b1, b2, b3, InRange::kLargest)) {
      binary_tile<Function, float>(parameter, a + i, b + i, out + i, kFour<float>, false);
    } else if constexpr (kOneByOne) {
      for (std::int64_t k = i; k < i + kFour<float>; k += size)
        store(f(load(a + k), load(b + k), p), out + k);
    } else {
      const Vec<float> r0 = f(load(a + i), b0, p), r1 = f(load(a + i + size), b1, p);
      const Vec<float> r2 = f(load(a + i + 2 * size), b2, p), r3 = f(load(a + i + 3 * size), b3, p);
      put_four(r0, r1, r2, r3, out + i, past);
    }
  }
  if (i < n) binary_tile<Function, float>(parameter, a + i, b + i, out + i, n - i, false);
}

// The tiles of the functions that need an elementary function; each pair in a file of its own, for the
// compiler's sake.
UnaryTile<float> elementary_tile_f32(UnaryOp op);
UnaryTile<double> elementary_tile_f64(UnaryOp op);
BinaryTile<float, float> gradient_tile_f32(BinaryOp op);
// Those of f32 that go in stages (elementary_stages-inl.h); null: none.
UnaryTile<float> staged_tile_f32(UnaryOp op);
BinaryTile<float, float> staged_gradient_tile_f32(BinaryOp op);
BinaryTile<double, double> gradient_tile_f64(BinaryOp op);

}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per target
