// conv_backward_input as passes of the implicit GEMM (conv_pass.h), one for every stride phase.
//
// dx[h] is reached by the taps r with (h + pad - r * dilation) divisible by the stride: all h with the same
// (h + pad) mod stride, a phase, have the same taps. Within a phase neighbouring elements read neighbouring
// positions of dy, so a phase is the forward kernel with step 1 over dy: rows are the phase's positions (n,
// d, h, w), terms are (t, r, s, k) over the phase's taps, columns the input channels. A tap that falls
// outside dy meets the slab's zeros and takes part. The filter is transposed to [taps, k, c] panels once per
// phase.
//
// Elements of an empty phase (more stride than filter) and elements that negative padding crops are +0.
#include "cpu/kernels/conv_backward_input.h"

#include <algorithm>
#include <cstring>

#include "cpu/kernels/conv_forward.h"
#include "cpu/kernels/conv_pass.h"
#include "cpu/runtime/thread_pool.h"

namespace isobit::cpu::kernels {
namespace {

// The elements of one axis that have phase `phase`, and their taps. No outputs or no taps: nothing to
// compute.
gemm::PassAxis phase_axis(const AxisGeometry& axis, std::int64_t phase) {
  gemm::PassAxis pass;
  pass.place = axis.in;
  pass.place_step = axis.stride;
  pass.source = axis.out;
  pass.filter = axis.filter;
  pass.outputs = pass.taps = 0;

  // Taps: the first with r * dilation = phase (mod stride) and then every stride / gcd(stride, dilation)-th.
  std::int64_t period = 1, first = 0;
  if (axis.stride > 1) {
    while (period * axis.dilation % axis.stride != 0) ++period;
    while (first < period && (first * axis.dilation - phase) % axis.stride != 0) ++first;
  }
  if (first >= period || first >= axis.filter) return pass;
  pass.taps = (axis.filter - 1 - first) / period + 1;
  pass.filter_first = first;
  pass.filter_step = period;

  // Padded coordinates z = h + pad_before of the phase that are not cropped: z >= max(0, pad_before).
  const std::int64_t least = std::max<std::int64_t>(0, axis.pad_before);
  const std::int64_t end = axis.pad_before + std::min(axis.in, axis.in + axis.pad_after);
  const std::int64_t z = least + ((phase - least) % axis.stride + axis.stride) % axis.stride;
  if (z >= end) return pass;
  pass.outputs = (end - 1 - z) / axis.stride + 1;
  pass.place_first = z - axis.pad_before;
  pass.tap_first = (z - first * axis.dilation) / axis.stride;  // exact: z and first agree in the phase
  pass.tap_step = -(period * axis.dilation / axis.stride);
  return pass;
}

void clear(View dx) {
  const std::int64_t bytes = dx.numel * size_of(dx.dtype);
  parallel_ranges(bytes, 1 << 20, [&](std::int64_t begin, std::int64_t end) {
    std::memset(static_cast<char*>(dx.data) + begin, 0, static_cast<std::size_t>(end - begin));
  });
}

void run(const ConvGeometry& g, ConstView dy, ConstView w, View dx, bool depthwise, bool small = false) {
  gemm::Pass pass;
  pass.n = g.n;
  pass.groups = g.groups;
  pass.channels = g.k_per_group();
  pass.columns = g.c_per_group();
  pass.source = {dy.data, dy.dtype};
  pass.filter = {w.data, w.dtype};
  pass.tap_stride = pass.columns * g.k;
  pass.group_stride = pass.channels;
  pass.channel_stride = 1;
  pass.column_stride = g.k;
  pass.out = dx.data;
  pass.dtype = dx.dtype;

  if (depthwise) {
    pass.depthwise = true;
    pass.groups = 1;
    pass.columns = pass.channel_stride = g.c;
    pass.column_stride = 1;
  }

  bool whole = dx.numel != 0 && g.k != 0 && g.positions() != 0;  // every element belongs to a pass
  for (const AxisGeometry& axis : g.axis) {
    whole = whole && axis.pad_before >= 0 && axis.pad_after >= 0;
    for (std::int64_t phase = 0; whole && phase < axis.stride; ++phase)
      whole = phase_axis(axis, phase).taps > 0;
  }
  if (!whole) clear(dx);

  for (std::int64_t d = 0; d < g.axis[0].stride; ++d) {
    pass.axis[0] = phase_axis(g.axis[0], d);
    for (std::int64_t h = 0; h < g.axis[1].stride; ++h) {
      pass.axis[1] = phase_axis(g.axis[1], h);
      for (std::int64_t v = 0; v < g.axis[2].stride; ++v) {
        pass.axis[2] = phase_axis(g.axis[2], v);
        bool empty = false;
        for (const gemm::PassAxis& axis : pass.axis) empty = empty || axis.outputs == 0 || axis.taps == 0;
        if (empty) continue;
        if (small) {
          dx.dtype == DType::f64 ? gemm::run_small_pass<double>(pass) : gemm::run_small_pass<float>(pass);
        } else {
          dx.dtype == DType::f64 ? gemm::run_pass<double>(pass) : gemm::run_pass<float>(pass);
        }
      }
    }
  }
}

}  // namespace

void conv_backward_input_implicit_gemm(const ConvGeometry& g, ConstView dy, ConstView w, View dx) {
  run(g, dy, w, dx, false);
}

void conv_backward_input_small(const ConvGeometry& g, ConstView dy, ConstView w, View dx) {
  run(g, dy, w, dx, refuse_depthwise(g) == nullptr, true);
}

const char* refuse_conv_backward_input_small(const ConvGeometry& g, ConstView, ConstView, View) {
  return refuse_small(g);
}

void conv_backward_input_depthwise(const ConvGeometry& g, ConstView dy, ConstView w, View dx) {
  run(g, dy, w, dx, true);
}

const char* refuse_conv_backward_input_depthwise(const ConvGeometry& g, ConstView, ConstView, View) {
  return refuse_depthwise(g);
}

}  // namespace isobit::cpu::kernels
