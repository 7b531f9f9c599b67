// Executes the threads of one block after another on one thread of the host.
//
// A fiber's work is: take the block's next unstarted thread and run it. Only a thread that waits, at a
// barrier or in a collective of its warp, brings in another fiber. So a kernel that never waits is a loop
// over its threads on one fiber, and one that only uses its warp needs 32.
#pragma once
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cuda/simt/emulator.h"
#include "cuda/simt/fiber.h"
#include "cuda/simt/place.h"
#include "cuda/simt/shared_arena.h"
#include "cuda/simt/vector_types.h"

// Hidden, so that its own calls are inlined in a shared library too.
#pragma GCC visibility push(hidden)
namespace isobit::emulator {

inline constexpr int kMaxThreads = 1024;
inline constexpr int kWarp = 32;

/// One launch, as the workers see it.
struct Launch {
  void (*invoke)(const void* payload) = nullptr;  // runs one thread of the kernel
  const void* payload = nullptr;
  std::size_t payload_bytes = 0;
  const void* kernel = nullptr;
  dim3 grid, block;
  std::size_t shared = 0;
  Schedule schedule = Schedule::forward;
  std::uint64_t seed = 0;
  std::atomic<std::uint64_t> next_block{0};
  std::atomic<bool> dead{false};  // a check has failed: no further block starts
};

struct Fiber {
  Context context;
  void* stack = nullptr;
  int index = 0;
};

struct Request;

/// A collective of a warp. The lane that completes the mask computes for all.
struct Operation {
  const char* name;
  void (*compute)(Request* const* lanes, unsigned mask);  // lanes[i] is null where mask has no bit
  bool orders_memory = false;                             // accesses before it come before those after it
};

/// What a lane that takes part in a collective posts.
struct Request {
  const Operation* operation;
  unsigned mask;
  Place place;
  const void* in;
  void* out;
  int parameter;
  int width;
};

/// A thread of the block.
struct Thread {
  uint3 index;
  std::uint16_t linear = 0;
  bool started = false, done = false, at_barrier = false;
  Place barrier_place;
  Fiber* fiber = nullptr;
  Request* request = nullptr;
  std::int32_t copies = -1;  // its newest asynchronous copy
};

/// Which lanes of a warp wait in collectives, and which have returned (or never were).
struct Warp {
  unsigned posted, done;
  const Request* leader;  // one of those that wait
};

/// An asynchronous copy that has been issued and not been waited for.
struct AsyncCopy {
  void* destination;
  const void* source;
  std::uint8_t bytes, filled;
  std::int32_t group;  // commits that preceded it
  std::int32_t previous;
};

class Runner {
 public:
  Runner();
  ~Runner();

  /// The runner that executes a kernel on this thread of the host; null in host code.
  static Runner* current();

  /// Runs blocks of the launch until none is left.
  void run(Launch& launch);

  // What a kernel calls.
  int barrier(BarrierKind kind, bool predicate, Place place);
  void collective(Request& request);
  void* shared_variable(const SharedTag& tag);
  void* dynamic_shared() { return shared_.dynamic(); }
  void async_copy(void* destination, const void* source, int bytes, int filled, Place place);
  void async_commit();
  void async_wait(int groups);

  /// Reports a fault of the running thread, gives the block up and never returns.
  [[noreturn]] void die(FaultKind kind, std::string text, Place place);

  const Launch& launch() const { return *launch_; }
  const Thread* thread() const { return current_; }
  int epoch() const { return barriers_; }
  bool in_kernel() const { return in_kernel_; }
  /// While one lives, the emulator works for the running thread. Inline functions of the standard library
  /// that it calls may be the copies that were compiled with the kernels, and the tracer must not take them
  /// for kernels.
  class Inside {
   public:
    explicit Inside(Runner& runner) : runner_(runner) { runner_.in_kernel_ = false; }
    ~Inside() { runner_.in_kernel_ = true; }
    Inside(const Inside&) = delete;
    Inside& operator=(const Inside&) = delete;

   private:
    Runner& runner_;
  };
  SharedArena& shared() { return shared_; }
  bool owns_stack(const void* address) const;
  std::string where() const;

 private:
  static void fiber_entry();
  [[noreturn]] void fiber_main(Fiber& me);
  void prepare_launch(Launch& launch);
  void run_block(uint3 block);
  void abandon();
  void prepare_fiber(Fiber& fiber);
  void start(Thread& thread, Fiber& fiber);
  void finish(Thread& thread);
  Fiber* pick();
  Fiber* free_fiber();
  void wait();
  void wake_block();
  void wake_warp(int first, unsigned mask);
  void push_back(Thread* thread);
  void push_front(Thread* thread);
  Thread* pop();
  std::uint64_t random();
  void leave_for_main();
  void report_deadlock();
  void check_partners(const Request& request, const Warp& state, const Thread* warp, int lane);

  Launch* launch_ = nullptr;
  Thread* current_ = nullptr;
  Fiber* starting_ = nullptr;
  Context main_;
  std::unique_ptr<Stacks> stacks_;
  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::vector<Fiber*> free_;
  std::vector<Thread> threads_;
  std::array<Warp, kMaxThreads / kWarp> warps_{};
  std::vector<std::uint16_t> order_;
  dim3 block_shape_{0, 0, 0};
  int count_ = 0, next_ = 0, done_ = 0;
  bool dead_ = false, in_kernel_ = false;

  int waiting_ = 0, trues_ = 0, barriers_ = 0, barrier_result_ = 0;
  BarrierKind barrier_kind_ = BarrierKind::plain;
  const Thread* barrier_first_ = nullptr;

  std::array<Thread*, 4096> ready_{};  // a ring
  unsigned ready_begin_ = 0, ready_end_ = 0;
  std::uint64_t random_state_ = 0;

  SharedArena shared_;
  std::vector<AsyncCopy> copies_;
  std::array<std::int32_t, kMaxThreads> commits_{};
};

}  // namespace isobit::emulator
#pragma GCC visibility pop
