// The packing of amx_pack.h. Twin: none; CUDA rounds as it loads (cuda/kernels/tensor_tile.cuh).
#include "cpu/kernels/amx_pack.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/kernels/amx_pack.cpp"
#include "hwy/foreach_target.h"
#include "cpu/kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace isobit::cpu::HWY_NAMESPACE {
namespace {

constexpr std::int64_t kSize = static_cast<std::int64_t>(Vec<float>::size);

/// The two bf16 in the low halves of the lanes.
struct Parts {
  Bits<float> high, low;
};

/// Finite, and no bf16 that it is rounded to is infinite: nearly all numbers, which split_ordinary splits in
/// half the time.
HWY_INLINE Mask<float> ordinary(Vec<float> v) {
  return abs(v) < Vec<float>(0x1.ffp127f);
}

HWY_INLINE Bits<float> rounded(Vec<float> v) {
  const Bits<float> bits = to_bits(v);
  return bits + Bits<float>(0x7fffu) + (shift_right<16>(bits) & Bits<float>(1u));
}

template <bool kSplit>
HWY_INLINE Parts split_ordinary(Vec<float> v) {
  const Bits<float> high = rounded(v);
  Parts p;
  p.high = shift_right<16>(high);
  if constexpr (kSplit) p.low = shift_right<16>(rounded(v - from_bits(high & Bits<float>(0xffff0000u))));
  return p;
}

template <bool kSplit>
HWY_INLINE Parts split(Vec<float> v, Mask<float>* not_finite) {
  const Bits<float> bits = to_bits(v), exponent(0x7f800000u);
  const Mask<float> beyond = (bits & exponent) == exponent;
  *not_finite = *not_finite | beyond;
  Parts p;
  p.high = round_to_bf16(v);
  if constexpr (kSplit) {
    const Mask<float> overflows = ((p.high & Bits<float>(0x7fffu)) == Bits<float>(0x7f80u)) & !beyond;
    p.high = select(overflows, shift_right<16>(bits), p.high);
    const Vec<float> rest = select(beyond, Vec<float>(0.0f), v - from_bits(shift_left<16>(p.high)));
    p.low = round_to_bf16(rest);
  }
  return p;
}

HWY_INLINE void store_halves(Bits<float> bits, std::uint16_t* to) {
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
  constexpr hn::Rebind<std::uint16_t, Tag<float>> d16;
  hn::StoreU(hn::TruncateTo(d16, bits.raw), d16, to);
#else
  HWY_ALIGN std::uint32_t x[Vec<float>::size];
  hn::Store(bits.raw, BitsTag<float>(), x);
  for (std::size_t i = 0; i < Vec<float>::size; ++i) to[i] = static_cast<std::uint16_t>(x[i]);
#endif
}

template <bool kTail>
HWY_INLINE Vec<float> load_some(const float* from, std::int64_t left) {
  if constexpr (!kTail) return load<float>(from);
  if (left <= 0) return Vec<float>(0.0f);
  return load_n<float>(from, static_cast<std::size_t>(left < kSize ? left : kSize));
}

template <bool kSplit, bool kTail>
HWY_INLINE void terms(const float* from, std::int64_t count, std::uint16_t* high, std::uint16_t* low,
                      Mask<float>* not_finite) {
  if constexpr (!kTail) {
    Mask<float> common = ordinary(load<float>(from));
    for (std::int64_t i = kSize; i < amx::kTerms; i += kSize)
      common = common & ordinary(load<float>(from + i));
    if (!any(!common)) {
      for (std::int64_t i = 0; i < amx::kTerms; i += kSize) {
        const Parts p = split_ordinary<kSplit>(load<float>(from + i));
        store_halves(p.high, high + i);
        if constexpr (kSplit) store_halves(p.low, low + i);
      }
      return;
    }
  }
  for (std::int64_t i = 0; i < amx::kTerms; i += kSize) {
    const Parts p =
        split<kSplit>(load_some<kTail>(from + (kTail && i >= count ? 0 : i), count - i), not_finite);
    store_halves(p.high, high + i);
    if constexpr (kSplit) store_halves(p.low, low + i);
  }
}

template <bool kSplit>
bool all_terms(const float* from, std::int64_t count, std::uint16_t* high, std::uint16_t* low,
               std::int64_t step) {
  Mask<float> not_finite = Vec<float>(0.0f) < Vec<float>(0.0f);
  for (; count > 0; count -= amx::kTerms, from += amx::kTerms, high += step) {
    count >= amx::kTerms ? terms<kSplit, false>(from, count, high, low, &not_finite)
                         : terms<kSplit, true>(from, count, high, low, &not_finite);
    if constexpr (kSplit) low += step;
  }
  return !any(not_finite);
}

template <bool kSplit, bool kTail>
HWY_INLINE void pairs(const float* even, const float* odd, std::int64_t count, std::uint32_t* high,
                      std::uint32_t* low, Mask<float>* not_finite) {
  if constexpr (!kTail) {
    Mask<float> common = ordinary(load<float>(even)) & ordinary(load<float>(odd));
    for (std::int64_t i = kSize; i < amx::kLines; i += kSize)
      common = common & ordinary(load<float>(even + i)) & ordinary(load<float>(odd + i));
    if (!any(!common)) {
      for (std::int64_t i = 0; i < amx::kLines; i += kSize) {
        const Parts a = split_ordinary<kSplit>(load<float>(even + i)),
                    b = split_ordinary<kSplit>(load<float>(odd + i));
        hn::StoreU((a.high | shift_left<16>(b.high)).raw, BitsTag<float>(), high + i);
        if constexpr (kSplit) hn::StoreU((a.low | shift_left<16>(b.low)).raw, BitsTag<float>(), low + i);
      }
      return;
    }
  }
  for (std::int64_t i = 0; i < amx::kLines; i += kSize) {
    const std::int64_t at = kTail && i >= count ? 0 : i;
    const Parts a = split<kSplit>(load_some<kTail>(even + at, count - i), not_finite),
                b = split<kSplit>(load_some<kTail>(odd + at, count - i), not_finite);
    hn::StoreU((a.high | shift_left<16>(b.high)).raw, BitsTag<float>(), high + i);
    if constexpr (kSplit) hn::StoreU((a.low | shift_left<16>(b.low)).raw, BitsTag<float>(), low + i);
  }
}

template <bool kSplit>
bool all_pairs(const float* even, const float* odd, std::int64_t count, std::uint32_t* high,
               std::uint32_t* low, std::int64_t panel_step, std::int64_t tile_step) {
  Mask<float> not_finite = Vec<float>(0.0f) < Vec<float>(0.0f);
  for (std::int64_t i = 0; i < (count + 31) / 32 * 32; i += amx::kLines) {
    const std::int64_t to = i / 32 * panel_step + i % 32 / amx::kLines * tile_step, left = count - i;
    std::uint32_t* const rest = kSplit ? low + to : nullptr;
    if (left >= amx::kLines)
      pairs<kSplit, false>(even + i, odd + i, left, high + to, rest, &not_finite);
    else
      pairs<kSplit, true>(left > 0 ? even + i : even, left > 0 ? odd + i : odd, left, high + to, rest,
                          &not_finite);
  }
  return !any(not_finite);
}

}  // namespace

