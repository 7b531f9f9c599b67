// The products that fast mode's convolutions and matmul are: which index of which tensor is a row, a column,
// a term. As the exact ones (conv_forward.cu and its twins, matmul.cu), but of one leaf, and with the
// direction in which each operand's neighbours lie.
#include <algorithm>

#include "cuda/kernels/conv.h"
#include "cuda/kernels/kernels.h"
#include "cuda/kernels/tensor.h"
#include "cuda/kernels/tensor_product.cuh"

namespace isobit::gpu::kernels {
namespace {

void set_terms(Gemm& p, std::int64_t terms) {
  p.maps.leaves = 1;
  p.maps.leaf_terms = p.maps.last_leaf_terms = terms;
}

// Digits [n, axis 0, 1, 2] of outputs and [axis 0, 1, 2, channel] of taps as offsets in x; together the
// element that an output reads through a tap.
void set_outputs_and_taps(Gemm& p, const ConvGeometry& g, IndexMap& outputs, IndexMap& taps) {
  std::int64_t stride = g.c;
  for (int i = 2; i >= 0; --i) {
    const AxisGeometry& a = g.axis[static_cast<std::size_t>(i)];
    set_border(p, i, a, stride);
    outputs.extent[i] = static_cast<std::int32_t>(a.out);
    outputs.start[i] = static_cast<std::int32_t>(-a.pad_before);
    outputs.step[i] = static_cast<std::int32_t>(a.stride);
    outputs.stride[i + 1] = a.stride * stride;
    outputs.base -= a.pad_before * stride;
    taps.extent[i] = static_cast<std::int32_t>(a.filter);
    taps.step[i] = static_cast<std::int32_t>(a.dilation);
    taps.stride[i + 1] = a.dilation * stride;
    stride *= a.in;
  }
  outputs.extent[3] = 1;
  outputs.stride[0] = stride;
  taps.extent[3] = static_cast<std::int32_t>(g.c_per_group());
  taps.stride[4] = 1;
}

// y[(n, o, p, q), k], terms (t, r, s, c).
TensorProduct forward_product(const ConvGeometry& g, ConstView x, ConstView w, const Epilogue& e, View y) {
  const std::int64_t cg = g.c_per_group(), kg = g.k_per_group();
  TensorProduct t;
  Gemm& p = t.plan;
  p.a = x.data;
  p.b = w.data;
  p.out = y.data;
  p.finish = make_finish(e, x.dtype);
  p.batches = g.groups;
  p.a_batch = cg;
  p.b_batch = p.out_batch = p.bias_batch = p.columns = kg;
  set_outputs_and_taps(p, g, p.maps.a_rows, p.maps.a_terms);
  p.maps.b_terms = p.maps.out_rows = linear_map(g.k);
  p.maps.rows = g.n * g.positions();
  set_terms(p, g.terms());
  p.border.value = element_bits(x.dtype, g.pad_value);
  p.out_vector = aligned_in_fours(y, {g.k, kg});
  t.a = Lie::terms;
  t.b = Lie::rows;
  t.a_runs = aligned_runs(x, {g.c, cg});
  t.b_runs = aligned_runs(w, {g.k, kg});
  return t;
}

// dw[(t, r, s, c), k], terms (n, o, p, q).
TensorProduct backward_filter_product(const ConvGeometry& g, ConstView x, ConstView dy, View dw) {
  const std::int64_t cg = g.c_per_group(), kg = g.k_per_group();
  TensorProduct t;
  Gemm& p = t.plan;
  p.a = x.data;
  p.b = dy.data;
  p.out = dw.data;
  p.batches = g.groups;
  p.a_batch = cg;
  p.b_batch = p.out_batch = p.columns = kg;
  set_outputs_and_taps(p, g, p.maps.a_terms, p.maps.a_rows);
  p.maps.b_terms = p.maps.out_rows = linear_map(g.k);
  p.maps.rows = g.taps() * cg;
  set_terms(p, g.n * g.positions());
  p.border.value = element_bits(x.dtype, g.pad_value);
  p.out_vector = aligned_in_fours(dw, {g.k, kg});
  t.a = t.b = Lie::rows;
  t.a_runs = aligned_runs(x, {g.c, cg});
  t.b_runs = aligned_runs(dy, {g.k, kg});
  return t;
}

// dx[(n, d, h, w), c] of each stride phase, terms (the phase's t, r, s, then k).
TensorProduct backward_input_product(const ConvGeometry& g, ConstView dy, ConstView w, View dx) {
  const std::int64_t cg = g.c_per_group(), kg = g.k_per_group();
  TensorProduct t;
  Gemm& p = t.plan;
  p.a = dy.data;
  p.b = w.data;
  p.out = dx.data;
  p.batches = g.groups;
  p.a_batch = p.b_batch = kg;
  p.out_batch = p.columns = cg;
  p.b_column_stride = g.k;
  p.phased = true;
  std::int64_t dy_stride = g.k, w_stride = cg * g.k, dx_stride = g.c;
  for (int i = 2; i >= 0; --i) {
    const AxisGeometry& a = g.axis[static_cast<std::size_t>(i)];
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
  set_terms(p, kg);
  p.out_vector = aligned_in_fours(dx, {g.c, cg});
  t.a = t.b = Lie::terms;
  t.a_runs = aligned_runs(dy, {g.k, kg});
  t.b_runs = aligned_runs(w, {g.k, kg});
  return t;
}

TensorProduct matmul_product(const MatmulGeometry& g, ConstView a, ConstView b, View c) {
  TensorProduct t;
  Gemm& p = t.plan;
  p.a = a.data;
  p.b = b.data;
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
  set_terms(p, g.k);
  p.out_vector = aligned_in_fours(c, {g.n});
  t.a = g.transpose_a ? Lie::rows : Lie::terms;
  t.b = g.transpose_b ? Lie::terms : Lie::rows;
  t.a_runs = aligned_runs(a, {g.transpose_a ? g.m : g.k, g.stride_a});
  t.b_runs = aligned_runs(b, {g.transpose_b ? g.k : g.n, g.stride_b});
  return t;
}

const char* refuse(const ConvGeometry& g, DType dtype) {
  if (const char* reason = refuse_tensor_product(dtype)) return reason;
  if (g.groups > 1 && (g.c_per_group() == 1 || g.k_per_group() == 1))
    return "groups of one channel fill no matrix unit";
  return refuse_gemm(g);
}

void forward(TensorShape shape, const ConvGeometry& g, ConstView x, ConstView w, const Epilogue& e, View y) {
  run_tensor_product(x.dtype, shape, forward_product(g, x, w, e, y));
  activate(e, y);
}

void backward_input(TensorShape shape, const ConvGeometry& g, ConstView dy, ConstView w, View dx) {
  const bool crops = std::any_of(g.axis.begin(), g.axis.end(),
                                 [](const AxisGeometry& a) { return a.pad_before < 0 || a.pad_after < 0; });
  if (crops) fill(dx, Scalar(0.0));
  run_tensor_product(dy.dtype, shape, backward_input_product(g, dy, w, dx));
}

void backward_filter(TensorShape shape, const ConvGeometry& g, ConstView x, ConstView dy, View dw) {
  run_tensor_product(x.dtype, shape, backward_filter_product(g, x, dy, dw));
}

void product(TensorShape shape, const MatmulGeometry& g, ConstView a, ConstView b, View c) {
  run_tensor_product(a.dtype, shape, matmul_product(g, a, b, c));
}

}  // namespace

const char* refuse_matmul_tensor(const MatmulGeometry&, ConstView a, ConstView, View) {
  return refuse_tensor_product(a.dtype);
}
void matmul_tensor(const MatmulGeometry& g, ConstView a, ConstView b, View c) {
  product(TensorShape::best, g, a, b, c);
}
void matmul_tensor_128x128(const MatmulGeometry& g, ConstView a, ConstView b, View c) {
  product(TensorShape::m128n128, g, a, b, c);
}
void matmul_tensor_64x64(const MatmulGeometry& g, ConstView a, ConstView b, View c) {
  product(TensorShape::m64n64, g, a, b, c);
}

const char* refuse_conv_forward_tensor(const ConvGeometry& g, ConstView x, ConstView, const Epilogue&, View) {
  return refuse(g, x.dtype);
}
void conv_forward_tensor(const ConvGeometry& g, ConstView x, ConstView w, const Epilogue& e, View y) {
  forward(TensorShape::best, g, x, w, e, y);
}
void conv_forward_tensor_128x128(const ConvGeometry& g, ConstView x, ConstView w, const Epilogue& e, View y) {
  forward(TensorShape::m128n128, g, x, w, e, y);
}
void conv_forward_tensor_64x64(const ConvGeometry& g, ConstView x, ConstView w, const Epilogue& e, View y) {
  forward(TensorShape::m64n64, g, x, w, e, y);
}

const char* refuse_conv_backward_input_tensor_folded(const ConvGeometry& g, ConstView dy, ConstView, View) {
  return g.folds() ? refuse(g, dy.dtype) : "no axis folds";
}
void conv_backward_input_tensor_folded(const ConvGeometry& g, ConstView dy, ConstView w, View dx) {
  fold_gradient(conv_backward_input_tensor, g, dy, w, dx);
}
const char* refuse_conv_backward_input_tensor(const ConvGeometry& g, ConstView dy, ConstView, View) {
  return g.folds() ? kFolds : refuse(g, dy.dtype);
}
void conv_backward_input_tensor(const ConvGeometry& g, ConstView dy, ConstView w, View dx) {
  backward_input(TensorShape::best, g, dy, w, dx);
}
void conv_backward_input_tensor_128x128(const ConvGeometry& g, ConstView dy, ConstView w, View dx) {
  backward_input(TensorShape::m128n128, g, dy, w, dx);
}
void conv_backward_input_tensor_64x64(const ConvGeometry& g, ConstView dy, ConstView w, View dx) {
  backward_input(TensorShape::m64n64, g, dy, w, dx);
}

const char* refuse_conv_backward_filter_tensor(const ConvGeometry& g, ConstView x, ConstView, View) {
  return refuse(g, x.dtype);
}
void conv_backward_filter_tensor(const ConvGeometry& g, ConstView x, ConstView dy, View dw) {
  backward_filter(TensorShape::best, g, x, dy, dw);
}
void conv_backward_filter_tensor_128x128(const ConvGeometry& g, ConstView x, ConstView dy, View dw) {
  backward_filter(TensorShape::m128n128, g, x, dy, dw);
}
void conv_backward_filter_tensor_64x64(const ConvGeometry& g, ConstView x, ConstView dy, View dw) {
  backward_filter(TensorShape::m64n64, g, x, dy, dw);
}

}  // namespace isobit::gpu::kernels
