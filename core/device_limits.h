// What a backend is besides, when it has kernels that measure what its device can do at most
// (isobit/device_limits.h, which says what these promise).
#pragma once
#include <isobit/device_limits.h>

namespace isobit {

class HasLimits {
 public:
  virtual ~HasLimits() = default;
  virtual DeviceLimits measure_limits(int peak_rounds, int bandwidth_rounds) = 0;
  virtual std::int64_t cache_bytes() const = 0;
  virtual void flush_cache() = 0;
  virtual bool is_emulated() const = 0;
};

}  // namespace isobit
