// Rounding f32 to bf16 where the tile unit reads it: a tile holds 16 lines (rows of a, columns of b) of 32
// terms in pairs. Where an f32 becomes two bf16, high is the nearest (of a finite number: a finite one), low
// the nearest to what is left; low is +0 where high is infinite or NaN.
#pragma once
#include <cstdint>

namespace isobit::cpu::amx {

constexpr std::int64_t kLines = 16, kTerms = 32, kPairs = kTerms / 2;

/// Terms [0, count) of one line, +0 up to the next multiple of 32: term t goes to [t / 32 * step + t % 32].
/// `low`: null when high is all that is wanted. Returns whether every term was finite.
bool pack_terms(const float* from, std::int64_t count, std::uint16_t* high, std::uint16_t* low,
                std::int64_t step);
/// An even and an odd term of lines [0, count), +0 up to the next multiple of 32: the pair of line i goes to
/// [i / 32 * panel_step + i % 32 / 16 * tile_step + i % 16].
bool pack_pairs(const float* even, const float* odd, std::int64_t count, std::uint32_t* high,
                std::uint32_t* low, std::int64_t panel_step, std::int64_t tile_step);
/// Lines and pairs of `tiles` tiles exchanged, in place.
void transpose_tiles(std::uint32_t* tile, std::int64_t tiles);

}  // namespace isobit::cpu::amx
