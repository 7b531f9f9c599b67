// The project's own elementary functions for plain numbers, float and double, host and device:
//   exp expm1 log log1p tanh sigmoid softplus silu erf gelu normal_cdf normal_density sin cos
// They are written with + - * / fma, comparisons and integers alone, so they give the same bits everywhere.
// The same templates serve SIMD registers (cpu/kernels/elementary_simd-inl.h). Methods and errors:
// docs/elementary.md.
#pragma once

#include <cstdint>
#include <type_traits>

#include "core/numerics/bits.h"
#include "core/numerics/elementary_constants.h"
#include "core/numerics/fma.h"
#include "core/numerics/host_device.h"
#include "core/numerics/trig_large.h"

namespace isobit::numerics {

// ---- what the templates are written in, for plain numbers; simd-inl.h has the same for registers ----

template <typename F>
using LaneOf = F;

HOST_DEVICE inline bool any(bool mask) {
  return mask;
}
HOST_DEVICE inline float select(bool mask, float a, float b) {
  return mask ? a : b;
}
HOST_DEVICE inline double select(bool mask, double a, double b) {
  return mask ? a : b;
}
HOST_DEVICE inline std::uint32_t to_bits(float v) {
  return bit_cast<std::uint32_t>(v);
}
HOST_DEVICE inline std::uint64_t to_bits(double v) {
  return bit_cast<std::uint64_t>(v);
}
HOST_DEVICE inline float from_bits(std::uint32_t v) {
  return bit_cast<float>(v);
}
HOST_DEVICE inline double from_bits(std::uint64_t v) {
  return bit_cast<double>(v);
}
template <int kCount, typename B>
HOST_DEVICE inline B shift_left(B v) {
  return v << kCount;
}
template <int kCount, typename B>
HOST_DEVICE inline B shift_right(B v) {
  return v >> kCount;
}
template <typename F, typename Function>
HOST_DEVICE inline F map_lanes(F v, Function function) {
  return function(v);
}

// The sine and cosine of angles too large for the fast reduction; infinities and NaN give NaN.
struct LargeSin {
  template <typename T>
  HOST_DEVICE T operator()(T magnitude) const;
};
struct LargeCos {
  template <typename T>
  HOST_DEVICE T operator()(T magnitude) const;
};

#include "core/numerics/elementary-inl.h"

template <typename T>
HOST_DEVICE inline Angle<T> large_angle(T magnitude) {
  const LargeAngle angle = reduce_large_angle(static_cast<double>(magnitude));
  const T high = static_cast<T>(angle.high);
  return {high, static_cast<T>((angle.high - static_cast<double>(high)) + angle.low),
          static_cast<BitsOf<T>>(angle.quadrant)};
}

template <typename T>
HOST_DEVICE inline T LargeSin::operator()(T magnitude) const {
  if (!(magnitude < infinity<T>())) return from_bits(Format<T>::kQuietNan);
  if (magnitude < T(1)) return magnitude;  // not large: the caller takes the other branch
  return sin_of_angle(large_angle(magnitude), 0);
}

template <typename T>
HOST_DEVICE inline T LargeCos::operator()(T magnitude) const {
  if (!(magnitude < infinity<T>())) return from_bits(Format<T>::kQuietNan);
  if (magnitude < T(1)) return magnitude;  // not large: the caller takes the other branch
  return sin_of_angle(large_angle(magnitude), 1);
}

}  // namespace isobit::numerics
