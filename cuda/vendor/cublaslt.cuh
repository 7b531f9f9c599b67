// cuBLASLt, loaded when it is first asked for, so that nobody needs it. simt has a stand-in that checks every
// argument and computes on the host.
#pragma once
#include <string>

#include "cuda/runtime/platform.cuh"
#ifdef __CUDACC__
#include <cublasLt.h>
#else
#include "cuda/simt/cublaslt.h"
namespace isobit::gpu {
using namespace ::isobit::emulator;
}
#endif

namespace isobit::gpu::vendor {

/// The functions that are called, and why they cannot be.
struct CublasLt {
  decltype(&cublasLtCreate) create = nullptr;
  decltype(&cublasLtGetStatusName) status_name = nullptr;
  decltype(&cublasLtGetStatusString) status_text = nullptr;
  decltype(&cublasLtMatrixLayoutCreate) layout_create = nullptr;
  decltype(&cublasLtMatrixLayoutDestroy) layout_destroy = nullptr;
  decltype(&cublasLtMatrixLayoutSetAttribute) layout_set = nullptr;
  decltype(&cublasLtMatmulDescCreate) product_create = nullptr;
  decltype(&cublasLtMatmulDescDestroy) product_destroy = nullptr;
  decltype(&cublasLtMatmulDescSetAttribute) product_set = nullptr;
  decltype(&cublasLtMatmulPreferenceCreate) preference_create = nullptr;
  decltype(&cublasLtMatmulPreferenceDestroy) preference_destroy = nullptr;
  decltype(&cublasLtMatmulPreferenceSetAttribute) preference_set = nullptr;
  decltype(&cublasLtMatmulAlgoGetHeuristic) find = nullptr;
  decltype(&cublasLtMatmul) matmul = nullptr;
  std::string missing;  ///< empty when all are there
};

/// Loaded once per process and kept.
const CublasLt& cublas_lt();

/// The library's handle for the device that is current; null, and the reason in `why`, when it gives none.
cublasLtHandle_t cublas_lt_handle(const char*& why);

}  // namespace isobit::gpu::vendor
