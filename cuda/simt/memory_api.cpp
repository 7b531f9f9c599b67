// CUDA's functions for memory.
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <vector>

#include "cuda/simt/device_state.h"
#include "cuda/simt/graphs.h"
#include "cuda/simt/memory.h"
#include "cuda/simt/runtime_api.h"
#include "cuda/simt/streams.h"
#include "cuda/simt/tracer_hooks.h"

namespace isobit::emulator {
namespace {

// Page-locked host memory: start to bytes.
std::map<std::uintptr_t, std::size_t>& pinned() {
  static auto& ranges = *new std::map<std::uintptr_t, std::size_t>;
  return ranges;
}

bool is_pinned(const void* address) {
  const auto at = reinterpret_cast<std::uintptr_t>(address);
  auto it = pinned().upper_bound(at);
  if (it == pinned().begin()) return false;
  --it;
  return at < it->first + it->second;
}

cudaError_t allocate(void** memory, std::size_t bytes, bool pooled) {
  if (memory == nullptr) return result(cudaErrorInvalidValue);
  *memory = nullptr;
  if (sticky_error() != cudaSuccess) return result(sticky_error());
  if (bytes == 0) return result(cudaSuccess);
  *memory = DeviceMemory::instance().allocate(bytes, pooled);
  return result(*memory != nullptr ? cudaSuccess : cudaErrorMemoryAllocation);
}

// The bytes of one side of a copy: all in one live allocation, or all of the host.
bool check_range(const char* call, const void* address, std::size_t bytes, bool device) {
  DeviceMemory& memory = DeviceMemory::instance();
  const Allocation* const a = memory.find(address);
  const auto at = reinterpret_cast<std::uintptr_t>(address);
  std::string wrong;
  if (memory.reserved(address) != device) {
    wrong = fmt::format("{} is {} memory", address, device ? "host" : "device");
  } else if (device && (a == nullptr || !a->live || at < a->data || at + bytes > a->data + a->bytes)) {
    wrong = memory.describe(address);
  }
  if (wrong.empty()) return true;
  fmt::print(stderr, "simt: {} of {} bytes: {}\n", call, bytes, wrong);
  return false;
}

void copy_bytes(void* to, const void* from, std::size_t bytes) {
  const DeviceMemory::Access access;
  std::memmove(to, from, bytes);
  trace_host_copy(to, from, bytes);
}

// The copy as CUDA does it: pageable host memory is staged at the call, or waited for.
cudaError_t copy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, cudaStream_t handle,
                 bool wait) {
  const std::lock_guard lock(device_mutex());
  const auto stream = find_stream(handle);
  if (stream == nullptr) return result(cudaErrorInvalidResourceHandle);
  if (kind < cudaMemcpyHostToHost || kind > cudaMemcpyDefault) return result(cudaErrorInvalidMemcpyDirection);
  if (bytes == 0) return result(cudaSuccess);
  DeviceMemory& memory = DeviceMemory::instance();
  const bool to_device = kind == cudaMemcpyDefault
                             ? memory.reserved(to)
                             : kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
  const bool from_device = kind == cudaMemcpyDefault
                               ? memory.reserved(from)
                               : kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
  if (!check_range("cudaMemcpy", to, bytes, to_device) ||
      !check_range("cudaMemcpy", from, bytes, from_device)) {
    return result(cudaErrorInvalidValue);
  }
  cudaError_t error = cudaSuccess;
  if (stream->capture != nullptr) {
    if (wait || (!to_device && !is_pinned(to))) {
      spoil_capture(*stream);
      return result(cudaErrorStreamCaptureUnsupported);
    }
    return result(enqueue(stream, [=] { copy_bytes(to, from, bytes); }));
  }
  if (settings().lazy && !from_device && !is_pinned(from)) {
    auto staged = std::make_shared<std::vector<unsigned char>>(bytes);
    std::memcpy(staged->data(), from, bytes);
    error = enqueue(stream, [=] { copy_bytes(to, staged->data(), bytes); });
  } else {
    error = enqueue(stream, [=] { copy_bytes(to, from, bytes); });
    wait = wait || (!to_device && !is_pinned(to));
  }
  if (error == cudaSuccess && wait) error = cudaStreamSynchronize(handle);
  return result(error);
}

cudaError_t set(void* to, int value, std::size_t bytes, cudaStream_t handle, bool wait) {
  const std::lock_guard lock(device_mutex());
  const auto stream = find_stream(handle);
  if (stream == nullptr) return result(cudaErrorInvalidResourceHandle);
  if (bytes == 0) return result(cudaSuccess);
  if (!check_range("cudaMemset", to, bytes, true)) return result(cudaErrorInvalidValue);
  const cudaError_t error = enqueue(stream, [=] {
    const DeviceMemory::Access access;
    std::memset(to, value, bytes);
    trace_host_copy(to, nullptr, bytes);
  });
  return result(error == cudaSuccess && wait ? cudaStreamSynchronize(handle) : error);
}

cudaError_t release(const char* call, void* memory) {
  std::string why;
  if (DeviceMemory::instance().release(memory, why)) return cudaSuccess;
  const bool fence = why.find("fence") != std::string::npos;
  if (fence) device_fault(FaultKind::memory_fence, fmt::format("found by {}: {}", call, why));
  if (!fence) fmt::print(stderr, "simt: {}({}): {}\n", call, memory, why);
  return cudaErrorInvalidValue;
}

}  // namespace

