// Devices: where tensors live and kernels run.
#pragma once
#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace isobit {

/// A handle to one registered device. Devices are an open set: a backend registers itself under a name
/// (core/backend.h) and core never learns which kinds exist.
class Device {
 public:
  /// The CPU.
  Device() = default;
  static Device cpu() { return Device(); }
  /// CUDA device `index`; throws Error when this build or machine has none.
  static Device cuda(int index = 0);
  /// The CUDA kernels executed on the CPU; throws Error when this build lacks them.
  static Device simt();
  /// The first CUDA device if one answers, else the CPU.
  static Device best();
  /// "cpu", "cuda", "cuda:1", or the name of any registered device; throws Error that lists the devices there
  /// are.
  static Device parse(std::string_view name);

  std::string name() const;
  /// Position in the registry; for backends.
  int id() const { return id_; }
  static Device from_id(int id) { return Device(static_cast<std::uint8_t>(id)); }
  friend bool operator==(Device a, Device b) { return a.id_ == b.id_; }

 private:
  explicit Device(std::uint8_t id) : id_(id) {}
  std::uint8_t id_ = 0;
};

/// One line of what a device says of itself, e.g. {"instruction set", "avx512"}.
struct DeviceProperty {
  std::string name, value;
};
struct DeviceInfo {
  Device device;
  std::string name;
  std::vector<DeviceProperty> properties;
};
/// All registered devices, the CPU first.
std::vector<DeviceInfo> devices();
/// A device that could be here and is not: "cuda" of a build without CUDA or on a machine without a driver,
/// "cuda:1" of an architecture that this build has no code for.
struct MissingDevice {
  std::string name, reason;
};
std::vector<MissingDevice> missing_devices();

/// Of a device's caching pool, in bytes (a request is counted at its rounded size).
struct MemoryStats {
  std::int64_t current = 0;      ///< in use by tensors
  std::int64_t peak = 0;         ///< the most that was ever in use (since reset_peak_memory)
  std::int64_t cached = 0;       ///< free, kept for the next request
  std::int64_t allocations = 0;  ///< requests so far
  std::int64_t from_system = 0;  ///< requests that the cache could not serve
  /// What kernels hold beside tensors, for all threads together, and the most they held (since
  /// reset_peak_memory). Where kernels take their working memory from the pool, as on GPUs, it is part of
  /// `current` and `peak`, and these are 0.
  std::int64_t working = 0, working_peak = 0;
};
MemoryStats memory_stats(Device device = {});
void reset_peak_memory(Device device = {});
/// Hands cached memory back to the system.
void empty_cache(Device device = {});
/// Waits until all work queued on the device is done, and throws its first error.
void synchronize(Device device);

/// Threads that CPU kernels use: at least 1; throws Error otherwise. Changes no bit of any result.
/// The default is ISOBIT_THREADS, else the processors this process may run on.
void set_threads(int count);
int threads();

}  // namespace isobit

template <>
struct fmt::formatter<isobit::Device> : fmt::formatter<std::string> {
  auto format(isobit::Device d, fmt::format_context& context) const {
    return fmt::formatter<std::string>::format(d.name(), context);
  }
};
