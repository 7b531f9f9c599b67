// The results of the SIMD wrappers, for tests/unit/simd_test.cpp, which is compiled once per target.
#pragma once

#include <cstddef>
#include <vector>

namespace isobit::testing {

// What every wrapper makes of (a, b, c), element by element.
template <typename T>
struct Wrapped {
  std::vector<T> fma, fnma, scalar_fma, max, min, root, absolute, unequal, below, chosen, bits, negated,
      quotient;
  explicit Wrapped(std::size_t n)
      : fma(n),
        fnma(n),
        scalar_fma(n),
        max(n),
        min(n),
        root(n),
        absolute(n),
        unequal(n),
        below(n),
        chosen(n),
        bits(n),
        negated(n),
        quotient(n) {}
};

}  // namespace isobit::testing
