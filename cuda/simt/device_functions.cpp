#include "cuda/simt/device_functions.h"

#include <fmt/format.h>

#include <atomic>

#include "cuda/simt/device_state.h"
#include "cuda/simt/runner.h"

namespace isobit::emulator {
namespace {

Runner& runner(const char* what) {
  Runner* const r = Runner::current();
  if (r == nullptr) {
    fmt::print(stderr, "simt: {} outside of a kernel\n", what);
    std::abort();
  }
  return *r;
}

struct ShuffleValue {
  std::uint64_t in, out;
  bool bad;  // the source does not take part
};

template <detail::Shuffle kKind>
void compute_shuffle(Request* const* lanes, unsigned mask) {
  for (int lane = 0; lane < kWarp; ++lane) {
    if ((mask >> lane & 1) == 0) continue;
    const Request& request = *lanes[lane];
    const int begin = lane / request.width * request.width, end = begin + request.width;
    int source = lane;
    if (kKind == detail::Shuffle::index) source = begin + (request.parameter & (request.width - 1));
    if (kKind == detail::Shuffle::up && lane - request.parameter >= begin) source = lane - request.parameter;
    if (kKind == detail::Shuffle::down && lane + request.parameter < end) source = lane + request.parameter;
    if (kKind == detail::Shuffle::exclusive_or) {
      source = lane ^ request.parameter;
      if (source >= end) source = lane;
    }
    auto& value = *static_cast<ShuffleValue*>(request.out);
    value.bad = (mask >> source & 1) == 0;
    if (!value.bad) value.out = static_cast<const ShuffleValue*>(lanes[source]->in)->in;
  }
}

void compute_ballot(Request* const* lanes, unsigned mask) {
  unsigned votes = 0;
  for (int lane = 0; lane < kWarp; ++lane) {
    if ((mask >> lane & 1) != 0 && lanes[lane]->parameter != 0) votes |= 1u << lane;
  }
  for (int lane = 0; lane < kWarp; ++lane) {
    if ((mask >> lane & 1) != 0) *static_cast<unsigned*>(lanes[lane]->out) = votes;
  }
}

void compute_nothing(Request* const*, unsigned) {}

constexpr Operation kShuffles[] = {
    {"__shfl_sync", compute_shuffle<detail::Shuffle::index>},
    {"__shfl_up_sync", compute_shuffle<detail::Shuffle::up>},
    {"__shfl_down_sync", compute_shuffle<detail::Shuffle::down>},
    {"__shfl_xor_sync", compute_shuffle<detail::Shuffle::exclusive_or>},
};
constexpr Operation kBallot{"a vote", compute_ballot};
constexpr Operation kSyncWarp{"__syncwarp", compute_nothing, true};

}  // namespace

namespace detail {

int block_barrier(BarrierKind kind, bool predicate, Place place) {
  return runner("__syncthreads").barrier(kind, predicate, place);
}

std::uint64_t warp_shuffle(Shuffle kind, unsigned mask, std::uint64_t bits, int parameter, int width,
                           Place place) {
  Runner& r = runner("a shuffle");
  const Operation& operation = kShuffles[static_cast<int>(kind)];
  if (width < 1 || width > kWarp || (width & (width - 1)) != 0) {
    r.die(FaultKind::bad_lane,
          fmt::format("{}: the width {} is no power of two up to 32", operation.name, width), place);
  }
  ShuffleValue value{bits, bits, false};
  Request request{&operation, mask, place, &value, &value, parameter, width};
  r.collective(request);
  if (value.bad) {
    r.die(FaultKind::bad_lane,
          fmt::format("{}: reads from a lane that the mask {:#010x} does not name", operation.name, mask),
          place);
  }
  return value.out;
}

unsigned warp_ballot(unsigned mask, bool predicate, Place place) {
  unsigned votes = 0;
  Request request{&kBallot, mask, place, nullptr, &votes, predicate ? 1 : 0, kWarp};
  runner("a vote").collective(request);
  return votes;
}

void warp_barrier(unsigned mask, Place place) {
  Request request{&kSyncWarp, mask, place, nullptr, nullptr, 0, kWarp};
  runner("__syncwarp").collective(request);
}

}  // namespace detail

void* shared_variable(const SharedTag& tag) {
  return runner("SHARED").shared_variable(tag);
}
void* dynamic_shared_memory() {
  return runner("DYN_SHARED").dynamic_shared();
}

void __trap(const char* file, int line) {
  runner("__trap").die(FaultKind::trap, "__trap()", {file, line});
}

void __threadfence() {
  // ThreadSanitizer understands atomics, and no fences.
  static std::atomic<int> all{0};
  all.fetch_add(0, std::memory_order_seq_cst);
#ifndef __SANITIZE_THREAD__
  std::atomic_thread_fence(std::memory_order_seq_cst);
#endif
}
void __threadfence_block() {
  __threadfence();
}

void* Runner::shared_variable(const SharedTag& tag) {
  const Inside inside(*this);
  void* const memory = shared_.variable(tag);
  if (memory == nullptr) {
    die(FaultKind::shared_limit,
        fmt::format("{} bytes of shared memory with {}: a block has {} for variables, {} in all",
                    shared_.used(), tag.name, SharedArena::kStaticLimit, SharedArena::kLimit),
        {"", 0});
  }
  return memory;
}

}  // namespace isobit::emulator
