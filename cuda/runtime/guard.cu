#include "cuda/runtime/guard.cuh"

#include <cstdlib>
#include <cstring>

#include "cuda/runtime/check.cuh"

namespace isobit::gpu {
namespace {

thread_local const char* running = nullptr;

}  // namespace

const char* current_kernel() {
  return running;
}

Guard::Guard(int device, const char* kernel) : outer_(running) {
  throw_if_lost(device);
  running = kernel;
  cudaError_t status = cudaGetDevice(&before_);
  if (status == cudaSuccess && before_ != device) {
    status = cudaSetDevice(device);
    changed_ = status == cudaSuccess;
  }
  if (status == cudaSuccess) return;
  running = outer_;
  check(status, "cudaSetDevice");
}

Guard::~Guard() {
  running = outer_;
  if (changed_) cudaSetDevice(before_);
}

bool sync_wanted() {
  static const bool wanted = [] {
    const char* value = std::getenv("ISOBIT_SYNC");
    return value != nullptr && *value != '\0' && std::strcmp(value, "0") != 0;
  }();
  return wanted;
}

}  // namespace isobit::gpu
