// Contexts that a thread of the host switches between: its own one, and fibers with stacks of their own. A
// switch saves what a function call must keep and nothing else: rounding mode and flags belong to the host's
// thread.
#pragma once
#include <cstddef>

// Hidden, so that its own calls are inlined in a shared library too.
#pragma GCC visibility push(hidden)
namespace isobit::emulator {

class Context {
 public:
  Context() = default;
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  /// Makes this a fiber that begins at `entry` (which never returns) when it is first switched to. The stack
  /// is the bytes below `top`. May be called again: whatever the fiber was doing is forgotten.
  void prepare(void* stack, std::size_t bytes, std::size_t skip, void (*entry)());
  /// Suspends this context, which must be the one that runs, and goes on in `next`.
  void switch_to(Context& next);
  /// The first thing an entry function does.
  static void entered();

 private:
  void* stack_pointer_ = nullptr;
  // For the sanitizers, and for the fallback without assembly.
  void* stack_ = nullptr;
  std::size_t stack_bytes_ = 0;
  void* fake_stack_ = nullptr;
  void* tsan_fiber_ = nullptr;
  bool owns_tsan_fiber_ = false;
  [[maybe_unused]] void* fallback_ = nullptr;
};

/// Address space for `count` stacks with inaccessible pages below each; only touched pages cost memory.
class Stacks {
 public:
  static constexpr std::size_t kBytes = 512 << 10;
  static constexpr std::size_t kGuard = 128 << 10;  // wide, because a big array may reach over a page
  explicit Stacks(std::size_t count);
  ~Stacks();
  Stacks(const Stacks&) = delete;
  Stacks& operator=(const Stacks&) = delete;
  /// The lowest byte of stack `i`, whose guard page is set on first use.
  void* at(std::size_t i);
  /// How much of it can be used.
  std::size_t usable() const { return kBytes - kGuard; }
  const void* base() const { return base_; }
  std::size_t bytes() const { return count_ * kBytes; }

 private:
  char* base_ = nullptr;
  std::size_t count_;
  std::size_t guarded_ = 0;
};

}  // namespace isobit::emulator
#pragma GCC visibility pop
