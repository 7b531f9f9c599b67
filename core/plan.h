// What an algorithm list asks before it walks itself: whether a plan (isobit/plan.h) says who serves the
// problem. Where no plan is in use a kernel call pays one relaxed load of a bool.
#pragma once
#include <atomic>
#include <cstddef>
#include <functional>
#include <span>
#include <string>

namespace isobit {
class Backend;
}

namespace isobit::plans {

extern std::atomic<bool> active;
inline bool on() {
  return active.load(std::memory_order_relaxed);
}

/// Which of `algorithms`, the ones that accept the problem in order of preference, runs: what the plan says,
/// the fastest where it is to be timed, else the first. `run(i)` executes one of them, to be timed; the
/// problem must bear being computed several times.
std::size_t choose(Backend& device, const char* kernel, std::string problem,
                   std::span<const char* const> algorithms, const std::function<void(std::size_t)>& run);

}  // namespace isobit::plans
