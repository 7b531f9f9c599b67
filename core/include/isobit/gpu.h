// isobit among other code for GPUs: raw pointers, streams, memory of others. Without a header of CUDA: a
// stream is a void* that holds a cudaStream_t. (tests/consumer/cuda/ is an op of a user's own, written with
// these.)
//
// A tensor's device pointer is t.raw() for reading and t.mutable_raw() for writing. Kernels of your own go to
// stream_of(device): then they are in order with isobit's. isobit's own stream is ordered with CUDA's default
// stream as well, so that kernels launched without naming a stream are right, if slower.
#pragma once
#include <isobit/tensor.h>

#include <functional>
#include <memory>

namespace isobit {

/// The stream that this thread's work on the device goes to; null for a device that has none (the CPU).
void* stream_of(Device device);

/// While one lives, this thread's work on the device goes to the caller's stream instead of isobit's own.
/// What is given to either is ordered after all that the other got before: nothing needs to be synchronised
/// by hand. Tensors that other threads use meanwhile need an order of the caller's making.
class UseStream {
 public:
  /// Throws Error for a device without streams.
  UseStream(Device device, void* stream);
  ~UseStream();
  UseStream(const UseStream&) = delete;
  UseStream& operator=(const UseStream&) = delete;

 private:
  Device device_;
  void* outer_ = nullptr;
  bool outer_own_ = true;
};

/// A tensor over the caller's memory on options.device, without a copy: contiguous, aligned to its elements.
/// `release` is called once, on the host, when the last tensor over it is gone; work that reads the memory
/// may then still be queued on stream_of(device), so give it back in that stream's order (cudaFreeAsync) or
/// synchronise first. The memory may be written by others: then it is theirs to keep a tensor that a gradient
/// needs from changing. Throws Error for null memory of a tensor that has elements, and for a misaligned
/// pointer.
Tensor from_memory(void* data, const Shape& shape, TensorOptions options = {},
                   std::function<void()> release = {});

/// For who lends t.raw() to others that may write there (NumPy, PyTorch): from now on what a gradient needs
/// of this storage is checked for changes by its values, as that of from_memory is.
void share_memory(const Tensor& t);

}  // namespace isobit
