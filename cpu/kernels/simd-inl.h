// clang-format off
// The project's only door to Google Highway. Everything here has the same bits on every target (AVX-512,
// AVX2, and the scalar one, which has one lane and no hardware fma) as core/numerics has in scalar code. Of
// Highway itself use only what moves lanes; its MulAdd, Min, Max, !=, ConvertTo, DemoteTo, NearestInt and
// sums over lanes differ by target.
//
// A kernel file, complete (it is compiled once per target; the best one is chosen at run time,
// cpu/runtime/isa.h):
//
//   #undef HWY_TARGET_INCLUDE
//   #define HWY_TARGET_INCLUDE "cpu/kernels/scale.cpp"   // this file
//   #include "hwy/foreach_target.h"
//   #include "cpu/kernels/simd-inl.h"  // like every project header, outside HWY_BEFORE_NAMESPACE
//   HWY_BEFORE_NAMESPACE();
//   namespace isobit::cpu::HWY_NAMESPACE {
//   void scale(const float* x, float a, float* y, std::size_t n) {
//     for (std::size_t i = 0; i < n; i += Vec<float>::size) {
//       const std::size_t k = std::min(Vec<float>::size, n - i);
//       store_n(load_n<float>(x + i, k) * Vec<float>(a), y + i, k);
//     }
//   }
//   }  // namespace isobit::cpu::HWY_NAMESPACE
//   HWY_AFTER_NAMESPACE();
//   #if HWY_ONCE
//   namespace isobit::cpu {
//   HWY_EXPORT(scale);
//   void scale(const float* x, float a, float* y, std::size_t n) { HWY_DYNAMIC_DISPATCH(scale)(x, a, y, n); }
//   }  // namespace isobit::cpu
//   #endif
//
// Lambdas in kernels need HWY_ATTR: [&](std::size_t i) HWY_ATTR { ... }. Vec<T> holds one register of T =
// float or double; Bits<T> one of unsigned integers of T's size; Mask<T> one of truth values.
// clang-format on
#if defined(ISOBIT_CPU_KERNELS_SIMD_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ISOBIT_CPU_KERNELS_SIMD_INL_H_
#undef ISOBIT_CPU_KERNELS_SIMD_INL_H_
#else
#define ISOBIT_CPU_KERNELS_SIMD_INL_H_
#endif

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "core/numerics/casts.h"
#include "core/numerics/fma.h"
#include "core/numerics/half.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

template <typename T>
using Tag = hn::ScalableTag<T>;
template <typename T>
using Register = hn::Vec<Tag<T>>;
template <typename T>
using BitsTag = hn::RebindToUnsigned<Tag<T>>;

/// A truth value a lane.
template <typename T>
struct Mask {
  hn::Mask<Tag<T>> raw;

  HWY_ATTR HWY_INLINE friend Mask operator&(Mask a, Mask b) { return {hn::And(a.raw, b.raw)}; }
  HWY_ATTR HWY_INLINE friend Mask operator|(Mask a, Mask b) { return {hn::Or(a.raw, b.raw)}; }
  HWY_ATTR HWY_INLINE friend Mask operator!(Mask a) { return {hn::Not(a.raw)}; }
};

/// One register of T (float or double). Arithmetic rounds to nearest even, comparisons are IEEE's (NaN != NaN
/// holds).
template <typename T>
struct Vec {
  using Lane = T;
  static constexpr std::size_t size = HWY_LANES(T);

  Register<T> raw;

  Vec() = default;
  HWY_ATTR HWY_INLINE Vec(T value) : raw(hn::Set(Tag<T>(), value)) {}  // NOLINT: constants are written bare
  HWY_ATTR HWY_INLINE explicit Vec(Register<T> r) : raw(r) {}

  HWY_ATTR HWY_INLINE friend Vec operator+(Vec a, Vec b) { return Vec(hn::Add(a.raw, b.raw)); }
  HWY_ATTR HWY_INLINE friend Vec operator-(Vec a, Vec b) { return Vec(hn::Sub(a.raw, b.raw)); }
  HWY_ATTR HWY_INLINE friend Vec operator*(Vec a, Vec b) { return Vec(hn::Mul(a.raw, b.raw)); }
  HWY_ATTR HWY_INLINE friend Vec operator/(Vec a, Vec b) { return Vec(hn::Div(a.raw, b.raw)); }
  HWY_ATTR HWY_INLINE friend Vec operator-(Vec a) { return Vec(hn::Neg(a.raw)); }
  HWY_ATTR HWY_INLINE Vec& operator+=(Vec b) { return *this = *this + b; }
  HWY_ATTR HWY_INLINE Vec& operator-=(Vec b) { return *this = *this - b; }
  HWY_ATTR HWY_INLINE Vec& operator*=(Vec b) { return *this = *this * b; }

