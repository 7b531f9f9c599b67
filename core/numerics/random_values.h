// Normal deviates and scaled uniform ones from Philox's words, with this project's own log, sin and cos (Box
// and Muller: n0 = r cos t, n1 = r sin t, r = sqrt(-2 log(1 - u0)), t = 2 pi u1). Pure functions of (key, i),
// as in philox.h:
//   f32: elements 4 b .. 4 b + 3 come from block b, from words (0, 1) the first two, from (2, 3) the others
//   f64: elements 2 b and 2 b + 1 come from block b
#pragma once

#include <cstdint>

#include "core/numerics/elementary.h"
#include "core/numerics/philox.h"
#include "core/numerics/sqrt.h"

namespace isobit::numerics {

/// Two independent normal deviates from two uniform ones in [0, 1).
template <typename T>
struct NormalPair {
  T first, second;
};

template <typename T>
HOST_DEVICE inline NormalPair<T> box_muller(T u0, T u1) {
  const T radius = sqrt(T(-2) * log(T(1) - u0));
  const T angle = static_cast<T>(0x1.921fb54442d18p+2) * u1;
  return {radius * cos(angle), radius * sin(angle)};
}

/// Elements 4 block .. 4 block + 3 of the stream.
HOST_DEVICE inline void normal_block_f32(RandomKey key, std::uint64_t block, float* out) {
  const PhiloxBlock words = random_block(key, block);
  for (int pair = 0; pair < 2; ++pair) {
    const NormalPair<float> normal =
        box_muller(uniform_from_word(words.word[2 * pair]), uniform_from_word(words.word[2 * pair + 1]));
    out[2 * pair] = normal.first;
    out[2 * pair + 1] = normal.second;
  }
}

/// Elements 2 block and 2 block + 1 of the stream.
HOST_DEVICE inline void normal_block_f64(RandomKey key, std::uint64_t block, double* out) {
  const PhiloxBlock words = random_block(key, block);
  const NormalPair<double> normal = box_muller(uniform_from_words(words.word[0], words.word[1]),
                                               uniform_from_words(words.word[2], words.word[3]));
  out[0] = normal.first;
  out[1] = normal.second;
}

/// Element i: normal, mean 0, deviation 1.
HOST_DEVICE inline float normal_f32(RandomKey key, std::uint64_t i) {
  float values[4];
  normal_block_f32(key, i / 4, values);
  return values[i % 4];
}

/// Element i: normal, mean 0, deviation 1.
HOST_DEVICE inline double normal_f64(RandomKey key, std::uint64_t i) {
  double values[2];
  normal_block_f64(key, i / 2, values);
  return values[i % 2];
}

/// u of [0, 1) carried to [low, high); `high` itself, which rounding could give, becomes low.
template <typename T>
HOST_DEVICE inline T uniform_between(T u, T low, T high) {
  const T value = fma(u, high - low, low);
  return value < high ? value : low;
}

}  // namespace isobit::numerics
