// Philox 4x32-10 on sixteen blocks side by side: a structure of arrays in plain loops, which compilers
// vectorise for each target. Element i of a stream is a pure function of (key, i), so ranges go to threads as
// they like.
#if defined(ISOBIT_CPU_KERNELS_PHILOX_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ISOBIT_CPU_KERNELS_PHILOX_INL_H_
#undef ISOBIT_CPU_KERNELS_PHILOX_INL_H_
#else
#define ISOBIT_CPU_KERNELS_PHILOX_INL_H_
#endif

#include "core/numerics/philox.h"
#include "cpu/kernels/tiles-inl.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {

/// Blocks that are computed side by side: sixteen 32-bit lanes.
inline constexpr std::int64_t kSide = 16;

/// word[4 b + w] = word w of block first + b, b below kSide. 64-bit products of 32-bit words, on 64-bit
/// lanes.
inline void philox_blocks(RandomKey key, std::uint64_t first, std::uint32_t* word) {
  std::uint64_t c0[kSide], c1[kSide], c2[kSide], c3[kSide];
  for (std::int64_t b = 0; b < kSide; ++b) {
    const std::uint64_t block = first + static_cast<std::uint64_t>(b);
    c0[b] = block & 0xffffffffu;
    c1[b] = block >> 32;
    c2[b] = key.stream & 0xffffffffu;
    c3[b] = key.stream >> 32;
  }
  std::uint64_t key0 = key.seed & 0xffffffffu, key1 = key.seed >> 32;
  for (int round = 0; round < 10; ++round) {
    for (std::int64_t b = 0; b < kSide; ++b) {
      const std::uint64_t product0 = std::uint64_t{0xD2511F53u} * (c0[b] & 0xffffffffu);
      const std::uint64_t product1 = std::uint64_t{0xCD9E8D57u} * (c2[b] & 0xffffffffu);
      c0[b] = (product1 >> 32) ^ c1[b] ^ key0;
      c1[b] = product1 & 0xffffffffu;
      c2[b] = (product0 >> 32) ^ c3[b] ^ key1;
      c3[b] = product0 & 0xffffffffu;
    }
    key0 = (key0 + 0x9E3779B9u) & 0xffffffffu;
    key1 = (key1 + 0xBB67AE85u) & 0xffffffffu;
  }
  for (std::int64_t b = 0; b < kSide; ++b) {
    word[4 * b] = static_cast<std::uint32_t>(c0[b]);
    word[4 * b + 1] = static_cast<std::uint32_t>(c1[b]);
    word[4 * b + 2] = static_cast<std::uint32_t>(c2[b]);
    word[4 * b + 3] = static_cast<std::uint32_t>(c3[b]);
  }
}

/// Calls body(i, n, u, skip) on runs that cover [begin, end): u[skip .. skip + n) are the uniforms, as T, of
/// counters first + i on; u[0] has a counter that begins a block, and kSide blocks' uniforms are there.
template <class T, class Body>
void for_uniforms(RandomKey key, std::uint64_t first, std::int64_t begin, std::int64_t end,
                  const Body& body) {
  constexpr std::uint64_t per_block = 16 / sizeof(T);  // f32: 4, f64: 2
  constexpr std::int64_t run = kSide * static_cast<std::int64_t>(per_block);
  HWY_ALIGN std::uint32_t word[4 * kSide];
  HWY_ALIGN T u[run];
  for (std::int64_t i = begin; i < end;) {
    const std::uint64_t counter = first + static_cast<std::uint64_t>(i);
    const std::int64_t skip = static_cast<std::int64_t>(counter % per_block);  // of the first block
    std::int64_t n = std::min(end - i, run - skip);
    const std::uint64_t to_wrap = std::uint64_t{0} - counter;  // counters are taken modulo 2^64
    if (to_wrap != 0 && to_wrap < static_cast<std::uint64_t>(n)) n = static_cast<std::int64_t>(to_wrap);
    philox_blocks(key, counter / per_block, word);
    for (std::int64_t k = 0; k < run; ++k) {
      if constexpr (sizeof(T) == 4) {
        u[k] = numerics::uniform_from_word(word[k]);
      } else {
        u[k] = numerics::uniform_from_words(word[2 * k], word[2 * k + 1]);
      }
    }
    body(i, n, static_cast<const T*>(u), skip);
    i += n;
  }
}

}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per target