  HWY_ATTR HWY_INLINE friend Mask<T> operator==(Vec a, Vec b) { return {hn::Eq(a.raw, b.raw)}; }
  HWY_ATTR HWY_INLINE friend Mask<T> operator!=(Vec a, Vec b) { return {hn::Not(hn::Eq(a.raw, b.raw))}; }
  HWY_ATTR HWY_INLINE friend Mask<T> operator<(Vec a, Vec b) { return {hn::Lt(a.raw, b.raw)}; }
  HWY_ATTR HWY_INLINE friend Mask<T> operator>(Vec a, Vec b) { return {hn::Gt(a.raw, b.raw)}; }
  HWY_ATTR HWY_INLINE friend Mask<T> operator<=(Vec a, Vec b) { return {hn::Le(a.raw, b.raw)}; }
  HWY_ATTR HWY_INLINE friend Mask<T> operator>=(Vec a, Vec b) { return {hn::Ge(a.raw, b.raw)}; }
};

/// One register of unsigned integers of T's size; arithmetic wraps.
template <typename T>
struct Bits {
  using Lane = hn::TFromD<BitsTag<T>>;

  hn::Vec<BitsTag<T>> raw;

  Bits() = default;
  HWY_ATTR HWY_INLINE Bits(Lane value)
      : raw(hn::Set(BitsTag<T>(), value)) {}  // NOLINT: constants are written bare
  HWY_ATTR HWY_INLINE explicit Bits(hn::Vec<BitsTag<T>> r) : raw(r) {}

  HWY_ATTR HWY_INLINE friend Bits operator+(Bits a, Bits b) { return Bits(hn::Add(a.raw, b.raw)); }
  HWY_ATTR HWY_INLINE friend Bits operator-(Bits a, Bits b) { return Bits(hn::Sub(a.raw, b.raw)); }
  HWY_ATTR HWY_INLINE friend Bits operator&(Bits a, Bits b) { return Bits(hn::And(a.raw, b.raw)); }
  HWY_ATTR HWY_INLINE friend Bits operator|(Bits a, Bits b) { return Bits(hn::Or(a.raw, b.raw)); }
  HWY_ATTR HWY_INLINE friend Bits operator^(Bits a, Bits b) { return Bits(hn::Xor(a.raw, b.raw)); }
  HWY_ATTR HWY_INLINE friend Mask<T> operator==(Bits a, Bits b) {
    return {hn::RebindMask(Tag<T>(), hn::Eq(a.raw, b.raw))};
  }
};

// ---- elementary operations on registers ----

/// a * b + c with one rounding.
template <typename T>
HWY_INLINE Vec<T> fma(Vec<T> a, Vec<T> b, Vec<T> c) {
#if HWY_NATIVE_FMA
  return Vec<T>(hn::MulAdd(a.raw, b.raw, c.raw));
#else
  constexpr Tag<T> d;
  HWY_ALIGN T x[Vec<T>::size];
  HWY_ALIGN T y[Vec<T>::size];
  HWY_ALIGN T z[Vec<T>::size];
  hn::Store(a.raw, d, x);
  hn::Store(b.raw, d, y);
  hn::Store(c.raw, d, z);
  for (std::size_t i = 0; i < Vec<T>::size; ++i) z[i] = numerics::fma(x[i], y[i], z[i]);
  return Vec<T>(hn::Load(d, z));
#endif
}

/// c - a * b with one rounding.
template <typename T>
HWY_INLINE Vec<T> fnma(Vec<T> a, Vec<T> b, Vec<T> c) {
#if HWY_NATIVE_FMA
  return Vec<T>(hn::NegMulAdd(a.raw, b.raw, c.raw));
#else
  return fma(-a, b, c);
#endif
}

/// The same on plain numbers, by hardware where this target has it: for the scalar parts of a kernel.
template <typename T>
requires std::is_floating_point_v<T> HWY_INLINE T fma(T a, T b, T c) {
#if HWY_NATIVE_FMA
  constexpr hn::CappedTag<T, 1> d;
  return hn::GetLane(hn::MulAdd(hn::Set(d, a), hn::Set(d, b), hn::Set(d, c)));
#else
  return numerics::fma(a, b, c);
#endif
}

