// Row-major indices taken apart, for the reference.
#pragma once
#include <cstdint>

#include "core/geometry.h"

namespace isobit::cpu::reference {

/// The element of `operand` that output element i (row major over g.extent) reads.
inline std::int64_t operand_element(const StridedGeometry& g, std::size_t operand, std::int64_t i) {
  std::int64_t element = g.offset[operand];
  for (int a = g.rank - 1; a >= 0; --a) {
    const auto axis = static_cast<std::size_t>(a);
    element += i % g.extent[axis] * g.stride[operand][axis];
    i /= g.extent[axis];
  }
  return element;
}

}  // namespace isobit::cpu::reference
