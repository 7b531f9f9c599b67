// Vectors as operands of a kernel: their elements, of the dtype that their type is.
#pragma once
#include <cstdint>
#include <vector>

#include "core/backend.h"

namespace isobit::test {

template <class T>
ConstView in(const std::vector<T>& v) {
  return {v.data(), dtype_of<T>, static_cast<std::int64_t>(v.size())};
}
template <class T>
View out(std::vector<T>& v) {
  return {v.data(), dtype_of<T>, static_cast<std::int64_t>(v.size())};
}

}  // namespace isobit::test
