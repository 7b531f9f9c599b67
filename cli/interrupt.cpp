#include "cli/interrupt.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>

namespace isobit::cli {
namespace {

std::atomic<int> presses{0};
static_assert(std::atomic<int>::is_always_lock_free);
struct sigaction before;

// Async-signal-safe: an atomic, write and _exit.
extern "C" void on_interrupt(int) {
  if (presses.fetch_add(1) > 0) _exit(130);
  static constexpr char text[] = "\nisobit: stopping after this batch; press Ctrl-C again to quit at once\n";
  [[maybe_unused]] const auto written = write(STDERR_FILENO, text, sizeof text - 1);
}

}  // namespace

InterruptGuard::InterruptGuard() {
  presses = 0;
  struct sigaction action {};
  action.sa_handler = on_interrupt;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, &before);
}

InterruptGuard::~InterruptGuard() {
  sigaction(SIGINT, &before, nullptr);
}

bool InterruptGuard::requested() {
  return presses.load() > 0;
}

}  // namespace isobit::cli
