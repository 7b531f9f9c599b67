// Element types for the reference: run-time dtype to C++ type, loads that widen, stores that round once.
#pragma once
#include <isobit/error.h>

#include <cstdint>
#include <type_traits>

#include "core/backend.h"
#include "core/numerics/casts.h"
#include "core/numerics/half.h"

namespace isobit::cpu::reference {

template <class S>
struct Tag {
  using type = S;
};

/// Calls fn(Tag<S>) for the floating storage type S of `dtype`.
template <class Fn>
void with_floating(const char* kernel, DType dtype, const Fn& fn) {
  switch (dtype) {
    case DType::f32:
      return fn(Tag<float>{});
    case DType::f64:
      return fn(Tag<double>{});
    case DType::f16:
      return fn(Tag<f16>{});
    case DType::bf16:
      return fn(Tag<bf16>{});
    default:
      fail(kernel, "got {} elements, expected a floating type", dtype);
  }
}

/// Calls fn(Tag<S>) for the storage type S of `dtype`, which is not bool.
template <class Fn>
void with_numeric(const char* kernel, DType dtype, const Fn& fn) {
  switch (dtype) {
    case DType::i32:
      return fn(Tag<std::int32_t>{});
    case DType::i64:
      return fn(Tag<std::int64_t>{});
    case DType::u8:
      return fn(Tag<std::uint8_t>{});
    default:
      return with_floating(kernel, dtype, fn);
  }
}

/// Calls fn(Tag<S>) for any dtype.
template <class Fn>
void with_any(const char* kernel, DType dtype, const Fn& fn) {
  if (dtype == DType::boolean) return fn(Tag<bool>{});
  with_numeric(kernel, dtype, fn);
}

/// Calls fn(Tag<S>) for a type that elements of `dtype` can be copied as: bool moves as bytes, for foreign
/// memory may hold others than 0 and 1.
template <class Fn>
void with_movable(const char* kernel, DType dtype, const Fn& fn) {
  with_numeric(kernel, dtype == DType::boolean ? DType::u8 : dtype, fn);
}

/// What elements of storage type S are computed in: f32 for f16 and bf16, else S itself.
template <class S>
using Compute = std::conditional_t<numerics::is_half<S>, float, S>;

template <class S>
Compute<S> load(ConstView v, std::int64_t i) {
  if constexpr (std::is_same_v<S, bool>) {
    return v.as<unsigned char>()[i] != 0;
  } else if constexpr (numerics::is_half<S>) {
    return numerics::widen(v.as<S>()[i]);
  } else {
    return v.as<S>()[i];
  }
}

/// A value of any type as element i, rounded once (core/numerics/casts.h).
template <class S, class Value>
void store(View v, std::int64_t i, Value value) {
  v.as<S>()[i] = numerics::cast<S>(value);
}

/// A parameter as T: an integer keeps all its bits, anything that rounds does so once.
template <class T>
T scalar_as(Scalar s) {
  return s.is_integer ? numerics::cast<T>(s.integer) : numerics::cast<T>(s.real);
}

/// Element i of a view of any floating dtype, as T; for small operands (bias, gamma).
template <class T>
T load_as(ConstView v, std::int64_t i) {
  switch (v.dtype) {
    case DType::f32:
      return static_cast<T>(load<float>(v, i));
    case DType::f64:
      return static_cast<T>(load<double>(v, i));
    case DType::f16:
      return static_cast<T>(load<f16>(v, i));
    case DType::bf16:
      return static_cast<T>(load<bf16>(v, i));
    default:
      fail("load", "got {} elements, expected a floating type", v.dtype);
  }
}

}  // namespace isobit::cpu::reference
