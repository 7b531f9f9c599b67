// What a device can do at most, measured now by kernels that do nothing else: what shares of the peak and of
// the bandwidth are of; and its second-level cache, for times that start with nothing in it.
#pragma once
#include <isobit/device.h>

#include <cstdint>
#include <string>
#include <vector>

namespace isobit {

/// Rates that were reached; what was not asked for is empty or 0.
struct DeviceLimits {
  /// "f32", "f64": multiply-adds from registers; "tf32", "f16", "bf16": products of matrix units with sums in
  /// f32, where the device has them.
  struct Unit {
    std::string name;
    double gflops = 0;  ///< 1e9 operations a second; a multiply-add counts two
  };
  std::vector<Unit> units;
  double stream_gbs = 0;  ///< 1e9 bytes a second, read and written: a copy of what no cache holds
  double update_gbs = 0;  ///< the same of y = y + a * x
};

/// Measures on the device, by its own clock, and keeps the best of `peak_rounds` runs of every unit and of
/// `bandwidth_rounds` of every stream, each of some milliseconds; 0 rounds: not measured. Every run's result
/// is held against what it must be. Throws Error for a device that has no such kernels (the CPU: isobit bench
/// brings its own), for one that computes wrongly, and OutOfMemory without room for two tensors of four times
/// its cache.
DeviceLimits measure_limits(Device device, int peak_rounds, int bandwidth_rounds);

/// Bytes of the cache between the device and its memory; 0 for a device that has no such kernels.
std::int64_t device_cache_bytes(Device device);

/// Writes twice as many bytes, in the order of this thread's work: what comes next finds nothing of its own
/// in the cache. Throws Error where device_cache_bytes is 0.
void flush_cache(Device device);

/// Whether the device is executed by the CPU (simt): its times say nothing of a GPU.
bool is_emulated(Device device);

}  // namespace isobit
