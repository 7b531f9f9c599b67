// What isobit keeps of one GPU: its stream and its memory pool, made at the first use of the device.
#pragma once
#include "cuda/runtime/memory_pool.cuh"
#include "cuda/runtime/stream.cuh"

namespace isobit::gpu {

class Context {
 public:
  /// Of a device that is current.
  explicit Context(int device) : device_(device), stream_(true), copy_stream_(false), pool_(device) {}
  int device() const { return device_; }
  cudaStream_t stream() const { return stream_.get(); }
  /// For copies that run beside kernels.
  cudaStream_t copy_stream() const { return copy_stream_.get(); }
  MemoryPool& pool() { return pool_; }

 private:
  int device_;
  Stream stream_, copy_stream_;
  MemoryPool pool_;
};

/// Of the device that is current; lives to the end of the process.
Context& current_context();
/// The same if it was made already, else null; never throws.
Context* existing_context(int device) noexcept;
/// After emulator::reset() or cudaDeviceReset(): the device starts anew, without the error that lost it. What
/// was allocated must not be used again.
void forget_device(int device);

}  // namespace isobit::gpu
