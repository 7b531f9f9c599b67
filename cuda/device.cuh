// What a kernel file includes: CUDA under nvcc, its execution on the CPU (cuda/simt/) under the host
// compiler, and what both share. The same .cu files are compiled both ways; the build says what the namespace
// `gpu` is called: cuda or simt. (docs/adding-a-kernel.md)
//
//   template <int BM, int BN>
//   __global__ void __launch_bounds__(256) tile(Params p) {
//     SHARED(a_tile, float[BM][BN + 4]);  // a variable of the block, 16-byte aligned, not initialised
//     DYN_SHARED(rest, float);            // float* to the launch's dynamic shared memory
//     ...
//   }
//
// launch(tile<64, 64>, grid, 256, 0, params) is in cuda/runtime/launch.cuh.
#pragma once
#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#ifdef __CUDACC__
#include <cuda_runtime.h>
#define SHARED(name, ...) __shared__ __align__(16) std::type_identity_t<__VA_ARGS__> name
#define DYN_SHARED(name, type)                                           \
  extern __shared__ __align__(16) unsigned char dynamic_shared_memory[]; \
  type* const name = reinterpret_cast<type*>(dynamic_shared_memory)
#else
#include "cuda/simt/cuda.h"
#endif

#include "core/backend.h"
#include "core/numerics/fma.h"
#include "core/numerics/half.h"
#include "core/numerics/order.h"
#include "core/typed.h"
#include "cuda/runtime/launch.cuh"
#include "cuda/runtime/scratch.cuh"

#ifdef ISOBIT_SIMT_FMA
// Kernels use the fma instruction. What stands above, the inline functions of the standard library among it,
// is shared with the rest of the program and stays plain (cuda/host/CMakeLists.txt); so headers of others
// come before this one.
#pragma GCC target("fma")
#endif