cudaError_t cudaMalloc(void** memory, std::size_t bytes) {
  const std::lock_guard lock(device_mutex());
  return allocate(memory, bytes, false);
}

cudaError_t cudaMallocAsync(void** memory, std::size_t bytes, cudaStream_t stream) {
  const std::lock_guard lock(device_mutex());
  const auto s = find_stream(stream);
  if (s == nullptr) return result(cudaErrorInvalidResourceHandle);
  if (spoil_capture(*s)) return result(cudaErrorStreamCaptureUnsupported);
  return allocate(memory, bytes, true);
}

cudaError_t cudaMallocFromPoolAsync(void** memory, std::size_t bytes, cudaMemPool_t, cudaStream_t stream) {
  return cudaMallocAsync(memory, bytes, stream);
}

cudaError_t cudaFree(void* memory) {
  const std::lock_guard lock(device_mutex());
  if (memory == nullptr) return result(cudaSuccess);
  run_all();
  return result(release("cudaFree", memory));
}

cudaError_t cudaFreeAsync(void* memory, cudaStream_t stream) {
  const std::lock_guard lock(device_mutex());
  const auto s = find_stream(stream);
  if (s == nullptr) return result(cudaErrorInvalidResourceHandle);
  if (memory == nullptr) return result(cudaSuccess);
  if (spoil_capture(*s)) return result(cudaErrorStreamCaptureUnsupported);
  const Allocation* const a = DeviceMemory::instance().find(memory);
  if (!settings().lazy || a == nullptr || !a->live) return result(release("cudaFreeAsync", memory));
  return result(enqueue(s, [memory] { release("cudaFreeAsync", memory); }));
}

cudaError_t cudaHostAlloc(void** memory, std::size_t bytes, unsigned) {
  const std::lock_guard lock(device_mutex());
  if (memory == nullptr) return result(cudaErrorInvalidValue);
  *memory = nullptr;
  if (bytes == 0) return result(cudaSuccess);
  *memory = std::aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
  if (*memory == nullptr) return result(cudaErrorMemoryAllocation);
  pinned()[reinterpret_cast<std::uintptr_t>(*memory)] = bytes;
  return result(cudaSuccess);
}

cudaError_t cudaMallocHost(void** memory, std::size_t bytes) {
  return cudaHostAlloc(memory, bytes, cudaHostAllocDefault);
}

cudaError_t cudaFreeHost(void* memory) {
  const std::lock_guard lock(device_mutex());
  if (memory == nullptr) return result(cudaSuccess);
  run_all();
  if (pinned().erase(reinterpret_cast<std::uintptr_t>(memory)) == 0) return result(cudaErrorInvalidValue);
  std::free(memory);
  return result(cudaSuccess);
}

cudaError_t cudaHostRegister(void* memory, std::size_t bytes, unsigned) {
  const std::lock_guard lock(device_mutex());
  if (memory == nullptr || bytes == 0) return result(cudaErrorInvalidValue);
  pinned()[reinterpret_cast<std::uintptr_t>(memory)] = bytes;
  return result(cudaSuccess);
}

