// CUDA's functions for the device and for kernels, and the launch.
#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <unordered_map>

#include "cuda/simt/device_state.h"
#include "cuda/simt/graphs.h"
#include "cuda/simt/launch.h"
#include "cuda/simt/memory.h"
#include "cuda/simt/runner.h"
#include "cuda/simt/runtime_api.h"
#include "cuda/simt/streams.h"
#include "cuda/simt/tracer_hooks.h"
#include "cuda/simt/worker_pool.h"

namespace isobit::emulator {

const TracerHooks* tracer = nullptr;

namespace {

constexpr std::size_t kDynamicDefault = 48 << 10;
constexpr int kMajor = 8, kMinor = 0, kMultiprocessors = 16;

std::unordered_map<const void*, std::size_t>& allowed_shared() {
  static auto& allowed = *new std::unordered_map<const void*, std::size_t>;
  return allowed;
}

// Why this cannot be launched; cudaSuccess when it can.
cudaError_t check_launch(const void* kernel, dim3 grid, dim3 block, std::size_t shared) {
  const std::uint64_t threads = std::uint64_t{block.x} * block.y * block.z;
  std::string wrong;
  cudaError_t error = cudaErrorInvalidConfiguration;
  if (threads == 0 || block.x > 1024 || block.y > 1024 || block.z > 64 || threads > kMaxThreads) {
    wrong = fmt::format("a block of {} x {} x {} threads", block.x, block.y, block.z);
  } else if (grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.x > 0x7fffffffu || grid.y > 65535 ||
             grid.z > 65535) {
    wrong = fmt::format("a grid of {} x {} x {} blocks", grid.x, grid.y, grid.z);
  } else {
    const auto it = allowed_shared().find(kernel);
    const std::size_t limit = it == allowed_shared().end() ? kDynamicDefault : it->second;
    if (shared <= limit) return cudaSuccess;
    error = cudaErrorInvalidValue;
    wrong = fmt::format("{} bytes of dynamic shared memory; the kernel may have {}", shared, limit);
  }
  fmt::print(stderr, "simt: kernel {} was not launched: {}\n", kernel_name(kernel), wrong);
  return error;
}

void execute(Launch& launch) {
  const DeviceMemory::Access access;
  if (tracer != nullptr) tracer->launching();
  run_on_workers(launch);
}

}  // namespace

namespace detail {

void enqueue_launch(const Callable& callable, const void* payload, dim3 grid, dim3 block, std::size_t shared,
                    cudaStream_t handle) {
  const std::lock_guard lock(device_mutex());
  const auto stream = find_stream(handle);
  if (stream == nullptr) {
    result(cudaErrorInvalidResourceHandle);
    return;
  }
  if (const cudaError_t error = check_launch(callable.kernel, grid, block, shared); error != cudaSuccess) {
    result(error);
    return;
  }
  const auto run = [=](const void* arguments) {
    Launch launch;
    launch.invoke = callable.invoke;
    launch.payload = arguments;
    launch.payload_bytes = callable.payload_bytes;
    launch.kernel = callable.kernel;
    launch.grid = grid;
    launch.block = block;
    launch.shared = shared;
    launch.schedule = settings().schedule;
    launch.seed = settings().seed;
    execute(launch);
  };
  if (!settings().lazy && stream->tasks.empty() && stream->capture == nullptr) {
    result(enqueue(stream, [&] { run(payload); }));
    return;
  }
  struct alignas(16) Unit {
    unsigned char bytes[16];
  };
  std::shared_ptr<Unit[]> copy(new Unit[(callable.payload_bytes + sizeof(Unit) - 1) / sizeof(Unit)]);
  std::memcpy(copy.get(), payload, callable.payload_bytes);
  if (stream->capture != nullptr) {
    stream->capture->add({run, Payload(copy, copy.get()), callable.kernel, callable.pack});
    result(cudaSuccess);
    return;
  }
  result(enqueue(stream, [=] { run(copy.get()); }));
}

}  // namespace detail

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return result(cudaSuccess);
}
cudaError_t cudaSetDevice(int device) {
  return result(device == 0 ? cudaSuccess : cudaErrorInvalidDevice);
}
cudaError_t cudaGetDevice(int* device) {
  *device = 0;
  return result(cudaSuccess);
}
cudaError_t cudaDriverGetVersion(int* version) {
  *version = 13000;
  return result(cudaSuccess);
}
cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = 13000;
  return result(cudaSuccess);
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* p, int device) {
  if (p == nullptr) return result(cudaErrorInvalidValue);
  if (device != 0) return result(cudaErrorInvalidDevice);
  *p = {};
  std::strcpy(p->name, "simt: CUDA kernels executed on the CPU");
  p->totalGlobalMem = settings().memory;
  p->sharedMemPerBlock = SharedArena::kStaticLimit;
  p->sharedMemPerBlockOptin = SharedArena::kLimit;
  p->sharedMemPerMultiprocessor = 100 << 10;
  p->reservedSharedMemPerBlock = 1 << 10;
  p->totalConstMem = 64 << 10;
  p->regsPerBlock = 65536;
  p->warpSize = kWarp;
  p->maxThreadsPerBlock = kMaxThreads;
  p->maxThreadsDim[0] = p->maxThreadsDim[1] = 1024;
  p->maxThreadsDim[2] = 64;
  p->maxGridSize[0] = 0x7fffffff;
  p->maxGridSize[1] = p->maxGridSize[2] = 65535;
  p->major = kMajor;
  p->minor = kMinor;
  p->multiProcessorCount = kMultiprocessors;
  p->maxThreadsPerMultiProcessor = 2048;
  p->maxBlocksPerMultiProcessor = 32;
  p->concurrentKernels = p->unifiedAddressing = p->canMapHostMemory = p->memoryPoolsSupported = 1;
  p->asyncEngineCount = 2;
  p->memoryBusWidth = 256;
  p->l2CacheSize = 4 << 20;
  return result(cudaSuccess);
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  cudaDeviceProp p;
  if (value == nullptr) return result(cudaErrorInvalidValue);
  if (const cudaError_t error = cudaGetDeviceProperties(&p, device); error != cudaSuccess) return error;
  switch (attribute) {
    case cudaDevAttrMaxThreadsPerBlock:
      *value = p.maxThreadsPerBlock;
      break;
    case cudaDevAttrMaxBlockDimX:
    case cudaDevAttrMaxBlockDimY:
    case cudaDevAttrMaxBlockDimZ:
      *value = p.maxThreadsDim[attribute - cudaDevAttrMaxBlockDimX];
      break;
    case cudaDevAttrMaxGridDimX:
    case cudaDevAttrMaxGridDimY:
    case cudaDevAttrMaxGridDimZ:
      *value = p.maxGridSize[attribute - cudaDevAttrMaxGridDimX];
      break;
    case cudaDevAttrMaxSharedMemoryPerBlock:
      *value = static_cast<int>(p.sharedMemPerBlock);
      break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      *value = static_cast<int>(p.sharedMemPerBlockOptin);
      break;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
      *value = static_cast<int>(p.sharedMemPerMultiprocessor);
      break;
    case cudaDevAttrWarpSize:
      *value = p.warpSize;
      break;
    case cudaDevAttrMaxRegistersPerBlock:
      *value = p.regsPerBlock;
      break;
    case cudaDevAttrClockRate:
    case cudaDevAttrMemoryClockRate:
      *value = 1000000;
      break;
    case cudaDevAttrMultiProcessorCount:
      *value = p.multiProcessorCount;
      break;
    case cudaDevAttrGlobalMemoryBusWidth:
      *value = p.memoryBusWidth;
      break;
    case cudaDevAttrL2CacheSize:
      *value = p.l2CacheSize;
      break;
    case cudaDevAttrMaxThreadsPerMultiProcessor:
      *value = p.maxThreadsPerMultiProcessor;
      break;
    case cudaDevAttrUnifiedAddressing:
    case cudaDevAttrMemoryPoolsSupported:
      *value = 1;
      break;
    case cudaDevAttrComputeCapabilityMajor:
      *value = p.major;
      break;
    case cudaDevAttrComputeCapabilityMinor:
      *value = p.minor;
      break;
    case cudaDevAttrIntegrated:
    case cudaDevAttrComputeMode:
      *value = 0;
      break;
    default:
      return result(cudaErrorInvalidValue);
  }
  return result(cudaSuccess);
}

