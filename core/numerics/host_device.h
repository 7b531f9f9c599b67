// HOST_DEVICE marks what the host compiler and nvcc both compile: the functions that the two sides of the
// seam share.
#pragma once

#ifdef __CUDACC__
#define HOST_DEVICE __host__ __device__
#elif defined(ISOBIT_SIMT_FMA)
// Executed on the CPU for the device simt (cuda/host/CMakeLists.txt), with the fma instruction.
#define HOST_DEVICE __attribute__((target("fma")))
#else
#define HOST_DEVICE
#endif
