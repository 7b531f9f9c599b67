// Matrix products and convolutions: the algorithms of one kernel each, in the seam's signature; which is
// preferred stands in cuda/algorithms.cu. refuse_...: null when the algorithm serves the problem, else the
// reason.
//   implicit_gemm, tiled   the tile and the split that suit the problem (gemm.cu)
//   tiled_MxN              that tile (large: one of 64 sums a thread; 256x8: gemm_few.cuh)
//   depthwise              groups of one channel
//   direct                 everything
//   folded                 gradients to x where axes fold
#pragma once
#include "core/backend.h"

namespace isobit::gpu::kernels {

void matmul_tiled(const MatmulGeometry& g, ConstView a, ConstView b, View c);
const char* refuse_matmul_tiled_large(const MatmulGeometry& g, ConstView a, ConstView b, View c);
void matmul_tiled_128x128(const MatmulGeometry& g, ConstView a, ConstView b, View c);
void matmul_tiled_128x64(const MatmulGeometry& g, ConstView a, ConstView b, View c);
void matmul_tiled_64x64(const MatmulGeometry& g, ConstView a, ConstView b, View c);
void matmul_tiled_128x32(const MatmulGeometry& g, ConstView a, ConstView b, View c);
void matmul_tiled_256x8(const MatmulGeometry& g, ConstView a, ConstView b, View c);
void matmul_direct(const MatmulGeometry& g, ConstView a, ConstView b, View c);

const char* refuse_conv_forward_depthwise(const ConvGeometry& g, ConstView x, ConstView w,
                                          const Epilogue& epilogue, View y);
void conv_forward_depthwise(const ConvGeometry& g, ConstView x, ConstView w, const Epilogue& epilogue,
                            View y);
const char* refuse_conv_forward_implicit_gemm(const ConvGeometry& g, ConstView x, ConstView w,
                                              const Epilogue& epilogue, View y);
void conv_forward_implicit_gemm(const ConvGeometry& g, ConstView x, ConstView w, const Epilogue& epilogue,
                                View y);
const char* refuse_conv_forward_tiled(const ConvGeometry& g, ConstView x, ConstView w,
                                      const Epilogue& epilogue, View y);
const char* refuse_conv_forward_tiled_large(const ConvGeometry& g, ConstView x, ConstView w,
                                            const Epilogue& epilogue, View y);
void conv_forward_tiled_128x128(const ConvGeometry& g, ConstView x, ConstView w, const Epilogue& epilogue,
                                View y);
void conv_forward_tiled_128x64(const ConvGeometry& g, ConstView x, ConstView w, const Epilogue& epilogue,
                               View y);
void conv_forward_tiled_64x64(const ConvGeometry& g, ConstView x, ConstView w, const Epilogue& epilogue,
                              View y);
void conv_forward_tiled_128x32(const ConvGeometry& g, ConstView x, ConstView w, const Epilogue& epilogue,
                               View y);
void conv_forward_tiled_256x8(const ConvGeometry& g, ConstView x, ConstView w, const Epilogue& epilogue,
                              View y);
void conv_forward_direct(const ConvGeometry& g, ConstView x, ConstView w, const Epilogue& epilogue, View y);

/// Why a gradient to x is left to the algorithm "folded" where g.folds().
inline constexpr const char* kFolds = "an axis folds";
/// That gradient, by `backward_input`, which sees problems that do not fold.
void fold_gradient(void (*backward_input)(const ConvGeometry& g, ConstView dy, ConstView w, View dx),
                   const ConvGeometry& g, ConstView dy, ConstView w, View dx);

const char* refuse_conv_backward_input_folded(const ConvGeometry& g, ConstView dy, ConstView w, View dx);
void conv_backward_input_folded(const ConvGeometry& g, ConstView dy, ConstView w, View dx);
const char* refuse_conv_backward_input_depthwise(const ConvGeometry& g, ConstView dy, ConstView w, View dx);
void conv_backward_input_depthwise(const ConvGeometry& g, ConstView dy, ConstView w, View dx);
const char* refuse_conv_backward_input_implicit_gemm(const ConvGeometry& g, ConstView dy, ConstView w,
                                                     View dx);
void conv_backward_input_implicit_gemm(const ConvGeometry& g, ConstView dy, ConstView w, View dx);
const char* refuse_conv_backward_input_tiled(const ConvGeometry& g, ConstView dy, ConstView w, View dx);
const char* refuse_conv_backward_input_tiled_large(const ConvGeometry& g, ConstView dy, ConstView w, View dx);
void conv_backward_input_tiled_128x128(const ConvGeometry& g, ConstView dy, ConstView w, View dx);
void conv_backward_input_tiled_128x64(const ConvGeometry& g, ConstView dy, ConstView w, View dx);
void conv_backward_input_tiled_64x64(const ConvGeometry& g, ConstView dy, ConstView w, View dx);
void conv_backward_input_tiled_128x32(const ConvGeometry& g, ConstView dy, ConstView w, View dx);
void conv_backward_input_tiled_256x8(const ConvGeometry& g, ConstView dy, ConstView w, View dx);
void conv_backward_input_direct(const ConvGeometry& g, ConstView dy, ConstView w, View dx);

const char* refuse_conv_backward_filter_depthwise(const ConvGeometry& g, ConstView x, ConstView dy, View dw);
void conv_backward_filter_depthwise(const ConvGeometry& g, ConstView x, ConstView dy, View dw);
const char* refuse_conv_backward_filter_implicit_gemm(const ConvGeometry& g, ConstView x, ConstView dy,
                                                      View dw);
void conv_backward_filter_implicit_gemm(const ConvGeometry& g, ConstView x, ConstView dy, View dw);
const char* refuse_conv_backward_filter_tiled(const ConvGeometry& g, ConstView x, ConstView dy, View dw);
const char* refuse_conv_backward_filter_tiled_large(const ConvGeometry& g, ConstView x, ConstView dy,
                                                    View dw);
void conv_backward_filter_tiled_128x128(const ConvGeometry& g, ConstView x, ConstView dy, View dw);
void conv_backward_filter_tiled_128x64(const ConvGeometry& g, ConstView x, ConstView dy, View dw);
void conv_backward_filter_tiled_64x64(const ConvGeometry& g, ConstView x, ConstView dy, View dw);
void conv_backward_filter_tiled_128x32(const ConvGeometry& g, ConstView x, ConstView dy, View dw);
void conv_backward_filter_tiled_256x8(const ConvGeometry& g, ConstView x, ConstView dy, View dw);
void conv_backward_filter_direct(const ConvGeometry& g, ConstView x, ConstView dy, View dw);

}  // namespace isobit::gpu::kernels
