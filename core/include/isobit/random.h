// Keys of the counter-based random generator (Philox 4x32-10, core/numerics/philox.h).
#pragma once
#include <cstdint>
#include <string_view>

namespace isobit {

/// A user's seed, as a type of its own so that it is not mistaken for a size.
struct Seed {
  std::uint64_t value = 0;
};

/// Names one stream of random numbers. The n-th number of a stream is a pure function of (seed, stream, n):
/// whoever draws it, in whatever order, gets the same one.
struct RandomKey {
  std::uint64_t seed = 0;
  std::uint64_t stream = 0;
};

/// The stream for a purpose ("net.3.dropout", "shuffle") at a step (training step, epoch).
/// stream = FNV-1a(purpose), then mixed with step by splitmix64's finaliser.
RandomKey random_key(Seed seed, std::string_view purpose, std::uint64_t step = 0);

}  // namespace isobit