cudaError_t cudaDeviceSynchronize() {
  const std::lock_guard lock(device_mutex());
  if (spoil_captures()) return result(cudaErrorStreamCaptureUnsupported);
  run_all();
  DeviceMemory& memory = DeviceMemory::instance();
  if (const std::string broken = memory.broken_fence(); !broken.empty()) {
    device_fault(FaultKind::memory_fence, "found by cudaDeviceSynchronize: " + broken);
  }
  memory.trim(std::max<std::uint64_t>(memory.release_threshold, memory.pool_used()));
  return result(cudaSuccess);
}

cudaError_t cudaDeviceReset() {
  reset();
  return cudaSuccess;
}

void reset() {
  const std::lock_guard lock(device_mutex());
  forget_streams();
  DeviceMemory::instance().forget_all();
  allowed_shared().clear();
  forget_fault();
}

cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute attribute, int value) {
  const std::lock_guard lock(device_mutex());
  if (kernel == nullptr) return result(cudaErrorInvalidDeviceFunction);
  if (attribute == cudaFuncAttributePreferredSharedMemoryCarveout) return result(cudaSuccess);
  if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize || value < 0 ||
      static_cast<std::size_t>(value) > SharedArena::kLimit) {
    return result(cudaErrorInvalidValue);
  }
  allowed_shared()[kernel] = static_cast<std::size_t>(value);
  return result(cudaSuccess);
}

cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void* kernel) {
  const std::lock_guard lock(device_mutex());
  if (attributes == nullptr) return result(cudaErrorInvalidValue);
  if (kernel == nullptr) return result(cudaErrorInvalidDeviceFunction);
  const auto it = allowed_shared().find(kernel);
  *attributes = {};
  attributes->maxThreadsPerBlock = kMaxThreads;
  attributes->numRegs = 32;
  attributes->ptxVersion = attributes->binaryVersion = kMajor * 10 + kMinor;
  attributes->maxDynamicSharedSizeBytes =
      static_cast<int>(it == allowed_shared().end() ? kDynamicDefault : it->second);
  return result(cudaSuccess);
}

cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, const void* kernel, int threads,
                                                          std::size_t shared) {
  if (blocks == nullptr || threads <= 0 || threads > kMaxThreads) return result(cudaErrorInvalidValue);
  if (kernel == nullptr) return result(cudaErrorInvalidDeviceFunction);
  const int warps = (threads + kWarp - 1) / kWarp;
  *blocks = std::min(32, 64 / warps);
  if (shared > 0) *blocks = std::min(*blocks, static_cast<int>((100 << 10) / (shared + 1024)));
  return result(cudaSuccess);
}

}  // namespace isobit::emulator
