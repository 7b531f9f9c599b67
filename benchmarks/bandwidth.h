// The most that this machine's memory can do: what percentages of bandwidth are of.
#pragma once
#include <cstdint>

namespace isobit::bench {

/// GB/s (1e9 bytes): the bytes read and written, not what a cache fetches before it stores.
struct Bandwidth {
  double stream =
      0;  ///< the best of y = x (copy) and y = x + a * z (triad), stored through the caches or past
  double update = 0;  ///< y = y + a * x in place: nothing is fetched only to be overwritten
};
/// What `threads` threads move at once between memory and registers, measured now on tensors larger than the
/// caches, the best of `rounds` of each kind; one thread by its processor time, more by the wall.
Bandwidth measure_bandwidth(int threads, int rounds);

/// Bytes of the largest cache, as the system says (sysfs); 32 MiB where it does not.
std::int64_t largest_cache();

}  // namespace isobit::bench
