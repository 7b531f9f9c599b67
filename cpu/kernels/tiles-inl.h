// What all streaming kernels share: tiles (runs of elements in the compute type), the split of a long loop
// over threads, and the walk from storage types to compute types. f16 and bf16 pass through a tile of f32:
// loads widen exactly, stores round once.
#if defined(ISOBIT_CPU_KERNELS_TILES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ISOBIT_CPU_KERNELS_TILES_INL_H_
#undef ISOBIT_CPU_KERNELS_TILES_INL_H_
#else
#define ISOBIT_CPU_KERNELS_TILES_INL_H_
#endif

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "core/backend.h"
#include "cpu/kernels/simd-inl.h"
#include "cpu/runtime/thread_pool.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {

/// Elements of a tile: three of them in f64 lie in the first-level cache.
inline constexpr std::int64_t kTile = 1024;

/// Below this much memory traffic a loop is not worth waking another thread.
inline constexpr std::int64_t kParallelBytes = 256 * 1024;

/// What a storage type is computed in.
template <class S>
using Compute = std::conditional_t<std::is_same_v<S, double>, double, float>;

template <class T>
HWY_INLINE Mask<T> first_n(std::int64_t n) {
  return {hn::FirstN(Tag<T>(), static_cast<std::size_t>(n))};
}

/// Full registers when kTail is false, the first n lanes (the others +0) when it is true.
template <class T, bool kTail, class S>
HWY_INLINE Vec<T> load_some(const S* p, std::int64_t n) {
  if constexpr (kTail) {
    return load_n<T>(p, static_cast<std::size_t>(n));
  } else {
    return load<T>(p);
  }
}
template <bool kTail, class T, class S>
HWY_INLINE void store_some(Vec<T> v, S* p, std::int64_t n) {
  if constexpr (kTail) {
    store_n(v, p, static_cast<std::size_t>(n));
  } else {
    store(v, p);
  }
}

/// Calls body(tail, i, lanes) for i = 0, size, ... below n: tail is std::true_type for a last, partial
/// register. body is a lambda with HWY_ATTR.
template <class T, class Body>
HWY_INLINE void for_vectors(std::int64_t n, const Body& body) {
  constexpr std::int64_t size = Vec<T>::size;
  std::int64_t i = 0;
  for (; i + size <= n; i += size) body(std::false_type(), i, size);
  if (i < n) body(std::true_type(), i, n - i);
}

/// n elements, converted.
template <class To, class From>
void convert_tile(const From* from, To* to, std::int64_t n) {
  using T = std::conditional_t<numerics::is_half<From>, To, From>;
  for_vectors<T>(n, [&](auto tail, std::int64_t i, std::int64_t lanes) HWY_ATTR {
    store_some<tail.value>(load_some<T, tail.value>(from + i, lanes), to + i, lanes);
  });
}

/// Calls body(begin, end) on ranges that cover [0, total), on several threads when total * bytes (the traffic
/// of one element, or its cost in units of it) is worth it; ranges are multiples of `unit` elements.
template <class Body>
void for_ranges(std::int64_t total, std::int64_t bytes, const Body& body, std::int64_t unit = kTile) {
  if (total <= 0) return;
  if (bytes <= 0 || total <= kParallelBytes / bytes) return body(std::int64_t{0}, total);
  parallel_ranges(total, std::max<std::int64_t>(kParallelBytes / 4 / bytes / unit, 1) * unit, body);
}

/// The same over rows, which may be few and long.
template <class Body>
void for_rows(std::int64_t rows, std::int64_t bytes, const Body& body) {
  for_ranges(rows, bytes, body, 1);
}

/// Calls body(S{}) for the floating type that dtype names.
template <class Body>
HWY_INLINE void with_floating(DType dtype, const Body& body) {
  switch (dtype) {
    case DType::f32:
      return body(float{});
    case DType::f64:
      return body(double{});
    case DType::f16:
      return body(f16{});
    default:
      return body(bf16{});
  }
}

}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per target