template <typename T>
HWY_INLINE Vec<T> sqrt(Vec<T> a) {
  return Vec<T>(hn::Sqrt(a.raw));
}

/// m ? a : b, lane by lane.
template <typename T>
HWY_INLINE Vec<T> select(Mask<T> m, Vec<T> a, Vec<T> b) {
  return Vec<T>(hn::IfThenElse(m.raw, a.raw, b.raw));
}

template <typename T>
HWY_INLINE Bits<T> select(Mask<T> m, Bits<T> a, Bits<T> b) {
  return Bits<T>(hn::IfThenElse(hn::RebindMask(BitsTag<T>(), m.raw), a.raw, b.raw));
}

/// A NaN operand gives NaN; of equal operands (-0 equals +0) the first is taken.
template <typename T>
HWY_INLINE Vec<T> max(Vec<T> first, Vec<T> second) {
  return select((second > first) | (second != second), second, first);
}

/// A NaN operand gives NaN; of equal operands (-0 equals +0) the first is taken.
template <typename T>
HWY_INLINE Vec<T> min(Vec<T> first, Vec<T> second) {
  return select((second < first) | (second != second), second, first);
}

template <typename T>
HWY_INLINE Vec<T> abs(Vec<T> a) {
  return Vec<T>(hn::Abs(a.raw));
}

template <typename T>
HWY_INLINE Bits<T> to_bits(Vec<T> a) {
  return Bits<T>(hn::BitCast(BitsTag<T>(), a.raw));
}

template <typename T>
HWY_INLINE Vec<T> from_bits(Bits<T> a) {
  return Vec<T>(hn::BitCast(Tag<T>(), a.raw));
}

template <int kCount, typename T>
HWY_INLINE Bits<T> shift_left(Bits<T> a) {
  return Bits<T>(hn::ShiftLeft<kCount>(a.raw));
}

/// Zeros come in from the left.
template <int kCount, typename T>
HWY_INLINE Bits<T> shift_right(Bits<T> a) {
  return Bits<T>(hn::ShiftRight<kCount>(a.raw));
}

template <typename T>
HWY_INLINE bool any(Mask<T> m) {
  return !hn::AllFalse(Tag<T>(), m.raw);
}

/// The first lane.
template <typename T>
HWY_INLINE T first_lane(Vec<T> a) {
  return hn::GetLane(a.raw);
}

/// Lane i through f(lane), one after the other: for the rare slow path of a function.
template <typename T, typename F>
HWY_INLINE Vec<T> map_lanes(Vec<T> a, F f) {
  constexpr Tag<T> d;
  HWY_ALIGN T x[Vec<T>::size];
  hn::Store(a.raw, d, x);
  for (std::size_t i = 0; i < Vec<T>::size; ++i) x[i] = f(x[i]);
  return Vec<T>(hn::Load(d, x));
}

// ---- memory: no alignment is asked for ----
//
// load<T>(p) and store(v, p) move Vec<T>::size elements; load_n and store_n the first n <= size and touch
// nothing beyond them (load_n fills with +0). T is what is computed in; the pointer may be to another storage
// type: loads widen exactly, stores round once to nearest even.

template <typename T>
HWY_INLINE Vec<T> load(const T* p) {
  return Vec<T>(hn::LoadU(Tag<T>(), p));
}

template <typename T>
HWY_INLINE void store(Vec<T> v, T* p) {
  hn::StoreU(v.raw, Tag<T>(), p);
}

template <typename T>
HWY_INLINE Vec<T> load_n(const T* p, std::size_t n) {
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
  return Vec<T>(hn::MaskedLoad(hn::FirstN(Tag<T>(), n), Tag<T>(), p));
#else
  if (n > Vec<T>::size) __builtin_unreachable();
  HWY_ALIGN T x[Vec<T>::size] = {};
  std::memcpy(x, p, n * sizeof(T));
  return Vec<T>(hn::Load(Tag<T>(), x));
#endif
}

template <typename T>
HWY_INLINE void store_n(Vec<T> v, T* p, std::size_t n) {
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
  hn::BlendedStore(v.raw, hn::FirstN(Tag<T>(), n), Tag<T>(), p);
#else
  if (n > Vec<T>::size) __builtin_unreachable();
  HWY_ALIGN T x[Vec<T>::size];
  hn::Store(v.raw, Tag<T>(), x);
  std::memcpy(p, x, n * sizeof(T));
#endif
}

