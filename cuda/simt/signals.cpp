#include "cuda/simt/signals.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/mman.h>

#include <cstddef>
#include <cstdint>

#include "cuda/simt/device_state.h"
#include "cuda/simt/memory.h"
#include "cuda/simt/runner.h"

namespace isobit::emulator {
namespace {

struct sigaction before_segv, before_bus;

void pass_on(int signal, siginfo_t* info, void* context) {
  const struct sigaction& before = signal == SIGSEGV ? before_segv : before_bus;
  if ((before.sa_flags & SA_SIGINFO) != 0) {
    before.sa_sigaction(signal, info, context);
  } else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) {
    before.sa_handler(signal);
  } else {  // the instruction is tried again, and the process ends as it would have
    sigaction(signal, &before, nullptr);
  }
}

void on_signal(int signal, siginfo_t* info, void* context) {
  const void* const address = info->si_addr;
  DeviceMemory& memory = DeviceMemory::instance();
  Runner* const runner = Runner::current();
  if (runner == nullptr || runner->thread() == nullptr) {
    if (memory.reserved(address)) {
      fmt::print(stderr, "simt: host code touches device memory: {}\n", memory.describe(address));
    }
    return pass_on(signal, info, context);
  }
  // The access was the kernel's: the handler's stack is left behind together with the thread's.
  const Allocation* const a = memory.find(address);
  if (runner->owns_stack(address)) {
    runner->die(FaultKind::out_of_bounds, "the thread's stack overflows: too many local variables", {"", 0});
  }
  if (memory.reserved(address)) {
    const bool freed = a != nullptr && !a->live;
    runner->die(freed ? FaultKind::use_after_free : FaultKind::out_of_bounds,
                "access to global memory: " + memory.describe(address), {"", 0});
  }
  runner->die(FaultKind::out_of_bounds, fmt::format("access to {}, which is no memory", address), {"", 0});
}

}  // namespace

void catch_bad_accesses() {
  static const bool installed = [] {
    struct sigaction action {};
    action.sa_sigaction = on_signal;
    // The handler may not return: the signal must not stay blocked.
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    sigemptyset(&action.sa_mask);
    sigaction(SIGSEGV, &action, &before_segv);
    sigaction(SIGBUS, &action, &before_bus);
    return true;
  }();
  static_cast<void>(installed);
}

void use_signal_stack() {
  static constexpr std::size_t kBytes = 64 << 10;
  struct Guard {
    void* memory = nullptr;
    Guard() {
      stack_t now{};
      if (sigaltstack(nullptr, &now) != 0 || (now.ss_flags & SS_DISABLE) == 0) return;
      memory = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      if (memory == MAP_FAILED) {
        memory = nullptr;
        return;
      }
      stack_t mine{};
      mine.ss_sp = memory;
      mine.ss_size = kBytes;
      sigaltstack(&mine, nullptr);
    }
    ~Guard() {
      if (memory == nullptr) return;
      stack_t off{};
      off.ss_flags = SS_DISABLE;
      sigaltstack(&off, nullptr);
      munmap(memory, kBytes);
    }
  };
  thread_local const Guard guard;
}

}  // namespace isobit::emulator
