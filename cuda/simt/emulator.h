// The emulator's own controls, for tests and tools: how kernels are scheduled, what is checked, what was
// found.
//
// The variables of the environment are read once, before the first call:
//   ISOBIT_SIMT_SCHEDULE=forward|reverse|shuffled[:SEED]|ahead    order of threads, warps and blocks
//   ISOBIT_SIMT_PROTECT=1       host code that touches device memory faults at once
//   ISOBIT_SIMT_LAZY=1          queued work runs only when somebody waits for it
//   ISOBIT_SIMT_MEMORY=BYTES    the device's memory (4 GiB)
//   ISOBIT_THREADS=N            threads of the host that run blocks
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>

namespace isobit::emulator {

enum class Schedule {
  forward,   // blocks and threads in order; the warps of a block in step
  reverse,   // both backwards
  shuffled,  // by a seed; a warp may run ahead of the others
  ahead,     // the warp that can go on goes on, as far as it gets
};

struct Settings {
  Schedule schedule = Schedule::forward;
  std::uint64_t seed = 0;
  bool protect = false;
  bool lazy = false;
  std::size_t memory = std::size_t{4} << 30;
  int threads = 0;  // 0: as many as the machine has
};

Settings settings();
/// Takes effect from the next call on; waits for all queued work first.
void configure(const Settings& settings);

enum class FaultKind {
  none,
  divergent_barrier,
  returned_before_barrier,
  bad_mask,
  bad_lane,
  mixed_collectives,
  deadlock,
  shared_limit,
  shared_fence,
  bad_async_copy,
  out_of_bounds,
  use_after_free,
  misaligned,
  uninitialised,
  pending_copy,
  host_pointer,
  shared_race,
  global_race,
  memory_fence,
  trap,
};

/// The first fault of the device, which every later call returns as a sticky error.
struct Fault {
  FaultKind kind = FaultKind::none;
  std::string text;  // kernel, block, thread, place, and what was wrong
};
Fault fault();
const char* name_of(FaultKind kind);

/// For tests: forgets the fault, all device memory, streams and events, as a process that starts again.
void reset();

enum class BarrierKind : std::uint8_t { plain, any, all, count };

}  // namespace isobit::emulator
