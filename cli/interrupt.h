// Ctrl-C: the first asks the run to stop after the batch that is being computed, a second one quits at once.
#pragma once

namespace isobit::cli {

class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;
  static bool requested();
};

}  // namespace isobit::cli
