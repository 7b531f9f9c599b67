// The constants of the four summation trees (docs/numerics.md). Every device reads them from here; changing
// one changes the bits of every result.
#pragma once

#include <cstdint>

#include "core/numerics/host_device.h"

namespace isobit::numerics {

/// Terms in a block of a blocked chain: the block's sums are chains, the total adds them left to right.
inline constexpr std::int64_t kBlock = 256;

/// Chains of the lanes tree: term t belongs to chain t mod kLanes; chains join by halving (i with i + 32, 16,
/// ...).
inline constexpr std::int64_t kLanes = 64;

/// Samples in the largest leaf of the batch tree.
inline constexpr std::int64_t kMaxLeafSamples = 16;

/// Terms a leaf of the batch tree should have at least, when samples are small.
inline constexpr std::int64_t kLeafTerms = 64;

/// Samples in one leaf of the batch tree, for `positions` terms a sample: the smallest power of two m with
/// m * positions >= 64, at most 16. No positions count as one.
HOST_DEVICE constexpr std::int64_t leaf_samples(std::int64_t positions) {
  const std::int64_t terms = positions < 1 ? 1 : positions;
  std::int64_t samples = 1;
  // No overflow: positions of 64 and more leave at once.
  while (samples < kMaxLeafSamples && terms < kLeafTerms && samples * terms < kLeafTerms) samples *= 2;
  return samples;
}

/// Number of blocks in a blocked chain of `terms` terms.
HOST_DEVICE constexpr std::int64_t block_count(std::int64_t terms) {
  return terms / kBlock + (terms % kBlock != 0 ? 1 : 0);
}

static_assert(leaf_samples(0) == 16 && leaf_samples(1) == 16 && leaf_samples(4) == 16 &&
              leaf_samples(5) == 16);
static_assert(leaf_samples(8) == 8 && leaf_samples(9) == 8 && leaf_samples(49) == 2 && leaf_samples(64) == 1);

}  // namespace isobit::numerics
