// Element types.
#pragma once
#include <fmt/format.h>
#include <isobit/half.h>

#include <cstdint>
#include <string_view>

namespace isobit {

enum class DType : std::uint8_t { f32, f64, f16, bf16, i32, i64, u8, boolean };

/// Bytes of one element.
constexpr std::int64_t size_of(DType t) {
  switch (t) {
    case DType::f64:
    case DType::i64:
      return 8;
    case DType::f32:
    case DType::i32:
      return 4;
    case DType::f16:
    case DType::bf16:
      return 2;
    default:
      return 1;
  }
}
constexpr bool is_floating(DType t) {
  return t <= DType::bf16;
}
/// "f32", "f64", "f16", "bf16", "i32", "i64", "u8", "bool".
constexpr std::string_view name_of(DType t) {
  constexpr std::string_view names[] = {"f32", "f64", "f16", "bf16", "i32", "i64", "u8", "bool"};
  return names[static_cast<int>(t)];
}
/// The inverse of name_of; throws Error that lists the names.
DType parse_dtype(std::string_view name);

/// DType of a C++ element type: dtype_of<float> == DType::f32.
template <class T>
struct DTypeOf;
template <>
struct DTypeOf<float> {
  static constexpr DType value = DType::f32;
};
template <>
struct DTypeOf<double> {
  static constexpr DType value = DType::f64;
};
template <>
struct DTypeOf<f16> {
  static constexpr DType value = DType::f16;
};
template <>
struct DTypeOf<bf16> {
  static constexpr DType value = DType::bf16;
};
template <>
struct DTypeOf<std::int32_t> {
  static constexpr DType value = DType::i32;
};
template <>
struct DTypeOf<std::int64_t> {
  static constexpr DType value = DType::i64;
};
template <>
struct DTypeOf<std::uint8_t> {
  static constexpr DType value = DType::u8;
};
template <>
struct DTypeOf<bool> {
  static constexpr DType value = DType::boolean;
};
template <class T>
inline constexpr DType dtype_of = DTypeOf<T>::value;

}  // namespace isobit

template <>
struct fmt::formatter<isobit::DType> : fmt::formatter<std::string_view> {
  auto format(isobit::DType t, fmt::format_context& context) const {
    return fmt::formatter<std::string_view>::format(isobit::name_of(t), context);
  }
};
