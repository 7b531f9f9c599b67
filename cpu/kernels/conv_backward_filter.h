#pragma once
#include "core/backend.h"

namespace isobit::cpu::kernels {

/// Serves every problem.
void conv_backward_filter_implicit_gemm(const ConvGeometry& g, ConstView x, ConstView dy, View dw);

/// Serves groups of one channel and one filter where the filter is three or five columns wide, the stride 1
/// or 2 and the channels fill a vector: straight from x and dy.
const char* refuse_conv_backward_filter_strips(const ConvGeometry& g, ConstView x, ConstView dy, View dw);
void conv_backward_filter_strips(const ConvGeometry& g, ConstView x, ConstView dy, View dw);

/// The same for groups of 2 or 4 channels, in f32 with AVX-512 also 8, and as many filters, three columns
/// wide; conv_backward_filter_strips runs these too.
const char* refuse_conv_backward_filter_group_strips(const ConvGeometry& g, ConstView x, ConstView dy,
                                                     View dw);

/// Serves groups of one channel and one filter, in vectors of channels.
const char* refuse_conv_backward_filter_depthwise(const ConvGeometry& g, ConstView x, ConstView dy, View dw);
void conv_backward_filter_depthwise(const ConvGeometry& g, ConstView x, ConstView dy, View dw);

}  // namespace isobit::cpu::kernels
