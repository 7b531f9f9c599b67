// Device memory behind the seam's allocate and behind Scratch: the driver's stream-ordered pool, which keeps
// what is given back for the next request, counted as the CPU's pool counts.
#pragma once
#include <isobit/device.h>

#include <atomic>
#include <cstdint>

#include "cuda/runtime/platform.cuh"

namespace isobit::gpu {

/// Of one device, which is current at every call. Thread-safe.
class MemoryPool {
 public:
  explicit MemoryPool(int device);
  /// Uninitialised, 256-byte aligned, usable by this thread's work from here on (current_stream(), or the
  /// graph that it records); null for 0 bytes. Throws OutOfMemory.
  void* allocate(std::int64_t bytes);
  /// After this thread's work so far. Never fails: at worst, on a lost device, the memory is lost with it.
  void deallocate(void* data, std::int64_t bytes) noexcept;
  /// The same on a stream, for memory of no graph. Without memory the cache is emptied and the driver asked
  /// once more; then OutOfMemory says how much was asked, in use and cached.
  void* obtain(std::int64_t bytes, cudaStream_t stream);
  void release(void* data, std::int64_t bytes, cudaStream_t stream) noexcept;
  MemoryStats stats() const;
  void reset_peak() { peak_ = current_.load(); }
  /// Hands back what is free once the work on `stream` is done.
  void empty_cache(cudaStream_t stream);

  /// What a request is counted as: the driver deals in such blocks.
  static std::int64_t rounded(std::int64_t bytes) { return (bytes + 511) / 512 * 512; }

 private:
  // Bytes that the driver's pool holds; -1 where it does not tell.
  std::int64_t reserved() const;
  void count(std::int64_t size);

  cudaMemPool_t pool_ = nullptr;
  std::atomic<std::int64_t> current_{0}, peak_{0}, allocations_{0}, from_system_{0};
  std::atomic<std::int64_t> seen_{0};  // reserved() at the newest request
};

}  // namespace isobit::gpu
