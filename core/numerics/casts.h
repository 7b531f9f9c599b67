// cast<To>(value) between all element types: float to integer truncates and saturates, NaN gives 0; integers
// wrap; to bool is "not equal to zero" (NaN is true); whatever is rounded is rounded once, to nearest even.
#pragma once

#include <cstdint>
#include <limits>
#include <type_traits>

#include "core/numerics/half.h"
#include "core/numerics/host_device.h"

namespace isobit::numerics {

template <typename T>
inline constexpr bool is_half = std::is_same_v<T, f16> || std::is_same_v<T, bf16>;

namespace detail {

template <typename To, typename From>
HOST_DEVICE constexpr To float_to_integer(From v) {
  // 2^digits is a power of two, exact in every floating type; the largest integer itself may not be.
  constexpr From kAbove =
      static_cast<From>(std::uint64_t{1} << (std::numeric_limits<To>::digits - 1)) * From{2};
  // Written out, for device code may not call std::numeric_limits' functions.
  constexpr To kMin =
      std::is_signed_v<To> ? static_cast<To>(~std::uint64_t{0} << (sizeof(To) * 8 - 1)) : To{0};
  constexpr To kMax = static_cast<To>(~kMin);
  if (!(v == v)) return To{0};
  if (v >= kAbove) return kMax;
  if constexpr (std::is_signed_v<To>) {
    if (v < -kAbove) return kMin;
  } else {
    if (v <= From{-1}) return To{0};
  }
  return static_cast<To>(v);
}

// An f64 that rounds to any 16-bit format as the integer would: beyond 2^53 the low bits are kept as one
// sticky bit.
HOST_DEVICE constexpr double integer_to_f64_sticky(std::int64_t v) {
  const std::uint64_t u = static_cast<std::uint64_t>(v);
  const std::uint64_t magnitude = v < 0 ? std::uint64_t{0} - u : u;
  if (magnitude < (std::uint64_t{1} << 53)) return static_cast<double>(v);
  const std::uint64_t sticky = (magnitude >> 11) | ((magnitude & 2047u) != 0 ? 1u : 0u);
  const double wide = static_cast<double>(sticky) * 2048.0;
  return v < 0 ? -wide : wide;
}

}  // namespace detail

template <typename To, typename From>
HOST_DEVICE constexpr To cast(From v) {
  if constexpr (std::is_same_v<To, From>) {
    return v;
  } else if constexpr (is_half<From>) {
    return cast<To>(widen(v));
  } else if constexpr (std::is_same_v<To, f16> && std::is_same_v<From, float>) {
    return f16{f32_to_f16(v)};
  } else if constexpr (std::is_same_v<To, bf16> && std::is_same_v<From, float>) {
    return bf16{f32_to_bf16(v)};
  } else if constexpr (is_half<To>) {
    double wide = 0.0;
    if constexpr (std::is_integral_v<From>) {
      wide = detail::integer_to_f64_sticky(static_cast<std::int64_t>(v));
    } else {
      wide = static_cast<double>(v);
    }
    if constexpr (std::is_same_v<To, f16>) {
      return f16{f64_to_f16(wide)};
    } else {
      return bf16{f64_to_bf16(wide)};
    }
  } else if constexpr (std::is_same_v<To, bool>) {
    return v != From{0};
  } else if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>) {
    return detail::float_to_integer<To>(v);
  } else {
    return static_cast<To>(v);
  }
}

}  // namespace isobit::numerics
