// dw[t, r, s, c, k]: a product of rows (t, r, s, c), columns k and terms (n, o, p, q), whose a is x, gathered
// (gemm.cuh), through its padding mode where it lies outside of x, and whose b is dy as it lies. The terms
// fall into the leaves of the batch tree.
#include <algorithm>

#include "cuda/kernels/conv.h"
#include "cuda/kernels/gemm.cuh"

namespace isobit::gpu::kernels {
namespace {

Gemm backward_filter_product(const ConvGeometry& g, ConstView x, ConstView dy, View dw) {
  const std::int64_t cg = g.c_per_group(), kg = g.k_per_group();
  Gemm p;
  p.a = x.data;
  p.b = dy.data;
  p.a_elements = x.numel;
  p.b_elements = dy.numel;
  p.out = dw.data;
  p.batches = g.groups;
  p.a_batch = cg;
  p.b_batch = p.out_batch = kg;
  p.columns = kg;
  IndexMap &rows = p.maps.a_rows, &terms = p.maps.a_terms;
  std::int64_t stride = g.c;
  for (int i = 2; i >= 0; --i) {
    const AxisGeometry& a = g.axis[i];
    set_border(p, i, a, stride);
    rows.extent[i] = static_cast<std::int32_t>(a.filter);
    rows.step[i] = static_cast<std::int32_t>(a.dilation);
    rows.stride[i + 1] = a.dilation * stride;
    terms.extent[i] = static_cast<std::int32_t>(a.out);
    terms.start[i] = static_cast<std::int32_t>(-a.pad_before);
    terms.step[i] = static_cast<std::int32_t>(a.stride);
    terms.stride[i + 1] = a.stride * stride;
    terms.base -= a.pad_before * stride;
    stride *= a.in;
  }
  rows.extent[3] = static_cast<std::int32_t>(cg);
  rows.stride[4] = 1;
  terms.extent[3] = 1;
  terms.stride[0] = stride;
  p.maps.b_terms = p.maps.out_rows = linear_map(g.k);
  p.maps.rows = g.taps() * cg;
  const std::int64_t samples = numerics::leaf_samples(g.positions());
  p.maps.leaves = blocks_for(g.n, samples);
  p.maps.leaf_terms = std::min(samples, g.n) * g.positions();
  p.maps.last_leaf_terms = (g.n - std::max<std::int64_t>(p.maps.leaves - 1, 0) * samples) * g.positions();
  p.a_reach = aligned_in_fours(x, {g.c, cg}) ? Reach::row_vector : Reach::row;
  p.b_reach = aligned_in_fours(dy, {g.k, kg}) ? Reach::row_vector : Reach::row;
  p.out_vector = aligned_in_fours(dw, {g.k, kg});
  p.border.value = element_bits(x.dtype, g.pad_value);
  return p;
}

}  // namespace

const char* refuse_conv_backward_filter_tiled(const ConvGeometry& g, ConstView, ConstView, View) {
  return refuse_gemm(g);
}
const char* refuse_conv_backward_filter_tiled_large(const ConvGeometry& g, ConstView x, ConstView, View) {
  if (x.dtype == DType::f64) return "f64 takes smaller tiles";
  return refuse_gemm(g);
}
const char* refuse_conv_backward_filter_implicit_gemm(const ConvGeometry& g, ConstView, ConstView, View) {
  return refuse_gemm(g);
}
void conv_backward_filter_implicit_gemm(const ConvGeometry& g, ConstView x, ConstView dy, View dw) {
  run_gemm("conv_backward_filter", x.dtype, TileShape::best, backward_filter_product(g, x, dy, dw));
}
void conv_backward_filter_tiled_128x128(const ConvGeometry& g, ConstView x, ConstView dy, View dw) {
  run_gemm("conv_backward_filter", x.dtype, TileShape::m128n128, backward_filter_product(g, x, dy, dw));
}
void conv_backward_filter_tiled_128x64(const ConvGeometry& g, ConstView x, ConstView dy, View dw) {
  run_gemm("conv_backward_filter", x.dtype, TileShape::m128n64, backward_filter_product(g, x, dy, dw));
}
void conv_backward_filter_tiled_64x64(const ConvGeometry& g, ConstView x, ConstView dy, View dw) {
  run_gemm("conv_backward_filter", x.dtype, TileShape::m64n64, backward_filter_product(g, x, dy, dw));
}
void conv_backward_filter_tiled_128x32(const ConvGeometry& g, ConstView x, ConstView dy, View dw) {
  run_gemm("conv_backward_filter", x.dtype, TileShape::m128n32, backward_filter_product(g, x, dy, dw));
}
void conv_backward_filter_tiled_256x8(const ConvGeometry& g, ConstView x, ConstView dy, View dw) {
  run_gemm("conv_backward_filter", x.dtype, TileShape::m256n8, backward_filter_product(g, x, dy, dw));
}

}  // namespace isobit::gpu::kernels
