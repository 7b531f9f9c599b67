#include "cpu/runtime/places.h"

#include <sched.h>

#include <chrono>

namespace isobit::cpu {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kRest{10};  // between two moves of a thread

thread_local Clock::time_point may_move_at{};

}  // namespace

bool Places::take(std::uint64_t loop) noexcept {
  const int here = sched_getcpu();
  if (here < 0 || here >= kProcessors) return false;
  if (places_[here].loop.exchange(loop, std::memory_order_relaxed) != loop) return false;
  const Clock::time_point now = Clock::now();
  if (now < may_move_at) return false;
  may_move_at = now + kRest;
  return move(loop);
}

bool Places::move(std::uint64_t loop) noexcept {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return false;
  cpu_set_t free = allowed;
  for (int i = 0; i < kProcessors; ++i)
    if (CPU_ISSET(i, &free) && places_[i].loop.load(std::memory_order_relaxed) == loop) CPU_CLR(i, &free);
  if (CPU_COUNT(&free) == 0 || sched_setaffinity(0, sizeof free, &free) != 0) return false;
  const int there = sched_getcpu();
  if (there >= 0 && there < kProcessors) places_[there].loop.store(loop, std::memory_order_relaxed);
  sched_setaffinity(0, sizeof allowed, &allowed);  // cannot fail: these were allowed a moment ago
  return true;
}

}  // namespace isobit::cpu
