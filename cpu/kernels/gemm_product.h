// The driver of plain matrix products, c = a b (+ bias, relu), whose operands are worth copying: matmul, and
// the forward pass of linear layers.
#pragma once
#include "cpu/kernels/gemm_pack.h"

namespace isobit::cpu::gemm {

struct Product {
  std::int64_t batch = 1, m = 0, k = 0, n = 0;
  Source a;                                               ///< [i, row, term] at the sum of index * stride
  std::int64_t a_stride = 0, row_stride = 0, a_term = 1;  ///< row_stride or a_term is 1
  Source b;                                               ///< [i, term, column]
  std::int64_t b_stride = 0, b_term = 0, column_stride = 1;
  void* c = nullptr;         ///< [batch, m, n]
  DType dtype = DType::f32;  ///< of c; a and b have it too
  Source bias;               ///< [n] or null
  bool relu = false;
};

/// T is the type computed in.
template <class T>
void run_product(const Product& product);
/// Null where copying the operands pays. Real numbers, for the products of extents may be huge.
const char* refuse_product(double batch, double m, double k, double n);

}  // namespace isobit::cpu::gemm
