// Keeps the threads of one parallel loop on processors of their own. The kernel may put a woken worker on the
// processor that its caller runs on and leave both there for seconds (virtual machines do); nothing is
// pinned, but a thread that finds its processor taken by another of the same loop moves itself to one that is
// free.
#pragma once
#include <array>
#include <atomic>
#include <cstdint>

namespace isobit::cpu {

class Places {
 public:
  /// The calling thread takes part in loop `loop` (not 0). If another thread took the processor that this one
  /// runs on for the same loop, and the thread may run on one that nobody took, it moves there: true. Its
  /// affinity is afterwards what it was. A thread moves at most once in ten milliseconds, so that a machine
  /// with other work costs no more than that.
  bool take(std::uint64_t loop) noexcept;

 private:
  static constexpr int kProcessors = 1024;  // as many as cpu_set_t names
  struct alignas(64) Place {
    std::atomic<std::uint64_t> loop{0};
  };

  bool move(std::uint64_t loop) noexcept;

  std::array<Place, kProcessors> places_{};
};

}  // namespace isobit::cpu
