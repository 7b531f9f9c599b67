// Where the emulator tells the access tracer what it does to memory. Only an executable that is linked with
// the tracer (cuda/simt/tracer.cpp) has it; elsewhere the hooks are null and cost a load.
#pragma once
#include <cstddef>

namespace isobit::emulator {

struct Launch;

struct TracerHooks {
  void (*copied)(void* to, const void* from, std::size_t bytes);  // by the host, from null: set
  void (*landed)(void* to, std::size_t bytes);                    // an asynchronous copy
};
/// Null without a tracer.
extern const TracerHooks* tracer;

inline void trace_host_copy(void* to, const void* from, std::size_t bytes) {
  if (tracer != nullptr) tracer->copied(to, from, bytes);
}

}  // namespace isobit::emulator
