// Time on a device: by its own clock where it has one (events in a CUDA stream), else the host's.
#pragma once
#include <isobit/device.h>

#include <memory>

namespace isobit {

class StretchTimer;

/// Measures what this thread gives to the device between start() and stop(). May be used again.
class Timer {
 public:
  explicit Timer(Device device);
  ~Timer();
  Timer(Timer&&) noexcept;
  Timer& operator=(Timer&&) noexcept;
  void start();
  void stop();
  /// Waits for the end of the stretch.
  double seconds() const;

 private:
  std::unique_ptr<StretchTimer> timer_;
};

}  // namespace isobit
