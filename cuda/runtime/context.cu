#include "cuda/runtime/context.cuh"

#include <isobit/error.h>

#include <atomic>
#include <mutex>
#include <vector>

namespace isobit::gpu {
namespace {

constexpr int kMaxDevices = 64;
std::atomic<Context*> contexts[kMaxDevices];

}  // namespace

Context* existing_context(int device) noexcept {
  return device >= 0 && device < kMaxDevices ? contexts[device].load(std::memory_order_acquire) : nullptr;
}

void forget_device(int device) {
  // The context's stream and pool went with the reset, so there is nothing to destroy; tensors of before may
  // still ask it, so it stays.
  static std::mutex mutex;
  static auto& forgotten = *new std::vector<Context*>;  // tensors may outlive static objects
  if (device >= 0 && device < kMaxDevices) {
    const std::lock_guard lock(mutex);
    if (Context* const context = contexts[device].exchange(nullptr)) forgotten.push_back(context);
  }
  forget_lost(device);
}

Context& current_context() {
  int device = 0;
  check(cudaGetDevice(&device), "cudaGetDevice");
  if (Context* context = existing_context(device)) [[likely]]
    return *context;
  if (device < 0 || device >= kMaxDevices)
    fail("cuda", "device {}, at most {} are served", device, kMaxDevices);
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  if (existing_context(device) == nullptr)
    contexts[device].store(new Context(device),
                           std::memory_order_release);  // tensors may outlive static objects
  return *contexts[device];
}

}  // namespace isobit::gpu
