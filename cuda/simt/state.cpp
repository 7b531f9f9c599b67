// Settings, the first fault, and the errors of the API.
#include <fmt/format.h>

#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string_view>

#include "cuda/simt/device_state.h"
#include "cuda/simt/memory.h"
#include "cuda/simt/runtime_api.h"
#include "cuda/simt/streams.h"

namespace isobit::emulator {
namespace {

bool is_on(const char* variable) {
  const char* const text = std::getenv(variable);
  return text != nullptr && *text != '\0' && std::string_view(text) != "0";
}

Settings from_environment() {
  Settings s;
  if (const char* const text = std::getenv("ISOBIT_SIMT_SCHEDULE")) {
    const std::string_view schedule = text;
    if (schedule == "reverse") s.schedule = Schedule::reverse;
    if (schedule == "ahead") s.schedule = Schedule::ahead;
    if (schedule.substr(0, 8) == "shuffled") {
      s.schedule = Schedule::shuffled;
      if (schedule.size() > 9) s.seed = std::strtoull(text + 9, nullptr, 10);
    } else if (s.schedule == Schedule::forward && schedule != "forward" && !schedule.empty()) {
      fmt::print(stderr,
                 "simt: ISOBIT_SIMT_SCHEDULE={} is none of forward, reverse, shuffled[:SEED], ahead\n", text);
      std::abort();
    }
  }
  s.protect = is_on("ISOBIT_SIMT_PROTECT");
  s.lazy = is_on("ISOBIT_SIMT_LAZY");
  if (const char* const text = std::getenv("ISOBIT_SIMT_MEMORY")) s.memory = std::strtoull(text, nullptr, 10);
  if (const char* const text = std::getenv("ISOBIT_THREADS")) s.threads = std::atoi(text);
  return s;
}

Settings& current_settings() {
  static Settings s = from_environment();
  return s;
}

struct FaultState {
  std::mutex mutex;
  Fault fault;
  cudaError_t error = cudaSuccess;
};
FaultState& fault_state() {
  static FaultState& state = *new FaultState;
  return state;
}

constinit thread_local cudaError_t last_error = cudaSuccess;

cudaError_t error_of(FaultKind kind) {
  switch (kind) {
    case FaultKind::none:
      return cudaSuccess;
    case FaultKind::out_of_bounds:
    case FaultKind::use_after_free:
    case FaultKind::host_pointer:
    case FaultKind::memory_fence:
    case FaultKind::shared_fence:
      return cudaErrorIllegalAddress;
    case FaultKind::misaligned:
      return cudaErrorMisalignedAddress;
    case FaultKind::deadlock:
      return cudaErrorLaunchTimeout;
    case FaultKind::bad_mask:
    case FaultKind::bad_lane:
    case FaultKind::trap:
      return cudaErrorIllegalInstruction;
    default:
      return cudaErrorLaunchFailure;
  }
}

struct ErrorText {
  cudaError_t error;
  const char* name;
  const char* text;
};
constexpr ErrorText kErrors[] = {
    {cudaSuccess, "cudaSuccess", "no error"},
    {cudaErrorInvalidValue, "cudaErrorInvalidValue", "invalid argument"},
    {cudaErrorMemoryAllocation, "cudaErrorMemoryAllocation", "out of memory"},
    {cudaErrorInitializationError, "cudaErrorInitializationError", "initialization error"},
    {cudaErrorInvalidConfiguration, "cudaErrorInvalidConfiguration", "invalid configuration argument"},
    {cudaErrorInvalidMemcpyDirection, "cudaErrorInvalidMemcpyDirection", "invalid copy direction for memcpy"},
    {cudaErrorInsufficientDriver, "cudaErrorInsufficientDriver",
     "CUDA driver version is insufficient for CUDA runtime version"},
    {cudaErrorInvalidDeviceFunction, "cudaErrorInvalidDeviceFunction", "invalid device function"},
    {cudaErrorNoDevice, "cudaErrorNoDevice", "no CUDA-capable device is detected"},
    {cudaErrorInvalidDevice, "cudaErrorInvalidDevice", "invalid device ordinal"},
    {cudaErrorNoKernelImageForDevice, "cudaErrorNoKernelImageForDevice",
     "no kernel image is available for execution on the device"},
    {cudaErrorInvalidResourceHandle, "cudaErrorInvalidResourceHandle", "invalid resource handle"},
    {cudaErrorNotReady, "cudaErrorNotReady", "device not ready"},
    {cudaErrorIllegalAddress, "cudaErrorIllegalAddress", "an illegal memory access was encountered"},
    {cudaErrorLaunchOutOfResources, "cudaErrorLaunchOutOfResources",
     "too many resources requested for launch"},
    {cudaErrorLaunchTimeout, "cudaErrorLaunchTimeout", "the launch timed out and was terminated"},
    {cudaErrorAssert, "cudaErrorAssert", "device-side assert triggered"},
    {cudaErrorIllegalInstruction, "cudaErrorIllegalInstruction", "an illegal instruction was encountered"},
    {cudaErrorMisalignedAddress, "cudaErrorMisalignedAddress", "misaligned address"},
    {cudaErrorLaunchFailure, "cudaErrorLaunchFailure", "unspecified launch failure"},
    {cudaErrorNotPermitted, "cudaErrorNotPermitted", "operation not permitted"},
    {cudaErrorNotSupported, "cudaErrorNotSupported", "operation not supported"},
    {cudaErrorUnknown, "cudaErrorUnknown", "unknown error"},
};
const ErrorText& text_of(cudaError_t error) {
  for (const ErrorText& e : kErrors) {
    if (e.error == error) return e;
  }
  static constexpr ErrorText kNone{cudaErrorUnknown, "unrecognized error code", "unrecognized error code"};
  return kNone;
}

constexpr const char* kFaultNames[] = {
    "none",
    "divergent barrier",
    "returned before a barrier",
    "bad mask",
    "bad lane",
    "mixed collectives",
    "deadlock",
    "shared memory limit",
    "shared fence",
    "bad asynchronous copy",
    "out of bounds",
    "use after free",
    "misaligned",
    "uninitialised",
    "pending copy",
    "host pointer",
    "shared race",
    "global race",
    "memory fence",
    "trap",
};

}  // namespace

const char* name_of(FaultKind kind) {
  return kFaultNames[static_cast<int>(kind)];
}

std::recursive_mutex& device_mutex() {
  static std::recursive_mutex& mutex = *new std::recursive_mutex;
  return mutex;
}

Settings settings() {
  return current_settings();
}

void configure(const Settings& settings) {
  const std::lock_guard lock(device_mutex());
  run_all();
  current_settings() = settings;
  const DeviceMemory::Access takes_effect;
}

void device_fault(FaultKind kind, const std::string& text) {
  FaultState& state = fault_state();
  const std::lock_guard lock(state.mutex);
  if (state.error != cudaSuccess) return;
  state.fault = {kind, text};
  state.error = error_of(kind);
  fmt::print(stderr, "simt: {}: {}\n", name_of(kind), text);
}

Fault fault() {
  FaultState& state = fault_state();
  const std::lock_guard lock(state.mutex);
  return state.fault;
}

cudaError_t sticky_error() {
  FaultState& state = fault_state();
  const std::lock_guard lock(state.mutex);
  return state.error;
}

void forget_fault() {
  FaultState& state = fault_state();
  const std::lock_guard lock(state.mutex);
  state.fault = {};
  state.error = cudaSuccess;
  last_error = cudaSuccess;
}

cudaError_t result(cudaError_t error) {
  const cudaError_t sticky = sticky_error();
  if (sticky != cudaSuccess) error = sticky;
  if (error != cudaSuccess) last_error = error;
  return error;
}

cudaError_t cudaGetLastError() {
  const cudaError_t sticky = sticky_error();
  const cudaError_t error = sticky != cudaSuccess ? sticky : last_error;
  last_error = cudaSuccess;
  return error;
}

cudaError_t cudaPeekAtLastError() {
  const cudaError_t sticky = sticky_error();
  return sticky != cudaSuccess ? sticky : last_error;
}

const char* cudaGetErrorName(cudaError_t error) {
  return text_of(error).name;
}
const char* cudaGetErrorString(cudaError_t error) {
  return text_of(error).text;
}

}  // namespace isobit::emulator
