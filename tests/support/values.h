// Test data as a pure function of a seed: small integers, on which every order of summation agrees, and
// floats on which none does.
#pragma once
#include <cstdint>

#include "core/backend.h"

namespace isobit::test {

/// splitmix64: the i-th call after Random(seed) gives the same number everywhere.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    state_ += 0x9e3779b97f4a7c15u;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  /// In [0, bound).
  std::uint64_t below(std::uint64_t bound) { return next() % bound; }
  /// In [0, 1).
  double uniform() { return static_cast<double>(next() >> 11) * 0x1p-53; }

 private:
  std::uint64_t state_;
};

/// Integers of [low, high], in any dtype (bool: whether not zero).
void fill_integers(View out, std::uint64_t seed, std::int64_t low = -3, std::int64_t high = 3);

struct HardFloats {
  int exponents = 12;       ///< magnitudes between 2^-exponents and 2^exponents
  bool zeros = true;        ///< one in 16 is a zero of either sign
  bool subnormals = true;   ///< one in 32 is subnormal in the dtype
  bool infinities = false;  ///< one in 64 is an infinity
  bool nans = false;        ///< one in 64 is a NaN
};
/// Floating dtypes: mixed magnitudes and signs, full fractions. Integers and bool: all bits random.
void fill_hard(View out, std::uint64_t seed, HardFloats options = {});

/// Uniform in [low, high), rounded to the dtype.
void fill_uniform(View out, std::uint64_t seed, double low = -1, double high = 1);

}  // namespace isobit::test
