#include "cuda/runtime/memory_pool.cuh"

#include <isobit/error.h>

#include <algorithm>

#include "cuda/runtime/check.cuh"
#include "cuda/runtime/graph.cuh"

namespace isobit::gpu {

MemoryPool::MemoryPool(int device) {
  check(cudaDeviceGetDefaultMemPool(&pool_, device), "cudaDeviceGetDefaultMemPool");
  std::uint64_t keep = ~std::uint64_t{0};  // the driver would hand everything back at every synchronisation
  check(cudaMemPoolSetAttribute(pool_, cudaMemPoolAttrReleaseThreshold, &keep), "cudaMemPoolSetAttribute");
}

std::int64_t MemoryPool::reserved() const {
  std::uint64_t bytes = 0;
  if (cudaMemPoolGetAttribute(pool_, cudaMemPoolAttrReservedMemCurrent, &bytes) == cudaSuccess)
    return static_cast<std::int64_t>(bytes);
  cudaGetLastError();
  return -1;
}

void MemoryPool::count(std::int64_t size) {
  const std::int64_t now = current_.fetch_add(size, std::memory_order_relaxed) + size;
  std::int64_t peak = peak_.load(std::memory_order_relaxed);
  while (now > peak && !peak_.compare_exchange_weak(peak, now, std::memory_order_relaxed)) {
  }
  allocations_.fetch_add(1, std::memory_order_relaxed);
  const std::int64_t held = reserved();
  if (held < 0 || held > seen_.exchange(held, std::memory_order_relaxed))
    from_system_.fetch_add(1, std::memory_order_relaxed);
}

void* MemoryPool::allocate(std::int64_t bytes) {
  if (const Recorder* r = Recorder::here()) [[unlikely]]
    return GraphMemory::allocate(r->memory(), bytes);
  return obtain(bytes, current_stream());
}

void MemoryPool::deallocate(void* data, std::int64_t bytes) noexcept {
  if (data == nullptr || GraphMemory::deallocate(data)) return;
  try {
    release(data, bytes, unrecorded_stream());
  } catch (const Error&) {  // the device is lost, and the memory with it
  }
}

void* MemoryPool::obtain(std::int64_t bytes, cudaStream_t stream) {
  if (bytes == 0) return nullptr;
  if (bytes < 0) fail("allocate", "{} bytes asked for", bytes);
  // Not rounded: what watches memory shall see an access beyond the last byte.
  const auto size = static_cast<std::size_t>(bytes);
  void* data = nullptr;
  cudaError_t status = cudaMallocAsync(&data, size, stream);
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    empty_cache(stream);
    status = cudaMallocAsync(&data, size, stream);
  }
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    std::size_t free = 0, total = 0;
    if (cudaMemGetInfo(&free, &total) != cudaSuccess) cudaGetLastError();
    const MemoryStats now = stats();
    throw OutOfMemory("allocate",
                      fmt::format("{} bytes asked for, {} in use, {} cached: the device has no more "
                                  "({} of {} free, other processes included); a batch in parts "
                                  "(--micro-batch, isobit/parts.h) needs less and gives the same bits",
                                  bytes, now.current, now.cached, free, total));
  }
  check(status, "cudaMallocAsync");
  count(rounded(bytes));
  return data;
}

void MemoryPool::release(void* data, std::int64_t bytes, cudaStream_t stream) noexcept {
  if (data == nullptr) return;
  current_.fetch_sub(rounded(bytes), std::memory_order_relaxed);
  if (cudaFreeAsync(data, stream) != cudaSuccess) cudaGetLastError();
}

MemoryStats MemoryPool::stats() const {
  MemoryStats s;
  s.current = current_.load(std::memory_order_relaxed);
  s.peak = peak_.load(std::memory_order_relaxed);
  s.allocations = allocations_.load(std::memory_order_relaxed);
  s.from_system = from_system_.load(std::memory_order_relaxed);
  s.cached = std::max<std::int64_t>(reserved() - s.current, 0);
  return s;
}

void MemoryPool::empty_cache(cudaStream_t stream) {
  check(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
  check(cudaMemPoolTrimTo(pool_, 0), "cudaMemPoolTrimTo");
  seen_.store(std::max<std::int64_t>(reserved(), 0), std::memory_order_relaxed);
}

}  // namespace isobit::gpu
