// The conversions of gemm_pack.h, and what looks for infinities. No twin: CUDA widens as it packs
// (cuda/kernels/gemm_slab.cuh).
#include <algorithm>
#include <atomic>
#include <cstring>

#include "cpu/kernels/gemm_pack.h"
#include "cpu/runtime/thread_pool.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/kernels/gemm_convert.cpp"
#include "hwy/foreach_target.h"
#include "cpu/kernels/simd-inl.h"
#include "hwy/cache_control.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {

template <class Half>
HWY_INLINE void widen_halves(const Half* from, float* to, std::size_t count) {
  constexpr std::size_t size = Vec<float>::size;
  std::size_t i = 0;
  for (; i + size <= count; i += size) store(load<float>(from + i), to + i);
  if (i < count) store_n(load_n<float>(from + i, count - i), to + i, count - i);
}

// Rows of a few lines: what the next ones hold is on its way meanwhile.
template <class Half>
HWY_INLINE void widen_rows_of(const Half* from, std::int64_t pitch, std::int64_t rows, std::size_t columns,
                              float* to, std::int64_t width) {
  constexpr std::int64_t kAhead = 16;
  const std::uintptr_t distance = static_cast<std::uintptr_t>(kAhead * pitch) * sizeof(Half),
                       bytes = columns * sizeof(Half);
  for (std::int64_t row = 0; row < rows; ++row, from += pitch, to += width) {
    const std::uintptr_t ahead = reinterpret_cast<std::uintptr_t>(from) + distance;
    for (std::uintptr_t at = 0; at < bytes; at += 64)
      __builtin_prefetch(reinterpret_cast<const void*>(ahead + at));
    widen_halves(from, to, columns);
  }
}

#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
// What round_to_bf16 rounds to, in the high halves of the lanes.
HWY_INLINE hn::Vec<BitsTag<float>> round_high(const float* from) {
  constexpr BitsTag<float> d;
  auto v = hn::LoadU(Tag<float>(), from);
  asm("" : "+v"(v.raw));  // or g++ loads it for every use
  const auto bits = hn::BitCast(d, v);
  const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(d, 1u));
  const auto rounded = hn::Add(hn::Add(bits, hn::Set(d, 0x7fffu)), odd);
  const auto nan = hn::OrAnd(hn::Set(d, 0x7fc00000u), bits, hn::Set(d, 0x80000000u));
  return hn::IfThenElse(hn::RebindMask(d, hn::IsNaN(v)), nan, rounded);
}
#endif

template <class Half>
HWY_INLINE void narrow_halves(const float* from, Half* to, std::size_t count) {
  constexpr std::size_t size = Vec<float>::size;
  std::size_t i = 0;
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
  if constexpr (std::is_same_v<Half, bf16>) {  // the high halves of two vectors at a time
    constexpr hn::Repartition<std::uint16_t, Tag<float>> d;
    for (; i + 2 * size <= count; i += 2 * size)
      hn::StoreU(
          hn::ConcatOdd(d, hn::BitCast(d, round_high(from + i + size)), hn::BitCast(d, round_high(from + i))),
          d, reinterpret_cast<std::uint16_t*>(to + i));
  }
#endif
  for (; i + size <= count; i += size) store(load<float>(from + i), to + i);
  if (i < count) store_n(load_n<float>(from + i, count - i), to + i, count - i);
}

// Whole lines, past the caches.
template <class Half>
HWY_INLINE void narrow_lines(const float* from, Half* to, std::size_t count) {
  constexpr std::size_t kLine = 64 / sizeof(Half);
  constexpr std::size_t lanes = Vec<float>::size;  // that are stored together, or loads would wait
  constexpr hn::Rebind<std::uint16_t, Tag<float>> d;
  alignas(64) Half line[kLine];
  for (; count >= kLine; count -= kLine, from += kLine, to += kLine) {
    narrow_halves(from, line, kLine);
    for (std::size_t i = 0; i < kLine; i += lanes)
      hn::Stream(hn::Load(d, reinterpret_cast<const std::uint16_t*>(line + i)), d,
                 reinterpret_cast<std::uint16_t*>(to + i));
  }
}

// No exponent of all ones.
template <class T, class Bits>
HWY_INLINE bool finite(const T* from, std::size_t count, Bits exponent) {
  const hn::RebindToSigned<Tag<T>> d;
  constexpr std::size_t size = Vec<T>::size;
  const auto* bits = reinterpret_cast<const hn::TFromD<decltype(d)>*>(from);
  const auto mask = hn::Set(d, exponent);
  auto most = hn::Zero(d), other = hn::Zero(d);
  std::size_t i = 0;
  for (; i + 2 * size <= count; i += 2 * size) {
    most = hn::Max(most, hn::And(hn::LoadU(d, bits + i), mask));
    other = hn::Max(other, hn::And(hn::LoadU(d, bits + i + size), mask));
  }
  bool found = !hn::AllFalse(d, hn::Eq(hn::Max(most, other), mask));
  for (; i < count; ++i) found = found || (bits[i] & exponent) == exponent;
  return !found;
}
bool finite_f32(const float* from, std::size_t count) {
  return finite(from, count, std::int32_t{0x7f800000});
}
bool finite_f64(const double* from, std::size_t count) {
  return finite(from, count, std::int64_t{0x7ff} << 52);
}

