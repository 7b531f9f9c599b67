// conv_backward_input as passes of the implicit GEMM (conv_pass.h), one for every stride phase.
//
// dx[h] is reached by the taps r with (h + pad - r * dilation) divisible by the stride: all h with the same
// (h + pad) mod stride, a phase, have the same taps. Within a phase neighbouring elements read neighbouring
// positions of dy, so a phase is the forward kernel with step 1 over dy: rows are the phase's positions (n,
// d, h, w), terms are (t, r, s, k) over the phase's taps, columns the input channels. A tap that falls
// outside dy meets the slab's zeros and takes part. The filter is transposed to [taps, k, c] panels once per
// phase. With one to twelve channels all phases run together (conv_over_space.h).
//
// Where an axis folds (PadMode), boxes of the gradient of the padded x are computed like this into a
// workspace and added up by pad_backward (core/folded_gradient.h).
//
// Elements of an empty phase (more stride than filter) and elements that negative padding crops are +0.
#include "cpu/kernels/conv_backward_input.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <vector>

#include "core/folded_gradient.h"
#include "cpu/kernels/conv_depthwise.h"
#include "cpu/kernels/conv_forward.h"
#include "cpu/kernels/conv_over_space.h"
#include "cpu/kernels/conv_pass.h"
#include "cpu/kernels/kernels.h"
#include "cpu/runtime/scratch.h"
#include "cpu/runtime/thread_pool.h"

