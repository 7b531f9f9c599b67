// What can run the kernels of the seam on the CUDA device, in order of preference; see core/algorithm.h.
// There is no plain twin of every kernel here: the definition is the CPU's reference/, and the parity tests
// hold all to it.
#include "cuda/algorithms.h"

#include "cuda/kernels/conv.h"
#include "cuda/kernels/kernels.h"
#include "cuda/kernels/scatter.cuh"
#include "cuda/kernels/tensor.h"
#include "cuda/vendor/vendor.h"

namespace isobit::gpu {

void fill_algorithms(AlgorithmLists& lists) {
  lists.fill.set({{"grid", nullptr, kernels::fill}});
  lists.cast.set({{"grid", nullptr, kernels::cast}});
  lists.strided_copy.set({{"grid", nullptr, kernels::strided_copy}});
  lists.pad.set({{"grid", nullptr, kernels::pad}});
  lists.pad_backward.set({{"grid", nullptr, kernels::pad_backward}});
  lists.gather_rows.set({{"grid", nullptr, kernels::gather_rows}});
  lists.scatter_add_rows.set({{"sorted", kernels::refuse_scatter_sorted, kernels::scatter_add_rows_sorted},
                              {"scan", nullptr, kernels::scatter_add_rows}});
  lists.arange.set({{"grid", nullptr, kernels::arange}});
  lists.one_hot.set({{"grid", nullptr, kernels::one_hot}});
  lists.unary.set({{"grid", nullptr, kernels::unary}});
  lists.binary.set({{"grid", nullptr, kernels::binary}});
  lists.select.set({{"grid", nullptr, kernels::select}});
  lists.reduce_sum.set({{"shared", kernels::refuse_reduce_sum_shared, kernels::reduce_sum_shared},
                        {"grid", nullptr, kernels::reduce_sum}});
  lists.reduce_extreme.set({{"shared", kernels::refuse_reduce_extreme_shared, kernels::reduce_extreme_shared},
                            {"grid", nullptr, kernels::reduce_extreme}});
  lists.matmul.set({{"tiled", nullptr, kernels::matmul_tiled},
                    {"tiled_128x128", kernels::refuse_matmul_tiled_large, kernels::matmul_tiled_128x128},
                    {"tiled_128x64", kernels::refuse_matmul_tiled_large, kernels::matmul_tiled_128x64},
                    {"tiled_64x64", nullptr, kernels::matmul_tiled_64x64},
                    {"tiled_128x32", nullptr, kernels::matmul_tiled_128x32},
                    {"tiled_256x8", nullptr, kernels::matmul_tiled_256x8},
                    {"direct", nullptr, kernels::matmul_direct}});
  lists.conv_forward.set(
      {{"depthwise", kernels::refuse_conv_forward_depthwise, kernels::conv_forward_depthwise},
       {"implicit_gemm", kernels::refuse_conv_forward_implicit_gemm, kernels::conv_forward_implicit_gemm},
       {"tiled_128x128", kernels::refuse_conv_forward_tiled_large, kernels::conv_forward_tiled_128x128},
       {"tiled_128x64", kernels::refuse_conv_forward_tiled_large, kernels::conv_forward_tiled_128x64},
       {"tiled_64x64", kernels::refuse_conv_forward_tiled, kernels::conv_forward_tiled_64x64},
       {"tiled_128x32", kernels::refuse_conv_forward_tiled, kernels::conv_forward_tiled_128x32},
       {"tiled_256x8", kernels::refuse_conv_forward_tiled, kernels::conv_forward_tiled_256x8},
       {"direct", nullptr, kernels::conv_forward_direct}});
  lists.conv_backward_input.set(
      {{"folded", kernels::refuse_conv_backward_input_folded, kernels::conv_backward_input_folded},
       {"depthwise", kernels::refuse_conv_backward_input_depthwise, kernels::conv_backward_input_depthwise},
       {"implicit_gemm", kernels::refuse_conv_backward_input_implicit_gemm,
        kernels::conv_backward_input_implicit_gemm},
       {"tiled_128x128", kernels::refuse_conv_backward_input_tiled_large,
        kernels::conv_backward_input_tiled_128x128},
       {"tiled_128x64", kernels::refuse_conv_backward_input_tiled_large,
        kernels::conv_backward_input_tiled_128x64},
       {"tiled_64x64", kernels::refuse_conv_backward_input_tiled, kernels::conv_backward_input_tiled_64x64},
       {"tiled_128x32", kernels::refuse_conv_backward_input_tiled, kernels::conv_backward_input_tiled_128x32},
       {"tiled_256x8", kernels::refuse_conv_backward_input_tiled, kernels::conv_backward_input_tiled_256x8},
       {"direct", nullptr, kernels::conv_backward_input_direct}});
  lists.conv_backward_filter.set(
      {{"depthwise", kernels::refuse_conv_backward_filter_depthwise, kernels::conv_backward_filter_depthwise},
       {"implicit_gemm", kernels::refuse_conv_backward_filter_implicit_gemm,
        kernels::conv_backward_filter_implicit_gemm},
       {"tiled_128x128", kernels::refuse_conv_backward_filter_tiled_large,
        kernels::conv_backward_filter_tiled_128x128},
       {"tiled_128x64", kernels::refuse_conv_backward_filter_tiled_large,
        kernels::conv_backward_filter_tiled_128x64},
       {"tiled_64x64", kernels::refuse_conv_backward_filter_tiled, kernels::conv_backward_filter_tiled_64x64},
       {"tiled_128x32", kernels::refuse_conv_backward_filter_tiled,
        kernels::conv_backward_filter_tiled_128x32},
       {"tiled_256x8", kernels::refuse_conv_backward_filter_tiled, kernels::conv_backward_filter_tiled_256x8},
       {"direct", nullptr, kernels::conv_backward_filter_direct}});
  lists.matmul.set_fast(
      {{"tensor_cores", kernels::refuse_matmul_tensor, kernels::matmul_tensor},
       {"tensor_cores_128x128", kernels::refuse_matmul_tensor, kernels::matmul_tensor_128x128},
       {"tensor_cores_64x64", kernels::refuse_matmul_tensor, kernels::matmul_tensor_64x64},
       {"cublaslt", vendor::refuse_matmul_cublaslt, vendor::matmul_cublaslt}});
  lists.conv_forward.set_fast(
      {{"tensor_cores", kernels::refuse_conv_forward_tensor, kernels::conv_forward_tensor},
       {"tensor_cores_128x128", kernels::refuse_conv_forward_tensor, kernels::conv_forward_tensor_128x128},
       {"tensor_cores_64x64", kernels::refuse_conv_forward_tensor, kernels::conv_forward_tensor_64x64},
       {"cudnn", vendor::refuse_conv_forward_cudnn, vendor::conv_forward_cudnn}});
  lists.conv_backward_input.set_fast(
      {{"tensor_cores_folded", kernels::refuse_conv_backward_input_tensor_folded,
        kernels::conv_backward_input_tensor_folded},
       {"tensor_cores", kernels::refuse_conv_backward_input_tensor, kernels::conv_backward_input_tensor},
       {"tensor_cores_128x128", kernels::refuse_conv_backward_input_tensor,
        kernels::conv_backward_input_tensor_128x128},
       {"tensor_cores_64x64", kernels::refuse_conv_backward_input_tensor,
        kernels::conv_backward_input_tensor_64x64},
       {"cudnn", vendor::refuse_conv_backward_input_cudnn, vendor::conv_backward_input_cudnn}});
  lists.conv_backward_filter.set_fast(
      {{"tensor_cores", kernels::refuse_conv_backward_filter_tensor, kernels::conv_backward_filter_tensor},
       {"tensor_cores_128x128", kernels::refuse_conv_backward_filter_tensor,
        kernels::conv_backward_filter_tensor_128x128},
       {"tensor_cores_64x64", kernels::refuse_conv_backward_filter_tensor,
        kernels::conv_backward_filter_tensor_64x64},
       {"cudnn", vendor::refuse_conv_backward_filter_cudnn, vendor::conv_backward_filter_cudnn}});
  lists.unfold.set({{"grid", nullptr, kernels::unfold}});
  lists.fold.set({{"grid", nullptr, kernels::fold}});
  lists.resample.set({{"grid", nullptr, kernels::resample}});
  lists.max_pool.set({{"grid", nullptr, kernels::max_pool}});
  lists.max_pool_backward.set({{"grid", nullptr, kernels::max_pool_backward}});
  lists.max_pool_gather.set({{"grid", nullptr, kernels::max_pool_gather}});
  lists.avg_pool.set({{"grid", nullptr, kernels::avg_pool}});
  lists.avg_pool_backward.set({{"grid", nullptr, kernels::avg_pool_backward}});
  // By name alone: what they would gain, nobody has measured.
  lists.max_pool.set_fast({{"cudnn", vendor::refuse_max_pool_cudnn, vendor::max_pool_cudnn, true}});
  lists.max_pool_backward.set_fast(
      {{"cudnn", vendor::refuse_max_pool_backward_cudnn, vendor::max_pool_backward_cudnn, true}});
  lists.avg_pool.set_fast({{"cudnn", vendor::refuse_avg_pool_cudnn, vendor::avg_pool_cudnn, true}});
  lists.avg_pool_backward.set_fast(
      {{"cudnn", vendor::refuse_avg_pool_backward_cudnn, vendor::avg_pool_backward_cudnn, true}});
  lists.softmax.set({{"block_rows", kernels::refuse_softmax_block, kernels::softmax_block},
                     {"grid", nullptr, kernels::softmax}});
  lists.log_softmax.set({{"block_rows", kernels::refuse_softmax_block, kernels::log_softmax_block},
                         {"grid", nullptr, kernels::log_softmax}});
  lists.softmax_backward.set(
      {{"block_rows", kernels::refuse_softmax_backward_block, kernels::softmax_backward_block},
       {"grid", nullptr, kernels::softmax_backward}});
  lists.log_softmax_backward.set(
      {{"block_rows", kernels::refuse_softmax_backward_block, kernels::log_softmax_backward_block},
       {"grid", nullptr, kernels::log_softmax_backward}});
  lists.norm_statistics.set(
      {{"shared", kernels::refuse_norm_statistics_shared, kernels::norm_statistics_shared},
       {"grid", nullptr, kernels::norm_statistics}});
  lists.norm_apply.set({{"grid", nullptr, kernels::norm_apply}});
  lists.norm_backward.set({{"shared", kernels::refuse_norm_backward_shared, kernels::norm_backward_shared},
                           {"grid", nullptr, kernels::norm_backward}});
  lists.norm_backward_affine.set(
      {{"shared", kernels::refuse_norm_backward_affine_shared, kernels::norm_backward_affine_shared},
       {"grid", nullptr, kernels::norm_backward_affine}});
  lists.norm_backward.set_fast(
      {{"cudnn", vendor::refuse_norm_backward_cudnn, vendor::norm_backward_cudnn, true}});
  lists.local_response_norm.set({{"grid", nullptr, kernels::local_response_norm}});
  lists.local_response_norm_backward.set({{"shared", kernels::refuse_local_response_norm_backward_shared,
                                           kernels::local_response_norm_backward_shared},
                                          {"grid", nullptr, kernels::local_response_norm_backward}});
  lists.random_uniform.set({{"grid", nullptr, kernels::random_uniform}});
  lists.random_normal.set({{"grid", nullptr, kernels::random_normal}});
  lists.dropout.set({{"grid", nullptr, kernels::dropout}});
  lists.optimizer_step.set({{"grid", nullptr, kernels::optimizer_step}});
}

}  // namespace isobit::gpu
