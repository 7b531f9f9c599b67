#include "core/device_limits.h"

#include <isobit/error.h>

#include "core/backend.h"

namespace isobit {
namespace {

HasLimits* limits_of(Device device) {
  return dynamic_cast<HasLimits*>(&backend(device));
}

HasLimits& must_have_limits(const char* op, Device device) {
  HasLimits* const limits = limits_of(device);
  if (limits == nullptr)
    fail(op, "{} has no kernels that measure what it can do, expected a GPU or simt", device);
  return *limits;
}

}  // namespace

DeviceLimits measure_limits(Device device, int peak_rounds, int bandwidth_rounds) {
  return must_have_limits("measure_limits", device).measure_limits(peak_rounds, bandwidth_rounds);
}

std::int64_t device_cache_bytes(Device device) {
  const HasLimits* const limits = limits_of(device);
  return limits == nullptr ? 0 : limits->cache_bytes();
}

void flush_cache(Device device) {
  must_have_limits("flush_cache", device).flush_cache();
}

bool is_emulated(Device device) {
  const HasLimits* const limits = limits_of(device);
  return limits != nullptr && limits->is_emulated();
}

}  // namespace isobit
