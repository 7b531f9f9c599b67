// Streams, clocks and memory of others: isobit/gpu.h and isobit/timer.h over the seam.
#include <isobit/gpu.h>
#include <isobit/timer.h>

#include <cstdint>

#include "core/tensor/impl.h"

namespace isobit {

void* stream_of(Device device) {
  return backend(device).stream();
}

UseStream::UseStream(Device device, void* stream) : device_(device) {
  const StreamChoice outer = backend(device).choose_stream({stream, false});
  outer_ = outer.stream;
  outer_own_ = outer.own;
}

UseStream::~UseStream() {
  try {
    backend(device_).choose_stream({outer_, outer_own_});
  } catch (const Error&) {  // the device is lost; its next use says so
  }
}

Tensor from_memory(void* data, const Shape& shape, TensorOptions options, std::function<void()> release) {
  const std::int64_t bytes = shape.numel() * size_of(options.dtype);
  backend(options.device);  // throws for a device that is not there
  if (data == nullptr && bytes > 0)
    fail("from_memory", "null memory for a tensor of shape {}, {} bytes", shape, bytes);
  if (reinterpret_cast<std::uintptr_t>(data) % static_cast<std::uintptr_t>(size_of(options.dtype)) != 0)
    fail("from_memory", "the memory at {} is not aligned to {} elements ({} bytes each)", data, options.dtype,
         size_of(options.dtype));
  auto storage = std::make_unique<Storage>();
  storage->device = options.device;
  storage->foreign = true;
  storage->data = data;
  storage->bytes = bytes;
  auto impl = std::make_unique<TensorImpl>();
  impl->dtype = options.dtype;
  impl->shape = shape;
  storage->deleter = std::move(release);
  impl->storage = storage.release();
  return Tensor(TensorRef(impl.release()));
}

void share_memory(const Tensor& t) {
  body(t, "share_memory").storage->shared.store(true, std::memory_order_relaxed);
}

Timer::Timer(Device device) : timer_(backend(device).make_timer()) {}
Timer::~Timer() = default;
Timer::Timer(Timer&&) noexcept = default;
Timer& Timer::operator=(Timer&&) noexcept = default;
void Timer::start() {
  timer_->start();
}
void Timer::stop() {
  timer_->stop();
}
double Timer::seconds() const {
  return timer_->seconds();
}

}  // namespace isobit
