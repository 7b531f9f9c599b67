// Fast mode's algorithms that NVIDIA's libraries compute (isobit/arithmetic.h), in the seam's signature,
// beside our own tensor_cores. They are the last of their lists: asked for by name, or chosen by time (those
// of pooling and norms by name alone). Where
// a library is missing, or refuses the problem, refuse_... says so. (docs/fast-mode.md)
#pragma once
#include "core/backend.h"

namespace isobit::gpu::vendor {

const char* refuse_matmul_cublaslt(const MatmulGeometry& g, ConstView a, ConstView b, View c);
void matmul_cublaslt(const MatmulGeometry& g, ConstView a, ConstView b, View c);

const char* refuse_conv_forward_cudnn(const ConvGeometry& g, ConstView x, ConstView w,
                                      const Epilogue& epilogue, View y);
void conv_forward_cudnn(const ConvGeometry& g, ConstView x, ConstView w, const Epilogue& epilogue, View y);
const char* refuse_conv_backward_input_cudnn(const ConvGeometry& g, ConstView dy, ConstView w, View dx);
void conv_backward_input_cudnn(const ConvGeometry& g, ConstView dy, ConstView w, View dx);
const char* refuse_conv_backward_filter_cudnn(const ConvGeometry& g, ConstView x, ConstView dy, View dw);
void conv_backward_filter_cudnn(const ConvGeometry& g, ConstView x, ConstView dy, View dw);

const char* refuse_max_pool_cudnn(const PoolGeometry& g, ConstView x, View y, View index);
void max_pool_cudnn(const PoolGeometry& g, ConstView x, View y, View index);
const char* refuse_max_pool_backward_cudnn(const PoolGeometry& g, ConstView dy, ConstView index, View dx);
void max_pool_backward_cudnn(const PoolGeometry& g, ConstView dy, ConstView index, View dx);
const char* refuse_avg_pool_cudnn(const PoolGeometry& g, ConstView x, View y);
void avg_pool_cudnn(const PoolGeometry& g, ConstView x, View y);
const char* refuse_avg_pool_backward_cudnn(const PoolGeometry& g, ConstView dy, View dx);
void avg_pool_backward_cudnn(const PoolGeometry& g, ConstView dy, View dx);

/// Statistics and result in one (core/fused_norm.h).
const char* refuse_norm_cudnn(const NormGeometry& g, double eps, ConstView x, ConstView gamma, ConstView beta,
                              View mean, View variance, View y);
void norm_cudnn(const NormGeometry& g, double eps, ConstView x, ConstView gamma, ConstView beta, View mean,
                View variance, View y);
const char* refuse_norm_backward_cudnn(const NormGeometry& g, double eps, ConstView dy, ConstView x,
                                       ConstView mean, ConstView variance, ConstView gamma, View dx);
void norm_backward_cudnn(const NormGeometry& g, double eps, ConstView dy, ConstView x, ConstView mean,
                         ConstView variance, ConstView gamma, View dx);

}  // namespace isobit::gpu::vendor
