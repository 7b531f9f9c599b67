// The most that this machine's memory can do: what percentages of bandwidth are of.
#pragma once
#include <cstdint>

namespace isobit::bench {

/// GB/s (1e9 bytes) that `threads` threads move at once between memory and registers, measured now: the best
/// of some rounds of y = x (copy) and y = x + a * z (triad), stored through the caches and past them, on
/// tensors far larger than the caches. Counted are the bytes read and written, not what a cache fetches
/// before it stores.
double bandwidth_gbs(int threads);

/// Bytes of the largest cache, as the system says; 32 MiB where it does not.
std::int64_t largest_cache();

}  // namespace isobit::bench
