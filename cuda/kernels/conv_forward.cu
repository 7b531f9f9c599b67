// y[n, o, p, q, k]: a product of rows (n, o, p, q), columns k and terms (t, r, s, c), whose a is x, gathered
// (gemm.cuh), and whose b is the filter as it lies. What lies outside of x is read through its padding mode.
#include "cuda/kernels/conv.h"
#include "cuda/kernels/gemm.cuh"
#include "cuda/kernels/kernels.h"

namespace isobit::gpu::kernels {
namespace {

Gemm forward_product(const ConvGeometry& g, ConstView x, ConstView w, const Epilogue& epilogue, View y) {
  const std::int64_t cg = g.c_per_group(), kg = g.k_per_group();
  Gemm p;
  p.a = x.data;
  p.b = w.data;
  p.a_elements = x.numel;
  p.b_elements = w.numel;
  p.out = y.data;
  p.finish = make_finish(epilogue, x.dtype);
  p.batches = g.groups;
  p.a_batch = cg;
  p.b_batch = p.out_batch = p.bias_batch = kg;
  p.columns = kg;
  IndexMap &rows = p.maps.a_rows, &terms = p.maps.a_terms;
  std::int64_t stride = g.c;
  for (int i = 2; i >= 0; --i) {
    const AxisGeometry& a = g.axis[i];
    set_border(p, i, a, stride);
    rows.extent[i] = static_cast<std::int32_t>(a.out);
    rows.start[i] = static_cast<std::int32_t>(-a.pad_before);
    rows.step[i] = static_cast<std::int32_t>(a.stride);
    rows.stride[i + 1] = a.stride * stride;
    rows.base -= a.pad_before * stride;
    terms.extent[i] = static_cast<std::int32_t>(a.filter);
    terms.step[i] = static_cast<std::int32_t>(a.dilation);
    terms.stride[i + 1] = a.dilation * stride;
    stride *= a.in;
  }
  rows.extent[3] = 1;
  rows.stride[0] = stride;
  terms.extent[3] = static_cast<std::int32_t>(cg);
  terms.stride[4] = 1;
  p.maps.b_terms = p.maps.out_rows = linear_map(g.k);
  p.maps.rows = g.n * g.positions();
  p.maps.leaves = 1;
  p.maps.leaf_terms = p.maps.last_leaf_terms = g.terms();
  p.a_reach = aligned_in_fours(x, {g.c, cg}) ? Reach::term_vector : Reach::term;
  p.b_reach = aligned_in_fours(w, {g.k, kg}) ? Reach::row_vector : Reach::row;
  p.out_vector = aligned_in_fours(y, {g.k, kg});
  p.border.value = element_bits(x.dtype, g.pad_value);
  return p;
}

void run(TileShape shape, const ConvGeometry& g, ConstView x, ConstView w, const Epilogue& e, View y) {
  run_gemm("conv_forward", x.dtype, shape, forward_product(g, x, w, e, y));
  activate(e, y);
}

}  // namespace

void activate(const Epilogue& e, View y) {
  if (e.norm.wanted()) {
    NormGeometry g;
    g.g = e.norm.mean.numel;
    g.a = y.numel / g.g;
    g.over_batch = true;
    norm_apply(g, e.norm.eps, y, e.norm.mean, e.norm.variance, e.norm.gamma, e.norm.beta, y);
  }
  if (const auto op = left_by_tiles(e, y.dtype)) unary(*op, e.slope, y, y);
}

const char* refuse_conv_forward_tiled(const ConvGeometry& g, ConstView, ConstView, const Epilogue&, View) {
  return refuse_gemm(g);
}
const char* refuse_conv_forward_tiled_large(const ConvGeometry& g, ConstView x, ConstView, const Epilogue&,
                                            View) {
  if (x.dtype == DType::f64) return "f64 takes smaller tiles";
  return refuse_gemm(g);
}
const char* refuse_conv_forward_implicit_gemm(const ConvGeometry& g, ConstView, ConstView, const Epilogue&,
                                              View) {
  return refuse_gemm(g);
}
void conv_forward_implicit_gemm(const ConvGeometry& g, ConstView x, ConstView w, const Epilogue& e, View y) {
  run(TileShape::best, g, x, w, e, y);
}
void conv_forward_tiled_128x128(const ConvGeometry& g, ConstView x, ConstView w, const Epilogue& e, View y) {
  run(TileShape::m128n128, g, x, w, e, y);
}
void conv_forward_tiled_128x64(const ConvGeometry& g, ConstView x, ConstView w, const Epilogue& e, View y) {
  run(TileShape::m128n64, g, x, w, e, y);
}
void conv_forward_tiled_64x64(const ConvGeometry& g, ConstView x, ConstView w, const Epilogue& e, View y) {
  run(TileShape::m64n64, g, x, w, e, y);
}
void conv_forward_tiled_128x32(const ConvGeometry& g, ConstView x, ConstView w, const Epilogue& e, View y) {
  run(TileShape::m128n32, g, x, w, e, y);
}
void conv_forward_tiled_256x8(const ConvGeometry& g, ConstView x, ConstView w, const Epilogue& e, View y) {
  run(TileShape::m256n8, g, x, w, e, y);
}

}  // namespace isobit::gpu::kernels
