// Which algorithm serves a kernel, and the choice of another: for those who measure, and for those who look
// for a difference. No choice changes a bit of any result.
#pragma once
#include <isobit/device.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace isobit {

class TraceCapture;

/// The algorithms of a kernel of the seam ("conv_forward", "max_pool"), in order of preference: the first
/// that does not refuse a problem serves it. Throws Error that lists the kernels there are.
std::vector<std::string> algorithms(Device device, std::string_view kernel);

/// Those of fast mode (isobit/arithmetic.h), in order of preference: looked at before the others when it is
/// asked for, and never otherwise. Throws Error that lists the kernels there are.
std::vector<std::string> fast_algorithms(Device device, std::string_view kernel);

/// Why none of them is chosen on this machine, whatever the problem ("this processor has no AMX"), so that
/// every arithmetic is computed exactly; empty where some are.
std::string why_no_fast_mode(Device device);

/// While alive, `kernel` on `device` runs `algorithm`, in all threads, or throws Error with its reason to
/// refuse; afterwards the device chooses again. One at a time for a kernel. Throws Error that lists what
/// there is when there is no such kernel or algorithm.
class ForcedAlgorithm {
 public:
  ForcedAlgorithm(Device device, std::string kernel, std::string_view algorithm);
  ~ForcedAlgorithm();
  ForcedAlgorithm(const ForcedAlgorithm&) = delete;
  ForcedAlgorithm& operator=(const ForcedAlgorithm&) = delete;

 private:
  Device device_;
  std::string kernel_;
};

/// Counts the kernel calls made while it lives, on all devices and threads, by kernel and the algorithm that
/// served it.
class ServedCalls {
 public:
  ServedCalls();
  ~ServedCalls();
  ServedCalls(const ServedCalls&) = delete;
  ServedCalls& operator=(const ServedCalls&) = delete;
  /// {kernel, algorithm} to calls.
  std::map<std::pair<std::string, std::string>, std::int64_t> counts() const;

 private:
  std::unique_ptr<TraceCapture> capture_;
};

}  // namespace isobit