/// The bits of bf16 in the low halves of the lanes.
HWY_INLINE Bits<float> round_to_bf16(Vec<float> v) {
  const Bits<float> bits = to_bits(v);
  const Bits<float> rounded =
      shift_right<16>(bits + Bits<float>(0x7fffu) + (shift_right<16>(bits) & Bits<float>(1u)));
  const Bits<float> nan = (shift_right<16>(bits) & Bits<float>(0x8000u)) | Bits<float>(0x7fc0u);
  return select(v != v, nan, rounded);
}

template <typename T, typename Storage>
requires(!std::is_same_v<T, Storage>) HWY_INLINE Vec<T> load(const Storage* p) {
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
  constexpr Tag<T> d;
  constexpr hn::Rebind<std::uint16_t, Tag<T>> d16;
  const std::uint16_t* bits = reinterpret_cast<const std::uint16_t*>(p);
  if constexpr (std::is_same_v<T, float> && std::is_same_v<Storage, f16>) {
    return Vec<T>(hn::PromoteTo(d, hn::BitCast(hn::Rebind<hwy::float16_t, Tag<T>>(), hn::LoadU(d16, bits))));
  } else if constexpr (std::is_same_v<T, float> && std::is_same_v<Storage, bf16>) {
    return Vec<T>(hn::BitCast(d, hn::ShiftLeft<16>(hn::PromoteTo(BitsTag<T>(), hn::LoadU(d16, bits)))));
  } else if constexpr (std::is_same_v<T, double> && std::is_same_v<Storage, float>) {
    return Vec<T>(hn::PromoteTo(d, hn::LoadU(hn::Rebind<float, Tag<T>>(), p)));
  }
#endif
  HWY_ALIGN T x[Vec<T>::size];
  for (std::size_t i = 0; i < Vec<T>::size; ++i) x[i] = numerics::cast<T>(p[i]);
  return Vec<T>(hn::Load(Tag<T>(), x));
}

template <typename T, typename Storage>
requires(!std::is_same_v<T, Storage>) HWY_INLINE void store(Vec<T> v, Storage* p) {
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
  constexpr hn::Rebind<std::uint16_t, Tag<T>> d16;
  std::uint16_t* bits = reinterpret_cast<std::uint16_t*>(p);
  if constexpr (std::is_same_v<T, float> && std::is_same_v<Storage, f16>) {
    const auto half =
        hn::DemoteTo(hn::Rebind<hwy::float16_t, Tag<T>>(), v.raw);  // F16C: rounds to nearest even
    return hn::StoreU(hn::BitCast(d16, half), d16, bits);
  } else if constexpr (std::is_same_v<T, float> && std::is_same_v<Storage, bf16>) {
    const auto wide = hn::BitCast(hn::RebindToSigned<Tag<T>>(), round_to_bf16(v).raw);
    return hn::StoreU(hn::DemoteTo(d16, wide), d16, bits);
  } else if constexpr (std::is_same_v<T, double> && std::is_same_v<Storage, float>) {
    constexpr hn::Rebind<float, Tag<T>> df;
    return hn::StoreU(hn::DemoteTo(df, v.raw), df, p);
  }
#endif
  HWY_ALIGN T x[Vec<T>::size];
  hn::Store(v.raw, Tag<T>(), x);
  for (std::size_t i = 0; i < Vec<T>::size; ++i) p[i] = numerics::cast<Storage>(x[i]);
}

template <typename T, typename Storage>
requires(!std::is_same_v<T, Storage>) HWY_INLINE Vec<T> load_n(const Storage* p, std::size_t n) {
  if (n > Vec<T>::size) __builtin_unreachable();  // or g++ warns of memcpy's bounds
  Storage x[Vec<T>::size] = {};
  std::memcpy(x, p, n * sizeof(Storage));
  return load<T>(static_cast<const Storage*>(x));
}

template <typename T, typename Storage>
requires(!std::is_same_v<T, Storage>) HWY_INLINE void store_n(Vec<T> v, Storage* p, std::size_t n) {
  if (n > Vec<T>::size) __builtin_unreachable();
  Storage x[Vec<T>::size];
  store(v, static_cast<Storage*>(x));
  std::memcpy(p, x, n * sizeof(Storage));
}

}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per target
