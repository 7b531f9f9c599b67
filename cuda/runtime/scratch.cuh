// Memory that a kernel's host function needs for the time of its launches: from the device's pool, in the
// stream's order.
#pragma once
#include <cstdint>

#include "cuda/runtime/platform.cuh"

namespace isobit::gpu {

/// Uninitialised, 256-byte aligned device memory; given back to the pool, in stream order, when it goes out
/// of scope.
class Scratch {
 public:
  explicit Scratch(std::int64_t bytes);
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  template <class T>
  T* as() const {
    return static_cast<T*>(data_);
  }

 private:
  void* data_ = nullptr;
  std::int64_t bytes_ = 0;
};

/// Copies host bytes to device memory in the stream's order (small tables: the bytes may be changed when this
/// returns).
void copy_to_device(void* destination, const void* host, std::int64_t bytes);

}  // namespace isobit::gpu
