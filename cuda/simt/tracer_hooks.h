// Where the emulator tells the access tracer what it does. Only an executable that is linked with the tracer
// (cuda/simt/tracer/) has it; elsewhere the pointer is null.
#pragma once
#include <cstddef>

namespace isobit::emulator {

class Runner;

struct TracerHooks {
  void (*launching)();
  void (*block_began)(Runner& runner);
  void (*block_ended)(Runner& runner);
  // Lanes of a warp met in a __syncwarp.
  void (*warp_synced)(int warp, unsigned mask);
  // The host copied; `from` is null where it set the bytes.
  void (*copied)(void* to, const void* from, std::size_t bytes);
  // The running thread issued a cp.async; one of its own landed.
  void (*copy_issued)(void* to, const void* from, int bytes, int filled, const char* file, int line);
  void (*copy_landed)(void* to, int bytes);
};
extern const TracerHooks* tracer;

inline void trace_host_copy(void* to, const void* from, std::size_t bytes) {
  if (tracer != nullptr) tracer->copied(to, from, bytes);
}

}  // namespace isobit::emulator