void widen_f16(const f16* from, float* to, std::size_t count) {
  widen_halves(from, to, count);
}
void widen_bf16(const bf16* from, float* to, std::size_t count) {
  widen_halves(from, to, count);
}
void widen_rows_f16(const f16* from, std::int64_t pitch, std::int64_t rows, std::size_t columns, float* to,
                    std::int64_t width) {
  widen_rows_of(from, pitch, rows, columns, to, width);
}
void widen_rows_bf16(const bf16* from, std::int64_t pitch, std::int64_t rows, std::size_t columns, float* to,
                     std::int64_t width) {
  widen_rows_of(from, pitch, rows, columns, to, width);
}
void narrow_f16(const float* from, f16* to, std::size_t count) {
  narrow_halves(from, to, count);
}
void narrow_bf16(const float* from, bf16* to, std::size_t count) {
  narrow_halves(from, to, count);
}
void narrow_past_f16(const float* from, f16* to, std::size_t count) {
  narrow_lines(from, to, count);
}
void narrow_past_bf16(const float* from, bf16* to, std::size_t count) {
  narrow_lines(from, to, count);
}

}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace isobit::cpu {
HWY_EXPORT(finite_f32);
HWY_EXPORT(finite_f64);
HWY_EXPORT(widen_f16);
HWY_EXPORT(widen_bf16);
HWY_EXPORT(widen_rows_f16);
HWY_EXPORT(widen_rows_bf16);
HWY_EXPORT(narrow_f16);
HWY_EXPORT(narrow_bf16);
HWY_EXPORT(narrow_past_f16);
HWY_EXPORT(narrow_past_bf16);
}  // namespace isobit::cpu

namespace isobit::cpu::gemm {

template <class T>
void widen(Source from, T* to, std::int64_t count) {
  const std::size_t n = static_cast<std::size_t>(count);
  if constexpr (sizeof(T) == sizeof(float)) {
    if (from.dtype == DType::f16) return HWY_DYNAMIC_DISPATCH(widen_f16)(from.as<f16>(), to, n);
    if (from.dtype == DType::bf16) return HWY_DYNAMIC_DISPATCH(widen_bf16)(from.as<bf16>(), to, n);
  }
  if (n != 0) std::memcpy(to, from.data, n * sizeof(T));
}

template <class T>
void narrow(const T* from, void* to, DType dtype, std::int64_t count) {
  const std::size_t n = static_cast<std::size_t>(count);
  if constexpr (sizeof(T) == sizeof(float)) {
    if (dtype == DType::f16) return HWY_DYNAMIC_DISPATCH(narrow_f16)(from, static_cast<f16*>(to), n);
    if (dtype == DType::bf16) return HWY_DYNAMIC_DISPATCH(narrow_bf16)(from, static_cast<bf16*>(to), n);
  }
  if (n != 0) std::memcpy(to, from, n * sizeof(T));
}

bool is_finite(const float* from, std::int64_t count) {
  return HWY_DYNAMIC_DISPATCH(finite_f32)(from, static_cast<std::size_t>(count));
}
bool is_finite(const double* from, std::int64_t count) {
  return HWY_DYNAMIC_DISPATCH(finite_f64)(from, static_cast<std::size_t>(count));
}

namespace {

bool is_finite(Source from, std::int64_t count) {
  if (from.dtype == DType::f64) return gemm::is_finite(from.as<double>(), count);
  if (from.dtype == DType::f32) return gemm::is_finite(from.as<float>(), count);
  const std::uint16_t exponent = from.dtype == DType::f16 ? 0x7c00 : 0x7f80;
  const auto* bits = static_cast<const std::uint16_t*>(from.data);
  bool found = false;
  for (std::int64_t i = 0; i < count; ++i) found |= (bits[i] & exponent) == exponent;
  return !found;
}

}  // namespace

bool all_finite(Source from, std::int64_t count) {
  std::atomic<bool> finite{true};
  parallel_ranges(count, 1 << 16, [&](std::int64_t begin, std::int64_t end) {
    if (!is_finite(from.at(begin), end - begin)) finite.store(false, std::memory_order_relaxed);
  });
  return finite.load();
}

template <class T>
void narrow_past(const T* from, void* to, DType dtype, std::int64_t count) {
  const std::size_t n = static_cast<std::size_t>(count);
  if constexpr (sizeof(T) == sizeof(float)) {
    if (dtype == DType::f16) return HWY_DYNAMIC_DISPATCH(narrow_past_f16)(from, static_cast<f16*>(to), n);
    if (dtype == DType::bf16) return HWY_DYNAMIC_DISPATCH(narrow_past_bf16)(from, static_cast<bf16*>(to), n);
  }
  narrow(from, to, dtype, count);
}

void widen_rows(Source from, std::int64_t pitch, std::int64_t rows, std::int64_t columns, float* to,
                std::int64_t width) {
  const std::size_t n = static_cast<std::size_t>(columns);
  if (from.dtype == DType::f16)
    HWY_DYNAMIC_DISPATCH(widen_rows_f16)(from.as<f16>(), pitch, rows, n, to, width);
  if (from.dtype == DType::bf16)
    HWY_DYNAMIC_DISPATCH(widen_rows_bf16)(from.as<bf16>(), pitch, rows, n, to, width);
}

template void widen(Source, float*, std::int64_t);
template void widen(Source, double*, std::int64_t);
template void narrow(const float*, void*, DType, std::int64_t);
template void narrow(const double*, void*, DType, std::int64_t);
template void narrow_past(const float*, void*, DType, std::int64_t);
template void narrow_past(const double*, void*, DType, std::int64_t);

}  // namespace isobit::cpu::gemm
#endif
