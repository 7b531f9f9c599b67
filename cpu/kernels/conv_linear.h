#pragma once
#include "core/backend.h"

namespace isobit::cpu::kernels {

/// Serves linear layers that are worth copying their operands.
const char* refuse_conv_forward_linear(const ConvGeometry& g, ConstView x, ConstView w,
                                       const Epilogue& epilogue, View y);
void conv_forward_linear(const ConvGeometry& g, ConstView x, ConstView w, const Epilogue& epilogue, View y);

/// Serves linear layers: 1x1 filters over one position, without groups, and batches up to some hundreds.
const char* refuse_conv_backward_input_linear(const ConvGeometry& g, ConstView dy, ConstView w, View dx);
void conv_backward_input_linear(const ConvGeometry& g, ConstView dy, ConstView w, View dx);

/// Serves the same layers.
const char* refuse_conv_backward_filter_linear(const ConvGeometry& g, ConstView x, ConstView dy, View dw);
void conv_backward_filter_linear(const ConvGeometry& g, ConstView x, ConstView dy, View dw);

}  // namespace isobit::cpu::kernels
