// Errors of CUDA calls, in words; the first error that loses a device is kept.
#include "cuda/runtime/check.cuh"

#include <isobit/device_error.h>

#include <array>
#include <atomic>
#include <mutex>

#include "cuda/runtime/graph.cuh"
#include "cuda/runtime/guard.cuh"

namespace isobit::gpu {
namespace {

constexpr int kMaxDevices = 64;
constexpr unsigned kRemembered = 8;

struct Health {
  std::atomic<bool> lost{false};
  std::mutex mutex;  // of the message
  std::string kernel, message;
  // The newest launches, by the kernel of the seam: literals, so that reading one that is being replaced is
  // harmless.
  std::array<std::atomic<const char*>, kRemembered> launches{};
  std::atomic<unsigned> next{0};
};

Health& health(int device) {
  static Health* const all = new Health[kMaxDevices];  // never destroyed: tensors may outlive static objects
  return all[device >= 0 && device < kMaxDevices ? device : 0];
}

std::string recent_launches(Health& h) {
  std::string names;
  const unsigned next = h.next.load(std::memory_order_relaxed);
  for (unsigned i = 1; i <= kRemembered; ++i) {
    const char* name = h.launches[(next - i) % kRemembered].load(std::memory_order_relaxed);
    if (name == nullptr) break;
    names += (names.empty() ? "" : ", ") + std::string(name);
  }
  return names;
}

const char* advice(cudaError_t status) {
  switch (status) {
    case cudaErrorNoKernelImageForDevice:
    case cudaErrorInvalidDeviceFunction:
      return "; this build has no code for this GPU: build with -DISOBIT_CUDA_ARCHITECTURES=<its compute "
             "capability>";
    case cudaErrorInsufficientDriver:
      return "; install a newer NVIDIA driver";
    case cudaErrorStreamCaptureUnsupported:
    case cudaErrorStreamCaptureInvalidated:
      return "; while a step is recorded as a graph, nobody may wait for its work or for the whole device";
#ifdef __CUDACC__  // the emulated device has no PTX
    case cudaErrorUnsupportedPtxVersion:
      return "; the driver is older than the toolkit that wrote this build's PTX: install a newer NVIDIA "
             "driver, "
             "or build machine code for this GPU with -DISOBIT_CUDA_ARCHITECTURES=<its compute capability>";
#endif
    default:
      return "";
  }
}

}  // namespace

void throw_if_lost(int device) {
  Health& h = health(device);
  if (!h.lost.load(std::memory_order_acquire)) [[likely]]
    return;
  const std::lock_guard lock(h.mutex);
  throw DeviceError(h.kernel, h.message);
}

void remember_launch(int device, const char* kernel) {
  Health& h = health(device);
  h.launches[h.next.fetch_add(1, std::memory_order_relaxed) % kRemembered].store(kernel,
                                                                                 std::memory_order_relaxed);
}

void forget_launches(int device) {
  Health& h = health(device);
  for (auto& launch : h.launches) launch.store(nullptr, std::memory_order_relaxed);
}

void forget_lost(int device) {
  health(device).lost.store(false, std::memory_order_release);
  forget_launches(device);
}

void check(cudaError_t status, const char* call, const char* file, int line) {
  if (status == cudaSuccess) [[likely]]
    return;
  const char* running = current_kernel();
  const std::string op = running != nullptr ? running : "cuda";
  cudaGetLastError();  // an error that passes is not to be found by the next call
  int device = 0;
  if (cudaGetDevice(&device) != cudaSuccess) device = 0;
  if (status == cudaErrorMemoryAllocation)
    throw OutOfMemory(op,
                      fmt::format("{} on {}: out of memory ({}:{})", call, device_name(device), file, line));
  std::string message =
      fmt::format("{} on {} failed: {} ({}){} ({}:{})", call, device_name(device), cudaGetErrorString(status),
                  cudaGetErrorName(status), advice(status), file, line);
  // What loses the context makes every later call fail; everything else ends with its call. While a graph is
  // recorded, here or on another thread, CUDA refuses to wait: the calls after the recording will tell.
  const cudaError_t later = Recorder::current() != nullptr ? cudaSuccess : cudaDeviceSynchronize();
  if (later == cudaErrorStreamCaptureUnsupported) cudaGetLastError();
  if (later == cudaSuccess || later == cudaErrorStreamCaptureUnsupported) throw DeviceError(op, message);
  cudaGetLastError();
  Health& h = health(device);
  {
    const std::lock_guard lock(h.mutex);
    if (!h.lost.load(std::memory_order_relaxed)) {
      const std::string recent = recent_launches(h);
      if (!recent.empty())
        message += fmt::format("; the newest launches: {}{}", recent,
                               sync_wanted() ? "" : "; ISOBIT_SYNC=1 tells which of them it was");
      message +=
          fmt::format("; {} cannot be used again by this process, other devices can", device_name(device));
      h.kernel = op;
      h.message = message;
      h.lost.store(true, std::memory_order_release);
    }
  }
  throw_if_lost(device);
}

}  // namespace isobit::gpu
