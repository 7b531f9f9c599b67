// Results larger than the caches, which are stored past them.
#if defined(ISOBIT_CPU_KERNELS_STREAM_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ISOBIT_CPU_KERNELS_STREAM_INL_H_
#undef ISOBIT_CPU_KERNELS_STREAM_INL_H_
#else
#define ISOBIT_CPU_KERNELS_STREAM_INL_H_
#endif

#include "cpu/kernels/tiles-inl.h"
#include "cpu/runtime/properties.h"
#include "hwy/cache_control.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {

// A plain store first reads the line that it writes, and what is written pushes out what would be read again.
// So results larger than the caches go past them, in whole lines. After a task's last: hwy::FlushStream().

/// Bytes of a line; tensors begin on one.
inline constexpr std::int64_t kLineBytes = 64;

template <class T>
HWY_INLINE bool on_line(const T* p) {
  return reinterpret_cast<std::uintptr_t>(p) % kLineBytes == 0;
}
/// Whether a result of so many bytes goes past the caches, its rows (all of it, or rows that are stored one
/// by one) being of row_bytes.
inline bool past_caches(const void* out, std::int64_t bytes, std::int64_t row_bytes = kLineBytes) {
  return bytes > last_level_cache() && row_bytes % kLineBytes == 0 && on_line(out);
}

/// store_some, past the caches when kStream is true; p + whole registers lie on multiples of their size then.
template <bool kStream, bool kTail, class T, class S>
HWY_INLINE void put(Vec<T> v, S* p, std::int64_t n) {
  if constexpr (kStream && !kTail && std::is_same_v<S, T>) {
    hn::Stream(v.raw, Tag<T>(), p);
  } else {
    store_some<kTail>(v, p, n);
  }
}

/// Copies n elements past the caches; `to` lies on a line.
template <class S>
HWY_INLINE void stream_tile(const S* from, S* to, std::int64_t n) {
  constexpr Tag<float> d;
  const auto bytes = static_cast<std::size_t>(n) * sizeof(S);
  const auto* source = reinterpret_cast<const float*>(from);
  auto* target = reinterpret_cast<float*>(to);
  constexpr std::size_t size = Vec<float>::size;
  std::size_t i = 0;
  for (; (i + size) * sizeof(float) <= bytes; i += size) hn::Stream(hn::LoadU(d, source + i), d, target + i);
  const std::size_t done = i * sizeof(float);
  if (done < bytes)
    std::memcpy(reinterpret_cast<char*>(to) + done, reinterpret_cast<const char*>(from) + done, bytes - done);
}

}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per target