namespace isobit::cpu::kernels {
namespace {

// Padded coordinates z = h + pad_before that negative padding does not crop.
struct Uncropped {
  explicit Uncropped(const AxisGeometry& axis)
      : first(std::max<std::int64_t>(0, axis.pad_before)),
        end(axis.pad_before + std::min(axis.in, axis.in + axis.pad_after)) {}
  std::int64_t first, end;
};

// How many phases have elements: a stride may be far longer than the axis.
std::int64_t phases(const AxisGeometry& axis) {
  const Uncropped z(axis);
  return std::clamp<std::int64_t>(z.end - z.first, 0, axis.stride);
}

// The elements of one axis that have the phase of its `index`-th coordinate, and their taps, if it has any.
gemm::PassAxis phase_axis(const AxisGeometry& axis, std::int64_t index) {
  gemm::PassAxis pass;
  pass.place = axis.in;
  pass.place_step = axis.stride;
  pass.source = axis.out;
  pass.filter = axis.filter;
  pass.taps = 0;
  const Uncropped coordinates(axis);
  const std::int64_t z = coordinates.first + index;
  pass.outputs = (coordinates.end - 1 - z) / axis.stride + 1;
  pass.place_first = z - axis.pad_before;

  // Taps: the first with r * dilation = z (mod stride) and then every stride / gcd(stride, dilation)-th.
  const std::int64_t common = std::gcd(axis.stride, axis.dilation);
  const std::int64_t period = axis.stride / common, most = std::min(period, axis.filter);
  std::int64_t first = 0;
  while (first < most && (z - first * axis.dilation) % axis.stride != 0) ++first;
  if (first == most) return pass;
  pass.taps = (axis.filter - 1 - first) / period + 1;
  pass.filter_first = first;
  pass.filter_step = period;
  pass.tap_first = (z - first * axis.dilation) / axis.stride;
  pass.tap_step = -(axis.dilation / common);
  return pass;
}

void clear(View dx) {
  const std::int64_t bytes = dx.numel * size_of(dx.dtype);
  parallel_ranges(bytes, 1 << 20, [&](std::int64_t begin, std::int64_t end) {
    std::memset(static_cast<char*>(dx.data) + begin, 0, static_cast<std::size_t>(end - begin));
  });
}

gemm::Pass pass_of(const ConvGeometry& g, ConstView dy, ConstView w, View dx) {
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
  return pass;
}

// +0 for the elements that belong to no pass, if there are any.
void clear_the_rest(const ConvGeometry& g, View dx) {
  bool whole = dx.numel != 0 && g.k != 0 && g.positions() != 0;
  for (const AxisGeometry& axis : g.axis) {
    whole = whole && axis.pad_before >= 0 && axis.pad_after >= 0;
    for (std::int64_t i = 0; whole && i < phases(axis); ++i) whole = phase_axis(axis, i).taps > 0;
  }
  if (!whole) clear(dx);
}

// fn(axes) for every phase that has taps.
template <class Fn>
void for_each_phase(const ConvGeometry& g, const Fn& fn) {
  gemm::PassAxes axes;
  for (std::int64_t d = 0; d < phases(g.axis[0]); ++d) {
    axes[0] = phase_axis(g.axis[0], d);
    for (std::int64_t h = 0; h < phases(g.axis[1]); ++h) {
      axes[1] = phase_axis(g.axis[1], h);
      for (std::int64_t v = 0; v < phases(g.axis[2]); ++v) {
        axes[2] = phase_axis(g.axis[2], v);
        bool empty = false;
        for (const gemm::PassAxis& axis : axes) empty = empty || axis.taps == 0;
        if (!empty) fn(axes);
      }
    }
  }
}

// The same with the channels as columns, for groups of one channel and one filter.
gemm::Pass depthwise_pass_of(const ConvGeometry& g, ConstView dy, ConstView w, View dx) {
  gemm::Pass pass = pass_of(g, dy, w, dx);
  pass.depthwise = true;
  pass.groups = 1;
  pass.columns = pass.channel_stride = g.c;
  pass.column_stride = 1;
  return pass;
}

void run(const ConvGeometry& g, gemm::Pass pass, View dx, bool small) {
  for_each_phase(g, [&](const gemm::PassAxes& axes) {
    pass.axis = axes;
    if (small) {
      dx.dtype == DType::f64 ? gemm::run_small_pass<double>(pass) : gemm::run_small_pass<float>(pass);
    } else {
      dx.dtype == DType::f64 ? gemm::run_pass<double>(pass) : gemm::run_pass<float>(pass);
    }
  });
}

void run_over_space(const gemm::Pass& pass, std::span<const gemm::PassAxes> phases) {
  pass.dtype == DType::f64 ? gemm::run_over_space<double>(pass, phases)
                           : gemm::run_over_space<float>(pass, phases);
}

using Phases = std::vector<gemm::PassAxes>;

// The phases that run together, if they are few.
const char* collect_phases(const ConvGeometry& g, Phases* all) {
  double count = 1;
  for (const AxisGeometry& axis : g.axis) count *= static_cast<double>(phases(axis));
  if (count > static_cast<double>(gemm::kMostSpacePhases)) return "so many phases have little in common";
  all->reserve(static_cast<std::size_t>(count));
  for_each_phase(g, [&](const gemm::PassAxes& axes) { all->push_back(axes); });
  return nullptr;
}

const char* refuse_over_space(const ConvGeometry& g, ConstView dy, ConstView w, View dx) {
  if (g.groups != 1) return "groups";
  if (g.c > gemm::kMostSpaceColumns) return "more input channels than twelve fill vectors";
  Phases all;
  if (const char* reason = collect_phases(g, &all)) return reason;
  return gemm::refuse_over_space(pass_of(g, dy, w, dx), all);
}

void run(const ConvGeometry& g, ConstView dy, ConstView w, View dx, bool depthwise, bool small = false) {
  const gemm::Pass pass = depthwise ? depthwise_pass_of(g, dy, w, dx) : pass_of(g, dy, w, dx);
  clear_the_rest(g, dx);
  if (depthwise || small) return run(g, pass, dx, small);
  Phases all;
  std::int64_t few = 0;
  if (collect_phases(g, &all) == nullptr) few = gemm::columns_over_space(pass, all);
  if (few == 0) return run(g, pass, dx, small);
  run(g, pass.some_columns(0, pass.columns - few), dx, small);
  run_over_space(pass.some_columns(pass.columns - few, few), all);
}

constexpr std::int64_t kMostPasses = 64;  ///< of strips, which hold the plans of all at once

gemm::Pass strip_pass_of(const ConvGeometry& g, ConstView dy, ConstView w, View dx) {
  return refuse_depthwise(g) == nullptr ? depthwise_pass_of(g, dy, w, dx) : pass_of(g, dy, w, dx);
}

// Of depthwise problems and small groups.
const char* refuse_strips(const ConvGeometry& g, ConstView dy, ConstView w, View dx) {
  std::int64_t passes = 1;
  for (const AxisGeometry& axis : g.axis) {
    if (phases(axis) > kMostPasses / std::max<std::int64_t>(passes, 1)) return "too many stride phases";
    passes *= phases(axis);
  }
  const char* refused = nullptr;
  gemm::Pass pass = strip_pass_of(g, dy, w, dx);
  for_each_phase(g, [&](const gemm::PassAxes& axes) {
    pass.axis = axes;
    if (refused == nullptr) refused = gemm::refuse_strips(pass);
  });
  return refused;
}

constexpr const char* kFolds = "an axis folds";

}  // namespace

void conv_backward_input_as_passes(const ConvGeometry& g, ConstView dy, ConstView w, View dx,
                                   const std::function<void(const gemm::Pass&)>& run) {
  if (g.folds()) {
    const FoldedGradientKernels kernels{
        [&run](const ConvGeometry& part, ConstView dy_part, ConstView filter, View to) {
          conv_backward_input_as_passes(part, dy_part, filter, to, run);
        },
        pad_backward};
    const Scratch<char> workspace(folded_workspace(g, dx.dtype));
    return folded_backward_input(kernels, g, dy, w, workspace.data(), dx);
  }
  clear_the_rest(g, dx);
  gemm::Pass pass = pass_of(g, dy, w, dx);
  for_each_phase(g, [&](const gemm::PassAxes& axes) {
    pass.axis = axes;
    run(pass);
  });
}

void conv_backward_input_implicit_gemm(const ConvGeometry& g, ConstView dy, ConstView w, View dx) {
  run(g, dy, w, dx, false);
}

void conv_backward_input_over_space(const ConvGeometry& g, ConstView dy, ConstView w, View dx) {
  Phases all;
  collect_phases(g, &all);
  clear_the_rest(g, dx);
  run_over_space(pass_of(g, dy, w, dx), all);
}

const char* refuse_conv_backward_input_over_space(const ConvGeometry& g, ConstView dy, ConstView w, View dx) {
  if (g.folds()) return kFolds;
  return refuse_over_space(g, dy, w, dx);
}

void conv_backward_input_strips(const ConvGeometry& g, ConstView dy, ConstView w, View dx) {
  clear_the_rest(g, dx);
  std::vector<gemm::Pass> passes;
  gemm::Pass pass = strip_pass_of(g, dy, w, dx);
  for_each_phase(g, [&](const gemm::PassAxes& axes) {
    pass.axis = axes;
    passes.push_back(pass);
  });
  gemm::run_strips(passes);
}

const char* refuse_conv_backward_input_strips(const ConvGeometry& g, ConstView dy, ConstView w, View dx) {
  if (g.folds()) return kFolds;
  if (const char* reason = refuse_depthwise(g)) return reason;
  return refuse_strips(g, dy, w, dx);
}

const char* refuse_conv_backward_input_group_strips(const ConvGeometry& g, ConstView dy, ConstView w,
                                                    View dx) {
  if (g.folds()) return kFolds;
  if (const char* reason = refuse_even_groups(g)) return reason;
  return refuse_strips(g, dy, w, dx);
}

void conv_backward_input_small(const ConvGeometry& g, ConstView dy, ConstView w, View dx) {
  run(g, dy, w, dx, refuse_depthwise(g) == nullptr, true);
}

const char* refuse_conv_backward_input_folded(const ConvGeometry& g, ConstView, ConstView, View) {
  return g.folds() ? nullptr : "no axis folds";
}

void conv_backward_input_folded(const ConvGeometry& g, ConstView dy, ConstView w, View dx) {
  static const FoldedGradientKernels kernels{
      [](const ConvGeometry& part, ConstView dy_part, ConstView filter, View to) {
        if (refuse_small(part) == nullptr) return conv_backward_input_small(part, dy_part, filter, to);
        if (refuse_over_space(part, dy_part, filter, to) == nullptr)
          return conv_backward_input_over_space(part, dy_part, filter, to);
        if ((refuse_depthwise(part) == nullptr || refuse_even_groups(part) == nullptr) &&
            refuse_strips(part, dy_part, filter, to) == nullptr)
          return conv_backward_input_strips(part, dy_part, filter, to);
        run(part, dy_part, filter, to, refuse_depthwise(part) == nullptr);
      },
      pad_backward};
  const Scratch<char> workspace(folded_workspace(g, dx.dtype));
  folded_backward_input(kernels, g, dy, w, workspace.data(), dx);
}

const char* refuse_conv_backward_input_implicit_gemm(const ConvGeometry& g, ConstView, ConstView, View) {
  return g.folds() ? kFolds : nullptr;
}

const char* refuse_conv_backward_input_small(const ConvGeometry& g, ConstView, ConstView, View) {
  if (g.folds()) return kFolds;
  return refuse_small(g);
}

void conv_backward_input_depthwise(const ConvGeometry& g, ConstView dy, ConstView w, View dx) {
  run(g, dy, w, dx, true);
}

const char* refuse_conv_backward_input_depthwise(const ConvGeometry& g, ConstView, ConstView, View) {
  if (g.folds()) return kFolds;
  return refuse_depthwise(g);
}

}  // namespace isobit::cpu::kernels
