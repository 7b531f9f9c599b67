#pragma once
#include <functional>

#include "core/backend.h"
#include "cpu/kernels/conv_pass.h"

namespace isobit::cpu::kernels {

/// Every problem as passes of the implicit GEMM, for `run` to compute; for what sums in an order of its own.
void conv_backward_input_as_passes(const ConvGeometry& g, ConstView dy, ConstView w, View dx,
                                   const std::function<void(const gemm::Pass&)>& run);

/// Serves problems where an axis folds; the others refuse those.
const char* refuse_conv_backward_input_folded(const ConvGeometry& g, ConstView dy, ConstView w, View dx);
void conv_backward_input_folded(const ConvGeometry& g, ConstView dy, ConstView w, View dx);

/// Serves every other problem.
const char* refuse_conv_backward_input_implicit_gemm(const ConvGeometry& g, ConstView dy, ConstView w,
                                                     View dx);
void conv_backward_input_implicit_gemm(const ConvGeometry& g, ConstView dy, ConstView w, View dx);

/// Serves problems of little work (refuse_small).
const char* refuse_conv_backward_input_small(const ConvGeometry& g, ConstView dy, ConstView w, View dx);
void conv_backward_input_small(const ConvGeometry& g, ConstView dy, ConstView w, View dx);

/// Serves groups of one channel and one filter whose phases have filters a few columns wide and that fill a
/// vector: straight from dy, all phases together.
const char* refuse_conv_backward_input_strips(const ConvGeometry& g, ConstView dy, ConstView w, View dx);
void conv_backward_input_strips(const ConvGeometry& g, ConstView dy, ConstView w, View dx);

/// The same for groups of a few channels (2, 4, in f32 also 8) and as many filters;
/// conv_backward_input_strips runs these too.
const char* refuse_conv_backward_input_group_strips(const ConvGeometry& g, ConstView dy, ConstView w,
                                                    View dx);

/// Serves groups of one channel and one filter, in vectors of channels.
const char* refuse_conv_backward_input_depthwise(const ConvGeometry& g, ConstView dy, ConstView w, View dx);
void conv_backward_input_depthwise(const ConvGeometry& g, ConstView dy, ConstView w, View dx);

/// Serves one to four input channels, in vectors of positions.
const char* refuse_conv_backward_input_over_space(const ConvGeometry& g, ConstView dy, ConstView w, View dx);
void conv_backward_input_over_space(const ConvGeometry& g, ConstView dy, ConstView w, View dx);

}  // namespace isobit::cpu::kernels
