// c[b, m, n]: a product (gemm.cuh) whose operands lie in rows; either may be stored transposed.
#include "cuda/kernels/conv.h"
#include "cuda/kernels/gemm.cuh"

namespace isobit::gpu::kernels {
namespace {

Gemm matmul_product(const MatmulGeometry& g, ConstView a, ConstView b, View c) {
  Gemm p;
  p.a = a.data;
  p.b = b.data;
  p.a_elements = a.numel;
  p.b_elements = b.numel;
  p.out = c.data;
  p.batches = g.batch;
  p.a_batch = g.stride_a;
  p.b_batch = g.stride_b;
  p.out_batch = g.m * g.n;
  p.columns = g.n;
  p.b_column_stride = g.transpose_b ? g.k : 1;
  p.maps.a_rows = linear_map(g.transpose_a ? 1 : g.k);
  p.maps.a_terms = linear_map(g.transpose_a ? g.m : 1);
  p.maps.b_terms = linear_map(g.transpose_b ? 1 : g.n);
  p.maps.out_rows = linear_map(g.n);
  p.maps.rows = g.m;
  p.maps.leaves = 1;
  p.maps.leaf_terms = p.maps.last_leaf_terms = g.k;
  const bool a_fours = aligned_in_fours(a, {g.transpose_a ? g.m : g.k, g.stride_a});
  const bool b_fours = aligned_in_fours(b, {g.transpose_b ? g.k : g.n, g.stride_b});
  p.a_reach = g.transpose_a ? (a_fours ? Reach::row_vector : Reach::row)
                            : (a_fours ? Reach::term_vector : Reach::term);
  p.b_reach = g.transpose_b ? (b_fours ? Reach::term_vector : Reach::term)
                            : (b_fours ? Reach::row_vector : Reach::row);
  p.out_vector = aligned_in_fours(c, {g.n});
  return p;
}

}  // namespace

const char* refuse_matmul_tiled_large(const MatmulGeometry&, ConstView a, ConstView, View) {
  return a.dtype == DType::f64 ? "f64 takes smaller tiles" : nullptr;
}
void matmul_tiled(const MatmulGeometry& g, ConstView a, ConstView b, View c) {
  run_gemm("matmul", a.dtype, TileShape::best, matmul_product(g, a, b, c));
}
void matmul_tiled_128x128(const MatmulGeometry& g, ConstView a, ConstView b, View c) {
  run_gemm("matmul", a.dtype, TileShape::m128n128, matmul_product(g, a, b, c));
}
void matmul_tiled_128x64(const MatmulGeometry& g, ConstView a, ConstView b, View c) {
  run_gemm("matmul", a.dtype, TileShape::m128n64, matmul_product(g, a, b, c));
}
void matmul_tiled_64x64(const MatmulGeometry& g, ConstView a, ConstView b, View c) {
  run_gemm("matmul", a.dtype, TileShape::m64n64, matmul_product(g, a, b, c));
}
void matmul_tiled_128x32(const MatmulGeometry& g, ConstView a, ConstView b, View c) {
  run_gemm("matmul", a.dtype, TileShape::m128n32, matmul_product(g, a, b, c));
}
void matmul_tiled_256x8(const MatmulGeometry& g, ConstView a, ConstView b, View c) {
  run_gemm("matmul", a.dtype, TileShape::m256n8, matmul_product(g, a, b, c));
}

}  // namespace isobit::gpu::kernels
