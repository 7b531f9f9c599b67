// In place of matmul_cublaslt.cu and cublaslt.cu where the toolkit has no cublasLt.h.
#include <isobit/error.h>

#include "cuda/vendor/vendor.h"

namespace isobit::gpu::vendor {

const char* refuse_matmul_cublaslt(const MatmulGeometry&, ConstView, ConstView, View) {
  return "isobit was built where there was no cublasLt.h";
}
void matmul_cublaslt(const MatmulGeometry& g, ConstView a, ConstView b, View c) {
  fail("matmul", "{}", refuse_matmul_cublaslt(g, a, b, c));
}

}  // namespace isobit::gpu::vendor
