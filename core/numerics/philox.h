// Philox 4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", 2011), a
// counter-based generator: a block of four words is a pure function of (key, counter). Checked against the
// published vectors.
//
// Here the key is the seed, and the counter is (block, stream): RandomKey (isobit/random.h) names seed and
// stream, the stream being a hash of what the numbers are for (module path) and of the step. Element i of a
// stream, i counted in the whole batch, always gets the same number:
//   uniform f32, 32-bit words: word i % 4 of block i / 4       uniform f64: words 2 (i % 2), + 1 of block i /
//   2 bounded integers: block i                                  normal: core/numerics/random_values.h
#pragma once

#include <cstdint>
#include <string_view>

#include "core/numerics/host_device.h"
#include "isobit/random.h"

namespace isobit::numerics {

struct PhiloxBlock {
  std::uint32_t word[4];
};

HOST_DEVICE constexpr PhiloxBlock philox4x32(PhiloxBlock counter, std::uint32_t key0, std::uint32_t key1) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t product0 = std::uint64_t{0xD2511F53u} * counter.word[0];
    const std::uint64_t product1 = std::uint64_t{0xCD9E8D57u} * counter.word[2];
    counter = {{static_cast<std::uint32_t>(product1 >> 32) ^ counter.word[1] ^ key0,
                static_cast<std::uint32_t>(product1),
                static_cast<std::uint32_t>(product0 >> 32) ^ counter.word[3] ^ key1,
                static_cast<std::uint32_t>(product0)}};
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return counter;
}

/// Block `block` of the stream that `key` names.
HOST_DEVICE constexpr PhiloxBlock random_block(RandomKey key, std::uint64_t block) {
  const PhiloxBlock counter = {{static_cast<std::uint32_t>(block), static_cast<std::uint32_t>(block >> 32),
                                static_cast<std::uint32_t>(key.stream),
                                static_cast<std::uint32_t>(key.stream >> 32)}};
  return philox4x32(counter, static_cast<std::uint32_t>(key.seed),
                    static_cast<std::uint32_t>(key.seed >> 32));
}

/// [0, 1) in steps of 2^-24.
HOST_DEVICE constexpr float uniform_from_word(std::uint32_t word) {
  return static_cast<float>(word >> 8) * 0x1p-24f;
}

/// [0, 1) in steps of 2^-53.
HOST_DEVICE constexpr double uniform_from_words(std::uint32_t low, std::uint32_t high) {
  return static_cast<double>((std::uint64_t{high} << 32 | low) >> 11) * 0x1p-53;
}

/// Element i: uniform over [0, 1), 24 bits.
HOST_DEVICE constexpr float uniform_f32(RandomKey key, std::uint64_t i) {
  return uniform_from_word(random_block(key, i / 4).word[i % 4]);
}

/// Element i: uniform over [0, 1), 53 bits.
HOST_DEVICE constexpr double uniform_f64(RandomKey key, std::uint64_t i) {
  const PhiloxBlock block = random_block(key, i / 2);
  return i % 2 == 0 ? uniform_from_words(block.word[0], block.word[1])
                    : uniform_from_words(block.word[2], block.word[3]);
}

/// splitmix64's finaliser: a bijection that spreads every bit.
HOST_DEVICE constexpr std::uint64_t mix64(std::uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

/// FNV-1a of the bytes.
constexpr std::uint64_t fnv1a(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return hash;
}

/// The upper half of the 128-bit product.
HOST_DEVICE constexpr std::uint64_t multiply_high(std::uint64_t a, std::uint64_t b) {
  const std::uint64_t a0 = a & 0xffffffffu, a1 = a >> 32, b0 = b & 0xffffffffu, b1 = b >> 32;
  const std::uint64_t low = a0 * b0;
  const std::uint64_t mid0 = a1 * b0 + (low >> 32);
  const std::uint64_t mid1 = a0 * b1 + (mid0 & 0xffffffffu);
  return a1 * b1 + (mid0 >> 32) + (mid1 >> 32);
}

/// Element i: uniform over 0 .. bound - 1, every value equally likely (Lemire's multiplication; the words
/// that would favour some values are refused and the next try, another pure function of (key, i), is taken).
/// bound 0 gives 0.
HOST_DEVICE constexpr std::uint64_t uniform_below(RandomKey key, std::uint64_t i, std::uint64_t bound) {
  if (bound == 0) return 0;
  const std::uint64_t refused = (std::uint64_t{0} - bound) % bound;  // 2^64 mod bound
  for (std::uint64_t attempt = 0;; ++attempt) {
    const PhiloxBlock block =
        random_block(RandomKey{key.seed + attempt * 0x9e3779b97f4a7c15u, key.stream}, i);
    for (int half = 0; half < 2; ++half) {
      const std::uint64_t word = std::uint64_t{block.word[2 * half + 1]} << 32 | block.word[2 * half];
      if (word * bound >= refused) return multiply_high(word, bound);
    }
  }
}

}  // namespace isobit::numerics
