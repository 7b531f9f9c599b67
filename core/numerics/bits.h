// The bits of a value, as an integer of the same size, and back; usable in constant expressions and in device
// code.
#pragma once

#include <cstdint>

#include "core/numerics/host_device.h"

namespace isobit::numerics {

// std::bit_cast is not callable from device code; the builtin under it is.
template <typename To, typename From>
HOST_DEVICE constexpr To bit_cast(const From& from) {
  static_assert(sizeof(To) == sizeof(From));
  return __builtin_bit_cast(To, from);
}

}  // namespace isobit::numerics
