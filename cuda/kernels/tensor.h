// Fast mode's matrix products and convolutions on matrix units (isobit/arithmetic.h): the algorithms of one
// kernel each, in the seam's signature. refuse_...: null when the algorithm serves the problem, else the
// reason.
//   tensor_cores         the tile and the split that suit the problem
//   tensor_cores_MxN     that tile
//   tensor_cores_folded  gradients to x where axes fold
#pragma once
#include "core/backend.h"

namespace isobit::gpu::kernels {

const char* refuse_matmul_tensor(const MatmulGeometry& g, ConstView a, ConstView b, View c);
void matmul_tensor(const MatmulGeometry& g, ConstView a, ConstView b, View c);
void matmul_tensor_128x128(const MatmulGeometry& g, ConstView a, ConstView b, View c);
void matmul_tensor_64x64(const MatmulGeometry& g, ConstView a, ConstView b, View c);

const char* refuse_conv_forward_tensor(const ConvGeometry& g, ConstView x, ConstView w,
                                       const Epilogue& epilogue, View y);
void conv_forward_tensor(const ConvGeometry& g, ConstView x, ConstView w, const Epilogue& epilogue, View y);
void conv_forward_tensor_128x128(const ConvGeometry& g, ConstView x, ConstView w, const Epilogue& epilogue,
                                 View y);
void conv_forward_tensor_64x64(const ConvGeometry& g, ConstView x, ConstView w, const Epilogue& epilogue,
                               View y);

const char* refuse_conv_backward_input_tensor_folded(const ConvGeometry& g, ConstView dy, ConstView w,
                                                     View dx);
void conv_backward_input_tensor_folded(const ConvGeometry& g, ConstView dy, ConstView w, View dx);
const char* refuse_conv_backward_input_tensor(const ConvGeometry& g, ConstView dy, ConstView w, View dx);
void conv_backward_input_tensor(const ConvGeometry& g, ConstView dy, ConstView w, View dx);
void conv_backward_input_tensor_128x128(const ConvGeometry& g, ConstView dy, ConstView w, View dx);
void conv_backward_input_tensor_64x64(const ConvGeometry& g, ConstView dy, ConstView w, View dx);

const char* refuse_conv_backward_filter_tensor(const ConvGeometry& g, ConstView x, ConstView dy, View dw);
void conv_backward_filter_tensor(const ConvGeometry& g, ConstView x, ConstView dy, View dw);
void conv_backward_filter_tensor_128x128(const ConvGeometry& g, ConstView x, ConstView dy, View dw);
void conv_backward_filter_tensor_64x64(const ConvGeometry& g, ConstView x, ConstView dy, View dw);

}  // namespace isobit::gpu::kernels
