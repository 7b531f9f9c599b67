// Philox 4x32-10 on registers: the words of core/numerics/philox.h, sixteen blocks at a time. Element i of a
// stream is a pure function of (key, i), so ranges go to threads as they like.
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

/// Blocks that are computed at a time.
inline constexpr std::int64_t kSide = 16;

/// word[4 b + w] = word w of block first + b, b below kSide.
inline void philox_blocks(RandomKey key, std::uint64_t first, std::uint32_t* word) {
#if HWY_TARGET == HWY_SCALAR
  for (std::int64_t b = 0; b < kSide; ++b) {
    const numerics::PhiloxBlock block = numerics::random_block(key, first + static_cast<std::uint64_t>(b));
    std::copy_n(block.word, 4, word + 4 * b);
  }
#else
  // A 64-bit lane owns a block. Its words lie in the low halves of four registers; what the products leave in
  // the high halves is never read. Lane 2 l has block l and lane 2 l + 1 block lanes / 2 + l, so that
  // interleaving pairs of words within 128 bits gives whole blocks in order.
  constexpr hn::ScalableTag<std::uint64_t> d;
  constexpr hn::Repartition<std::uint32_t, decltype(d)> d32;
  using V = hn::Vec<decltype(d)>;
  constexpr std::int64_t lanes = HWY_LANES(std::uint64_t);
  const auto times = [&](V a, std::uint64_t b) HWY_ATTR {
    return hn::MulEven(hn::BitCast(d32, a), hn::BitCast(d32, hn::Set(d, b)));
  };
  HWY_ALIGN std::uint64_t order[lanes];
  for (std::int64_t l = 0; l < lanes; ++l) order[l] = static_cast<std::uint64_t>(l / 2 + l % 2 * (lanes / 2));
  for (std::int64_t b = 0; b < kSide; b += lanes) {
    const V block = hn::Add(hn::Load(d, order), hn::Set(d, first + static_cast<std::uint64_t>(b)));
    V c0 = block, c1 = hn::ShiftRight<32>(block), c2 = hn::Set(d, key.stream),
      c3 = hn::Set(d, key.stream >> 32);
    std::uint32_t key0 = static_cast<std::uint32_t>(key.seed),
                  key1 = static_cast<std::uint32_t>(key.seed >> 32);
    for (int round = 0; round < 10; ++round) {
      const V product0 = times(c0, 0xD2511F53u), product1 = times(c2, 0xCD9E8D57u);
      c0 = hn::Xor(hn::Xor(hn::ShiftRight<32>(product1), c1), hn::Set(d, std::uint64_t{key0}));
      c2 = hn::Xor(hn::Xor(hn::ShiftRight<32>(product0), c3), hn::Set(d, std::uint64_t{key1}));
      c1 = product1;
      c3 = product0;
      key0 += 0x9E3779B9u;
      key1 += 0xBB67AE85u;
    }
    const V low = hn::Set(d, std::uint64_t{0xffffffffu});
    const V first_pair = hn::Or(hn::And(c0, low), hn::ShiftLeft<32>(c1));
    const V second_pair = hn::Or(hn::And(c2, low), hn::ShiftLeft<32>(c3));
    hn::StoreU(hn::BitCast(d32, hn::InterleaveLower(d, first_pair, second_pair)), d32, word + 4 * b);
    hn::StoreU(hn::BitCast(d32, hn::InterleaveUpper(d, first_pair, second_pair)), d32,
               word + 4 * b + 2 * lanes);
  }
#endif
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
        u[k] = static_cast<float>(static_cast<std::int32_t>(word[k] >> 8)) * 0x1p-24f;
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
