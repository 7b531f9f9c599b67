// The fast algorithms of convolution. Signatures are the kernels' own (core/backend.h); the orders of
// summation and the loops are explained in docs/convolution.md.
#pragma once
#include <functional>

#include "core/backend.h"
#include "cpu/kernels/conv_pass.h"

namespace isobit::cpu::kernels {

/// The problem as a pass of the implicit GEMM, for `run` to compute; for what sums in an order of its own.
void conv_forward_as_pass(const ConvGeometry& g, ConstView x, ConstView w, const Epilogue& epilogue, View y,
                          const std::function<void(const gemm::Pass&)>& run);

/// Serves every problem.
void conv_forward_implicit_gemm(const ConvGeometry& g, ConstView x, ConstView w, const Epilogue& epilogue,
                                View y);

/// Serves problems of so little work that the plan of the others would count.
const char* refuse_conv_forward_small(const ConvGeometry& g, ConstView x, ConstView w,
                                      const Epilogue& epilogue, View y);
void conv_forward_small(const ConvGeometry& g, ConstView x, ConstView w, const Epilogue& epilogue, View y);
/// Why a problem is not small in that sense, in any direction; null when it is.
const char* refuse_small(const ConvGeometry& g);

/// Serves groups of one channel and one filter where the filter is a few columns wide, the stride 1 or 2 and
/// the channels fill a vector: straight from x.
const char* refuse_conv_forward_strips(const ConvGeometry& g, ConstView x, ConstView w,
                                       const Epilogue& epilogue, View y);
void conv_forward_strips(const ConvGeometry& g, ConstView x, ConstView w, const Epilogue& epilogue, View y);

/// The same for groups of a few channels (2, 4, in f32 also 8) and as many filters; conv_forward_strips runs
/// these too.
const char* refuse_conv_forward_group_strips(const ConvGeometry& g, ConstView x, ConstView w,
                                             const Epilogue& epilogue, View y);
/// Why the groups are not several of the same number (two or more) of channels and filters; null when they
/// are.
const char* refuse_even_groups(const ConvGeometry& g);

/// Serves groups of one channel and one filter, in vectors of channels.
const char* refuse_conv_forward_depthwise(const ConvGeometry& g, ConstView x, ConstView w,
                                          const Epilogue& epilogue, View y);
void conv_forward_depthwise(const ConvGeometry& g, ConstView x, ConstView w, const Epilogue& epilogue,
                            View y);
/// Why a problem is not depthwise in that sense, null when it is.
const char* refuse_depthwise(const ConvGeometry& g);

/// Serves one to four filters, in vectors of positions.
const char* refuse_conv_forward_over_space(const ConvGeometry& g, ConstView x, ConstView w,
                                           const Epilogue& epilogue, View y);
void conv_forward_over_space(const ConvGeometry& g, ConstView x, ConstView w, const Epilogue& epilogue,
                             View y);

}  // namespace isobit::cpu::kernels