bool run_pack_terms(const float* from, std::int64_t count, std::uint16_t* high, std::uint16_t* low,
                    std::int64_t step) {
  return low != nullptr ? all_terms<true>(from, count, high, low, step)
                        : all_terms<false>(from, count, high, low, step);
}
bool run_pack_pairs(const float* even, const float* odd, std::int64_t count, std::uint32_t* high,
                    std::uint32_t* low, std::int64_t panel_step, std::int64_t tile_step) {
  return low != nullptr ? all_pairs<true>(even, odd, count, high, low, panel_step, tile_step)
                        : all_pairs<false>(even, odd, count, high, low, panel_step, tile_step);
}

}  // namespace isobit::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace isobit::cpu {
HWY_EXPORT(run_pack_terms);
HWY_EXPORT(run_pack_pairs);

namespace amx {

bool pack_terms(const float* from, std::int64_t count, std::uint16_t* high, std::uint16_t* low,
                std::int64_t step) {
  return HWY_DYNAMIC_DISPATCH(run_pack_terms)(from, count, high, low, step);
}
bool pack_pairs(const float* even, const float* odd, std::int64_t count, std::uint32_t* high,
                std::uint32_t* low, std::int64_t panel_step, std::int64_t tile_step) {
  return HWY_DYNAMIC_DISPATCH(run_pack_pairs)(even, odd, count, high, low, panel_step, tile_step);
}

void transpose_tiles(std::uint32_t* tile, std::int64_t tiles) {
  using Four [[gnu::vector_size(16), gnu::aligned(4), gnu::may_alias]] = std::uint32_t;
  constexpr std::int64_t kRow = kPairs;
  const auto turn = [](const std::uint32_t* from, Four* to) {
    Four r[4];
    for (int i = 0; i < 4; ++i) r[i] = *reinterpret_cast<const Four*>(from + i * kRow);
    const Four low_a = __builtin_shufflevector(r[0], r[1], 0, 4, 1, 5),
               high_a = __builtin_shufflevector(r[0], r[1], 2, 6, 3, 7),
               low_b = __builtin_shufflevector(r[2], r[3], 0, 4, 1, 5),
               high_b = __builtin_shufflevector(r[2], r[3], 2, 6, 3, 7);
    to[0] = __builtin_shufflevector(low_a, low_b, 0, 1, 4, 5);
    to[1] = __builtin_shufflevector(low_a, low_b, 2, 3, 6, 7);
    to[2] = __builtin_shufflevector(high_a, high_b, 0, 1, 4, 5);
    to[3] = __builtin_shufflevector(high_a, high_b, 2, 3, 6, 7);
  };
  const auto put = [](const Four* rows, std::uint32_t* to) {
    for (int i = 0; i < 4; ++i) *reinterpret_cast<Four*>(to + i * kRow) = rows[i];
  };
  for (; tiles > 0; --tiles, tile += kLines * kPairs)
    for (std::int64_t i = 0; i < 4; ++i)
      for (std::int64_t j = i; j < 4; ++j) {
        std::uint32_t *const above = tile + 4 * (i * kRow + j), *const below = tile + 4 * (j * kRow + i);
        Four a[4], b[4];
        turn(above, a);
        turn(below, b);
        put(a, below);
        put(b, above);
      }
}

}  // namespace amx
}  // namespace isobit::cpu
#endif
