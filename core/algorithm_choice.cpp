// The public side of the algorithm lists (isobit/algorithms.h).
#include <isobit/algorithms.h>

#include "core/backend.h"
#include "core/fast_algorithms.h"
#include "core/trace.h"

namespace isobit {

std::vector<std::string> algorithms(Device device, std::string_view kernel) {
  return backend(device).algorithms(kernel);
}

std::vector<std::string> fast_algorithms(Device device, std::string_view kernel) {
  Backend& b = backend(device);
  b.algorithms(kernel);  // throws when there is no such kernel
  const auto* fast = dynamic_cast<const HasFastAlgorithms*>(&b);
  return fast != nullptr ? fast->fast_algorithms(kernel) : std::vector<std::string>();
}

std::string why_no_fast_mode(Device device) {
  const auto* fast = dynamic_cast<const HasFastAlgorithms*>(&backend(device));
  return fast != nullptr ? fast->why_no_fast_mode() : "it has no fast mode";
}

ForcedAlgorithm::ForcedAlgorithm(Device device, std::string kernel, std::string_view algorithm)
    : device_(device), kernel_(std::move(kernel)) {
  backend(device_).force_algorithm(kernel_, algorithm);
}

ForcedAlgorithm::~ForcedAlgorithm() {
  // The kernel exists, and the empty name is known to every list: nothing to throw.
  backend(device_).force_algorithm(kernel_, "");
}

ServedCalls::ServedCalls() : capture_(std::make_unique<TraceCapture>()) {}
ServedCalls::~ServedCalls() = default;

std::map<std::pair<std::string, std::string>, std::int64_t> ServedCalls::counts() const {
  return capture_->counts();
}

}  // namespace isobit
