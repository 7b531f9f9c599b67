// The caching pool behind the CPU device's allocate: blocks that tensors gave back are kept, by size class,
// for the next request (handing large blocks back to the system on every op costs 2 to 4 times).
//
// Sizes are rounded up to a class: multiples of 64 bytes up to 1 KiB, then eight classes to a power of two
// (at most 12.5 % more than asked). Blocks are 64-byte aligned; those of 4 MiB and more lie on 2 MiB borders
// and ask for huge pages. Small blocks pass through a cache of the calling thread, without a lock. What is
// cached stays below the largest use so far plus 256 MiB. Under AddressSanitizer cached blocks and the tail
// of blocks in use are poisoned.
#pragma once
#include <isobit/device.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

namespace isobit::cpu {

class MemoryPool {
 public:
  /// The pool of the process; lives to its end.
  static MemoryPool& instance();

  /// Uninitialised memory; null for 0 bytes. Throws OutOfMemory naming bytes asked, in use and cached, after
  /// emptying the cache and asking the system again.
  void* allocate(std::int64_t bytes);
  /// `bytes` as they were asked for.
  void deallocate(void* data, std::int64_t bytes) noexcept;
  MemoryStats stats() const;
  void reset_peak();
  /// Gives everything cached back to the system; what other threads hold in their own caches follows when
  /// they next allocate or deallocate.
  void empty_cache();

  /// The size a request is rounded to.
  static std::int64_t rounded(std::int64_t bytes);

  static constexpr int kSmallClasses = 56;      ///< up to 32 KiB: through the thread's cache
  static constexpr int kClasses = 16 + 8 * 52;  ///< up to 2^62 bytes

  /// One thread's own small blocks (memory_pool.cpp).
  struct ThreadCache;

 private:
  friend struct ThreadCacheHolder;
  MemoryPool() = default;
  ThreadCache* thread_cache();
  void* take_central(int size_class);
  void* from_system(int size_class, std::int64_t asked);
  void give_central(int size_class, void* data) noexcept;
  void release(int size_class, void* data) noexcept;
  void flush(ThreadCache& cache) noexcept;
  void forget(ThreadCache& cache) noexcept;
  void empty_central() noexcept;
  void count_use(std::int64_t size);

  mutable std::mutex mutex_;  // of the free lists and the list of thread caches
  std::vector<void*> free_[kClasses];
  std::vector<ThreadCache*> threads_;
  std::atomic<std::int64_t> current_{0}, peak_{0}, held_{0}, from_system_{0};
  std::atomic<std::int64_t> allocations_{0};  // but those that live thread caches count
  std::atomic<std::uint32_t> epoch_{0};       // of empty_cache: thread caches of an older one are given back
};

}  // namespace isobit::cpu
