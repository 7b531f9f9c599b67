// HOST_DEVICE marks what the host compiler and nvcc both compile: the functions that the two sides of the
// seam share.
#pragma once

#ifdef __CUDACC__
#define HOST_DEVICE __host__ __device__
#else
#define HOST_DEVICE
#endif
