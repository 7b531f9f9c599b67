// threadIdx and its like: of the thread of the kernel that runs on this thread of the host.
#pragma once
#include "cuda/simt/vector_types.h"

namespace isobit::emulator {

// The model spares each read a call where the library is a shared one.
extern constinit thread_local uint3 threadIdx __attribute__((tls_model("initial-exec")));
extern constinit thread_local uint3 blockIdx __attribute__((tls_model("initial-exec")));
extern constinit thread_local dim3 blockDim __attribute__((tls_model("initial-exec")));
extern constinit thread_local dim3 gridDim __attribute__((tls_model("initial-exec")));
inline constexpr int warpSize = 32;

}  // namespace isobit::emulator
