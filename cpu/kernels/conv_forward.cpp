// conv_forward as one pass of the implicit GEMM (conv_pass.h): rows are the output positions (n, o, p, q),
// terms are (t, r, s, c) and columns the filters. HWIO filters are the matrix B as they lie. Depthwise, the
// channels are the columns and a term is a tap.
#include "cpu/kernels/conv_forward.h"

#include "cpu/kernels/conv_pass.h"

namespace isobit::cpu::kernels {

namespace {

void run(const ConvGeometry& g, ConstView x, ConstView w, const Epilogue& epilogue, View y, bool depthwise) {
  gemm::Pass pass;
  pass.n = g.n;
  pass.groups = g.groups;
  pass.channels = g.c_per_group();
  pass.columns = g.k_per_group();
  for (std::size_t i = 0; i < 3; ++i) {
    const AxisGeometry& from = g.axis[i];
    gemm::PassAxis& axis = pass.axis[i];
    axis.outputs = axis.place = from.out;
    axis.step = from.stride;
    axis.taps = axis.filter = from.filter;
    axis.tap_first = -from.pad_before;
    axis.tap_step = from.dilation;
    axis.source = from.in;
  }
  pass.source = {x.data, x.dtype};
  pass.filter = {w.data, w.dtype};
  pass.tap_stride = g.c_per_group() * g.k;
  pass.group_stride = g.k_per_group();
  pass.channel_stride = g.k;
  pass.out = y.data;
  pass.dtype = y.dtype;
  pass.bias = {epilogue.bias.data, epilogue.bias.dtype};
  pass.relu = epilogue.activation == Activation::relu;
  if (depthwise) {
    pass.depthwise = true;
    pass.groups = 1;
    pass.columns = g.k;
  }
  x.dtype == DType::f64 ? gemm::run_pass<double>(pass) : gemm::run_pass<float>(pass);
}

}  // namespace

void conv_forward_implicit_gemm(const ConvGeometry& g, ConstView x, ConstView w, const Epilogue& epilogue,
                                View y) {
  run(g, x, w, epilogue, y, false);
}

void conv_forward_depthwise(const ConvGeometry& g, ConstView x, ConstView w, const Epilogue& epilogue,
                            View y) {
  run(g, x, w, epilogue, y, true);
}

const char* refuse_depthwise(const ConvGeometry& g) {
  if (g.groups == 1) return "one group";
  if (g.groups != g.c || g.groups != g.k) return "groups of more than one channel or filter";
  return nullptr;
}

const char* refuse_conv_forward_depthwise(const ConvGeometry& g, ConstView, ConstView, const Epilogue&,
                                          View) {
  return refuse_depthwise(g);
}

}  // namespace isobit::cpu::kernels
