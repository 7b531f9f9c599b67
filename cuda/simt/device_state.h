// What the parts of the emulator tell each other; not for kernels nor for the runtime.
#pragma once
#include <cstddef>
#include <mutex>
#include <string>

#include "cuda/simt/emulator.h"
#include "cuda/simt/runtime_types.h"

namespace isobit::emulator {

/// One call of the API at a time; a callback may call again.
std::recursive_mutex& device_mutex();

/// Keeps the first fault and prints it to stderr; from then on every call returns its error.
void device_fault(FaultKind kind, const std::string& text);
/// cudaSuccess, or the error of the first fault.
cudaError_t sticky_error();
/// Remembers `error` for cudaGetLastError of this thread, and returns it; the sticky one goes before all.
cudaError_t result(cudaError_t error);
void forget_fault();

/// The kernel's name as far as symbols tell it, else its address.
std::string kernel_name(const void* kernel);

/// The kernel that was launched last, for faults that come from host code.
void forget_streams();

}  // namespace isobit::emulator
