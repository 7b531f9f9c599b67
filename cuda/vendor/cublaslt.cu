#include "cuda/vendor/cublaslt.cuh"

#include <fmt/format.h>

#include <array>
#include <mutex>

#include "cuda/runtime/check.cuh"
#ifdef __CUDACC__
#include <dlfcn.h>
#endif

namespace isobit::gpu::vendor {
namespace {

#ifdef __CUDACC__
CublasLt load() {
  CublasLt lt;
  const std::string name = fmt::format("libcublasLt.so.{}", CUBLAS_VER_MAJOR);
  void* const library = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    const char* const why = dlerror();
    lt.missing = fmt::format("cuBLASLt could not be loaded: {}", why != nullptr ? why : name);
    return lt;
  }
  const auto find = [&](auto& function, const char* symbol) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(library, symbol));
    if (function == nullptr) lt.missing = fmt::format("{} has no {}", name, symbol);
  };
  find(lt.create, "cublasLtCreate");
  find(lt.status_name, "cublasLtGetStatusName");
  find(lt.status_text, "cublasLtGetStatusString");
  find(lt.layout_create, "cublasLtMatrixLayoutCreate");
  find(lt.layout_destroy, "cublasLtMatrixLayoutDestroy");
  find(lt.layout_set, "cublasLtMatrixLayoutSetAttribute");
  find(lt.product_create, "cublasLtMatmulDescCreate");
  find(lt.product_destroy, "cublasLtMatmulDescDestroy");
  find(lt.product_set, "cublasLtMatmulDescSetAttribute");
  find(lt.preference_create, "cublasLtMatmulPreferenceCreate");
  find(lt.preference_destroy, "cublasLtMatmulPreferenceDestroy");
  find(lt.preference_set, "cublasLtMatmulPreferenceSetAttribute");
  find(lt.find, "cublasLtMatmulAlgoGetHeuristic");
  find(lt.matmul, "cublasLtMatmul");
  return lt;
}
#else
CublasLt load() {
  return {.create = cublasLtCreate,
          .status_name = cublasLtGetStatusName,
          .status_text = cublasLtGetStatusString,
          .layout_create = cublasLtMatrixLayoutCreate,
          .layout_destroy = cublasLtMatrixLayoutDestroy,
          .layout_set = cublasLtMatrixLayoutSetAttribute,
          .product_create = cublasLtMatmulDescCreate,
          .product_destroy = cublasLtMatmulDescDestroy,
          .product_set = cublasLtMatmulDescSetAttribute,
          .preference_create = cublasLtMatmulPreferenceCreate,
          .preference_destroy = cublasLtMatmulPreferenceDestroy,
          .preference_set = cublasLtMatmulPreferenceSetAttribute,
          .find = cublasLtMatmulAlgoGetHeuristic,
          .matmul = cublasLtMatmul,
          .missing = {}};
}
#endif

struct Handle {
  std::once_flag made;
  cublasLtHandle_t handle = nullptr;
  std::string why;
};

}  // namespace

const CublasLt& cublas_lt() {
  static const CublasLt& lt = *new CublasLt(load());  // kept: tensors may outlive static objects
  return lt;
}

cublasLtHandle_t cublas_lt_handle(const char*& why) {
  static auto& handles = *new std::array<Handle, 64>;
  int device = 0;
  check(cudaGetDevice(&device), "cudaGetDevice");
  Handle& h = handles.at(static_cast<std::size_t>(device));
  std::call_once(h.made, [&] {
    const CublasLt& lt = cublas_lt();
    h.why = lt.missing;
    if (!h.why.empty()) return;
    const cublasStatus_t status = lt.create(&h.handle);
    if (status == CUBLAS_STATUS_SUCCESS) return;
    h.handle = nullptr;
    h.why = fmt::format("cublasLtCreate on {}: {} ({})", device_name(device), lt.status_text(status),
                        lt.status_name(status));
  });
  why = h.handle == nullptr ? h.why.c_str() : nullptr;
  return h.handle;
}

}  // namespace isobit::gpu::vendor
