// Elements in a device's memory, reached only by upload and download.
#pragma once
#include <cstdint>
#include <string>

#include "core/verify/array.h"

namespace isobit::verify {

class DeviceArray {
 public:
  enum class Kind {
    input,   ///< ends where its memory ends, so that tools which watch memory see a read beyond it
    output,  ///< between fences that must stand
  };
  /// Starts `skip` elements behind what the device aligns.
  DeviceArray(Backend& backend, const HostArray& content, std::int64_t skip, Kind kind);
  ~DeviceArray();
  DeviceArray(DeviceArray&& from) noexcept;
  DeviceArray& operator=(DeviceArray&&) = delete;
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;

  View view() const;
  /// The content it was made with is there again.
  void reset();
  /// Waits for the device.
  HostArray download() const;
  /// Empty, or what was written outside; as of the last download.
  const std::string& breach() const { return breach_; }

 private:
  Backend& backend_;
  DType dtype_;
  std::int64_t numel_, before_;       // before_: bytes in front of the first element
  std::vector<unsigned char> image_;  // of all of the memory
  void* memory_ = nullptr;
  mutable std::string breach_;
};

}  // namespace isobit::verify