cudaError_t cudaHostUnregister(void* memory) {
  const std::lock_guard lock(device_mutex());
  return result(pinned().erase(reinterpret_cast<std::uintptr_t>(memory)) != 0 ? cudaSuccess
                                                                              : cudaErrorInvalidValue);
}

cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
  return copy(to, from, bytes, kind, nullptr, kind != cudaMemcpyDeviceToDevice);
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  return copy(to, from, bytes, kind, stream, false);
}
cudaError_t cudaMemset(void* memory, int value, std::size_t bytes) {
  return set(memory, value, bytes, nullptr, false);
}
cudaError_t cudaMemsetAsync(void* memory, int value, std::size_t bytes, cudaStream_t stream) {
  return set(memory, value, bytes, stream, false);
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* pointer) {
  const std::lock_guard lock(device_mutex());
  if (attributes == nullptr) return result(cudaErrorInvalidValue);
  const Allocation* const a = DeviceMemory::instance().find(pointer);
  void* const p = const_cast<void*>(pointer);
  *attributes = {cudaMemoryTypeUnregistered, -1, nullptr, p};
  if (is_pinned(pointer)) *attributes = {cudaMemoryTypeHost, 0, p, p};
  if (a != nullptr && a->live) *attributes = {cudaMemoryTypeDevice, 0, p, nullptr};
  return result(cudaSuccess);
}

cudaError_t cudaMemGetInfo(std::size_t* available, std::size_t* total) {
  const std::lock_guard lock(device_mutex());
  const DeviceMemory& memory = DeviceMemory::instance();
  *total = settings().memory;
  const std::size_t taken = memory.used() + memory.pool_cached();
  *available = *total - std::min(*total, taken);
  return result(cudaSuccess);
}

cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t* pool, int device) {
  static char only = 0;
  if (device != 0) return result(cudaErrorInvalidDevice);
  *pool = reinterpret_cast<cudaMemPool_t>(&only);
  return result(cudaSuccess);
}
cudaError_t cudaDeviceGetMemPool(cudaMemPool_t* pool, int device) {
  return cudaDeviceGetDefaultMemPool(pool, device);
}

cudaError_t cudaMemPoolTrimTo(cudaMemPool_t, std::size_t keep) {
  const std::lock_guard lock(device_mutex());
  DeviceMemory::instance().trim(keep);
  return result(cudaSuccess);
}

cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t, cudaMemPoolAttr attribute, void* value) {
  const std::lock_guard lock(device_mutex());
  if (attribute == cudaMemPoolAttrReleaseThreshold) {
    DeviceMemory::instance().release_threshold = *static_cast<std::uint64_t*>(value);
  } else if (attribute == cudaMemPoolAttrReservedMemHigh || attribute == cudaMemPoolAttrUsedMemHigh) {
    if (*static_cast<std::uint64_t*>(value) != 0) return result(cudaErrorInvalidValue);
    DeviceMemory::instance().reset_high();
  } else if (attribute > cudaMemPoolReuseAllowInternalDependencies) {
    return result(cudaErrorInvalidValue);
  }
  return result(cudaSuccess);
}

cudaError_t cudaMemPoolGetAttribute(cudaMemPool_t, cudaMemPoolAttr attribute, void* value) {
  const std::lock_guard lock(device_mutex());
  const DeviceMemory& memory = DeviceMemory::instance();
  auto& number = *static_cast<std::uint64_t*>(value);
  switch (attribute) {
    case cudaMemPoolAttrReleaseThreshold:
      number = memory.release_threshold;
      break;
    case cudaMemPoolAttrReservedMemCurrent:
      number = memory.pool_used() + memory.pool_cached();
      break;
    case cudaMemPoolAttrReservedMemHigh:
      number = memory.pool_reserved_high();
      break;
    case cudaMemPoolAttrUsedMemCurrent:
      number = memory.pool_used();
      break;
    case cudaMemPoolAttrUsedMemHigh:
      number = memory.pool_used_high();
      break;
    default:
      *static_cast<int*>(value) = 1;
  }
  return result(cudaSuccess);
}

}  // namespace isobit::emulator
