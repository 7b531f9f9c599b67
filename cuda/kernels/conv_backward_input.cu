// dx[n, d, h, w, c]: for each combination of stride phases a product of rows (n and the phase's d, h, w),
// columns c and terms (the phase's taps t, r, s, then k), whose a is dy, gathered (gemm.cuh), and whose b is
// the filter, read with k running. All phases, and all groups, are one launch; what negative padding cuts off
// is filled with +0 beforehand.
//
// Where an axis folds (PadMode), boxes of the gradient of the padded x are computed like this, or by the
// other algorithms, into a workspace and added up by pad_backward (core/folded_gradient.h).
#include <algorithm>

#include "core/folded_gradient.h"
#include "cuda/kernels/conv.h"
#include "cuda/kernels/gemm.cuh"
#include "cuda/kernels/kernels.h"

namespace isobit::gpu::kernels {
namespace {

Gemm backward_input_product(const ConvGeometry& g, ConstView dy, ConstView w, View dx) {
  const std::int64_t cg = g.c_per_group(), kg = g.k_per_group();
  Gemm p;
  p.a = dy.data;
  p.b = w.data;
  p.a_elements = dy.numel;
  p.b_elements = w.numel;
  p.out = dx.data;
  p.batches = g.groups;
  p.a_batch = p.b_batch = kg;
  p.out_batch = cg;
  p.columns = cg;
  p.b_column_stride = g.k;
  p.phased = true;
  std::int64_t dy_stride = g.k, w_stride = cg * g.k, dx_stride = g.c;
  for (int i = 2; i >= 0; --i) {
    const AxisGeometry& a = g.axis[i];
    p.bounds[i] = static_cast<std::int32_t>(a.out);
    p.bounded = p.bounded || a.filter > 1 || a.pad_before != 0 || a.pad_after != 0;
    const std::int64_t first = std::max<std::int64_t>(a.pad_before, 0);
    const std::int64_t end = a.in + a.pad_before + std::min<std::int64_t>(a.pad_after, 0);
    p.phases.axis[i] = a;
    p.phases.count[i] = std::clamp<std::int64_t>(end - first, 0, a.stride);
    p.phases.dy_stride[i] = dy_stride;
    p.phases.w_stride[i] = w_stride;
    p.phases.dx_stride[i] = dx_stride;
    dy_stride *= a.out;
    w_stride *= a.filter;
    dx_stride *= a.in;
  }
  // set_phase fills in the rest.
  p.maps.a_rows.extent[3] = p.maps.out_rows.extent[3] = 1;
  p.maps.a_rows.stride[0] = dy_stride;
  p.maps.out_rows.stride[0] = dx_stride;
  p.maps.a_terms.extent[3] = p.maps.b_terms.extent[3] = static_cast<std::int32_t>(kg);
  p.maps.a_terms.stride[4] = p.maps.b_terms.stride[4] = 1;
  p.maps.rows = g.n;
  p.maps.leaves = 1;
  p.maps.leaf_terms = p.maps.last_leaf_terms = kg;
  p.a_reach = aligned_in_fours(dy, {g.k, kg}) ? Reach::term_vector : Reach::term;
  p.b_reach = aligned_in_fours(w, {g.k, kg}) ? Reach::term_vector : Reach::term;
  p.out_vector = aligned_in_fours(dx, {g.c, cg});
  return p;
}

void run(TileShape shape, const ConvGeometry& g, ConstView dy, ConstView w, View dx) {
  const bool crops = std::any_of(g.axis.begin(), g.axis.end(),
                                 [](const AxisGeometry& a) { return a.pad_before < 0 || a.pad_after < 0; });
  if (crops) fill(dx, Scalar(0.0));
  run_gemm("conv_backward_input", dy.dtype, shape, backward_input_product(g, dy, w, dx));
}

// What the device prefers where nothing folds.
void run_best(const ConvGeometry& g, ConstView dy, ConstView w, View dx) {
  if (refuse_conv_backward_input_depthwise(g, dy, w, dx) == nullptr)
    return conv_backward_input_depthwise(g, dy, w, dx);
  if (refuse_conv_backward_input_implicit_gemm(g, dy, w, dx) == nullptr)
    return conv_backward_input_implicit_gemm(g, dy, w, dx);
  conv_backward_input_direct(g, dy, w, dx);
}

}  // namespace

void fold_gradient(void (*backward_input)(const ConvGeometry& g, ConstView dy, ConstView w, View dx),
                   const ConvGeometry& g, ConstView dy, ConstView w, View dx) {
  const Scratch workspace(folded_workspace(g, dx.dtype));
  folded_backward_input({backward_input, pad_backward}, g, dy, w, workspace.as<void>(), dx);
}

const char* refuse_conv_backward_input_folded(const ConvGeometry& g, ConstView, ConstView, View) {
  return g.folds() ? nullptr : "no axis folds";
}
void conv_backward_input_folded(const ConvGeometry& g, ConstView dy, ConstView w, View dx) {
  fold_gradient(run_best, g, dy, w, dx);
}

const char* refuse_conv_backward_input_tiled(const ConvGeometry& g, ConstView, ConstView, View) {
  return g.folds() ? kFolds : refuse_gemm(g);
}
const char* refuse_conv_backward_input_tiled_large(const ConvGeometry& g, ConstView dy, ConstView, View) {
  if (dy.dtype == DType::f64) return "f64 takes smaller tiles";
  return g.folds() ? kFolds : refuse_gemm(g);
}
const char* refuse_conv_backward_input_implicit_gemm(const ConvGeometry& g, ConstView, ConstView, View) {
  if (g.folds()) return kFolds;
  return refuse_gemm(g);
}
void conv_backward_input_implicit_gemm(const ConvGeometry& g, ConstView dy, ConstView w, View dx) {
  run(TileShape::best, g, dy, w, dx);
}
void conv_backward_input_tiled_128x128(const ConvGeometry& g, ConstView dy, ConstView w, View dx) {
  run(TileShape::m128n128, g, dy, w, dx);
}
void conv_backward_input_tiled_128x64(const ConvGeometry& g, ConstView dy, ConstView w, View dx) {
  run(TileShape::m128n64, g, dy, w, dx);
}
void conv_backward_input_tiled_64x64(const ConvGeometry& g, ConstView dy, ConstView w, View dx) {
  run(TileShape::m64n64, g, dy, w, dx);
}
void conv_backward_input_tiled_128x32(const ConvGeometry& g, ConstView dy, ConstView w, View dx) {
  run(TileShape::m128n32, g, dy, w, dx);
}
void conv_backward_input_tiled_256x8(const ConvGeometry& g, ConstView dy, ConstView w, View dx) {
  run(TileShape::m256n8, g, dy, w, dx);
}

}  // namespace isobit::gpu::kernels
