// conv_forward as one pass of the implicit GEMM (conv_pass.h): rows are the output positions (n, o, p, q),
// terms are (t, r, s, c) and columns the filters. HWIO filters are the matrix B as they lie. Depthwise, the
// channels are the columns and a term is a tap.
#include "cpu/kernels/conv_forward.h"

#include <algorithm>

#include "core/activation.h"
#include "cpu/kernels/conv_border.h"
#include "cpu/kernels/conv_depthwise.h"
#include "cpu/kernels/conv_over_space.h"
#include "cpu/kernels/conv_pass.h"
#include "cpu/kernels/kernels.h"

namespace isobit::cpu::kernels {

namespace {

gemm::Pass pass_of(const ConvGeometry& g, ConstView x, ConstView w, const Epilogue& epilogue, View y,
                   bool depthwise) {
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
    axis.mode = from.mode;
  }
  pass.border = gemm::stored(g.pad_value, x.dtype);
  pass.source = {x.data, x.dtype};
  pass.filter = {w.data, w.dtype};
  pass.tap_stride = pass.channels * g.k;
  pass.group_stride = pass.columns;
  pass.channel_stride = g.k;
  pass.out = y.data;
  pass.dtype = y.dtype;
  pass.bias = {epilogue.bias.data, epilogue.bias.dtype};
  pass.relu = relu_by_tiles(epilogue, y.dtype);
  if (depthwise) {
    pass.depthwise = true;
    pass.groups = 1;
    pass.columns = g.k;
  }
  return pass;
}

void run(const gemm::Pass& pass) {
  pass.dtype == DType::f64 ? gemm::run_pass<double>(pass) : gemm::run_pass<float>(pass);
}
void run_over_space(const gemm::Pass& pass) {
  pass.dtype == DType::f64 ? gemm::run_over_space<double>(pass, {&pass.axis, 1})
                           : gemm::run_over_space<float>(pass, {&pass.axis, 1});
}

// The pass, and what follows it.
struct Forward {
  Forward(const ConvGeometry& g, ConstView x, ConstView w, const Epilogue& epilogue, View y, bool depthwise)
      : after(epilogue, y.dtype, g.k), pass(pass_of(g, x, w, epilogue, y, depthwise)) {
    if (after.any()) pass.then = &after;
  }
  Forward(const Forward&) = delete;
  Forward& operator=(const Forward&) = delete;

  After after;
  gemm::Pass pass;
};

}  // namespace

void conv_forward_as_pass(const ConvGeometry& g, ConstView x, ConstView w, const Epilogue& epilogue, View y,
                          const std::function<void(const gemm::Pass&)>& run) {
  run(Forward(g, x, w, epilogue, y, false).pass);
}

void conv_forward_implicit_gemm(const ConvGeometry& g, ConstView x, ConstView w, const Epilogue& epilogue,
                                View y) {
  const Forward forward(g, x, w, epilogue, y, false);
  const gemm::Pass& pass = forward.pass;
  const std::int64_t few = gemm::columns_over_space(pass, {&pass.axis, 1});
  if (few == 0) return run(pass);
  run(pass.some_columns(0, pass.columns - few));
  run_over_space(pass.some_columns(pass.columns - few, few));
}

void conv_forward_depthwise(const ConvGeometry& g, ConstView x, ConstView w, const Epilogue& epilogue,
                            View y) {
  run(Forward(g, x, w, epilogue, y, true).pass);
}

void conv_forward_over_space(const ConvGeometry& g, ConstView x, ConstView w, const Epilogue& epilogue,
                             View y) {
  run_over_space(Forward(g, x, w, epilogue, y, false).pass);
}

void conv_forward_small(const ConvGeometry& g, ConstView x, ConstView w, const Epilogue& epilogue, View y) {
  const Forward forward(g, x, w, epilogue, y, refuse_depthwise(g) == nullptr);
  const gemm::Pass& pass = forward.pass;
  pass.dtype == DType::f64 ? gemm::run_small_pass<double>(pass) : gemm::run_small_pass<float>(pass);
  if (pass.then != nullptr) pass.then->apply(y, 0, g.k);
}

const char* refuse_depthwise(const ConvGeometry& g) {
  if (g.groups == 1) return "one group";
  if (g.groups != g.c || g.groups != g.k) return "groups of more than one channel or filter";
  return nullptr;
}

const char* refuse_small(const ConvGeometry& g) {
  const auto real = [](std::int64_t extent) { return static_cast<double>(extent); };  // products may be huge
  double filter = real(g.c_per_group()) * real(g.k), positions = real(g.n),
         source = real(g.n) * real(std::max(g.c, g.k));
  for (const AxisGeometry& axis : g.axis) {
    filter *= real(axis.filter);
    positions *= real(axis.out);
    source *= real(axis.in) + std::max(0.0, real(axis.pad_before)) + std::max(0.0, real(axis.pad_after)) +
              real(axis.dilation) * real(axis.filter - 1);
  }
  return gemm::refuse_small(positions, filter, source);
}

const char* refuse_conv_forward_small(const ConvGeometry& g, ConstView, ConstView, const Epilogue&, View) {
  return refuse_small(g);
}

const char* refuse_conv_forward_over_space(const ConvGeometry& g, ConstView x, ConstView w,
                                           const Epilogue& epilogue, View y) {
  if (g.k > gemm::kMostSpaceColumns) return "more filters than twelve fill vectors";
  const gemm::Pass pass = pass_of(g, x, w, epilogue, y, false);
  return gemm::refuse_over_space(pass, {&pass.axis, 1});
}

void conv_forward_strips(const ConvGeometry& g, ConstView x, ConstView w, const Epilogue& epilogue, View y) {
  const Forward forward(g, x, w, epilogue, y, refuse_depthwise(g) == nullptr);
  gemm::run_strips({&forward.pass, 1});
}

const char* refuse_conv_forward_strips(const ConvGeometry& g, ConstView x, ConstView w,
                                       const Epilogue& epilogue, View y) {
  if (const char* reason = refuse_depthwise(g)) return reason;
  return gemm::refuse_strips(pass_of(g, x, w, epilogue, y, true));
}

const char* refuse_even_groups(const ConvGeometry& g) {
  if (g.groups == 1) return "one group";
  if (g.c != g.k) return "groups with more or fewer filters than channels";
  if (g.groups == g.c) return "groups of one channel";
  return nullptr;
}

const char* refuse_conv_forward_group_strips(const ConvGeometry& g, ConstView x, ConstView w,
                                             const Epilogue& epilogue, View y) {
  if (const char* reason = refuse_even_groups(g)) return reason;
  return gemm::refuse_strips(pass_of(g, x, w, epilogue, y, false));
}

const char* refuse_conv_forward_depthwise(const ConvGeometry& g, ConstView, ConstView, const Epilogue&,
                                          View) {
  return refuse_depthwise(g);
}

}  // namespace isobit::cpu::kernels
