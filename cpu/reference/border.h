// What a coordinate outside of an axis reads, by walking there step by step: the definition of the padding
// modes, in no arithmetic that core/numerics/pad_index.h has.
#pragma once
#include <cstdint>

#include "core/op_codes.h"

namespace isobit::cpu::reference {

/// The element of an axis of `extent` elements that coordinate `at` shows; -1: the constant.
inline std::int64_t read_through(PadMode mode, std::int64_t at, std::int64_t extent) {
  const bool outside = at < 0 || at >= extent;
  if (!outside) return at;
  if (mode == PadMode::constant) return -1;
  if (mode == PadMode::replicate) return at < 0 ? 0 : extent - 1;
  if (mode == PadMode::circular) {
    while (at < 0) at += extent;
    while (at >= extent) at -= extent;
    return at;
  }
  // A mirror stands on each edge element (reflect), or just outside it (symmetric); what lies behind one is
  // what lies as far before it, until the place is inside.
  if (extent == 1) return 0;
  const std::int64_t first = mode == PadMode::reflect ? 0 : -1;  // twice the lower mirror's place
  const std::int64_t last = 2 * (extent - 1) - first;            // twice the upper one's
  while (at < 0 || at >= extent) at = (at < 0 ? first : last) - at;
  return at;
}

}  // namespace isobit::cpu::reference
