// What can run the kernels of matrix products and convolutions, in order of preference. A fast algorithm goes
// before "reference" as {"name", refuse function or nullptr, run function}; see cpu/algorithms.h.
#include "cpu/algorithms.h"
#include "cpu/kernels/amx.h"
#include "cpu/kernels/conv_backward_filter.h"
#include "cpu/kernels/conv_backward_input.h"
#include "cpu/kernels/conv_forward.h"
#include "cpu/kernels/conv_linear.h"
#include "cpu/kernels/kernels.h"
#include "cpu/kernels/matmul.h"

namespace isobit::cpu {

void set_conv_algorithms(AlgorithmLists& lists) {
  lists.matmul.set({
      {"small", kernels::refuse_matmul_small, kernels::matmul_small},
      {"packed", kernels::refuse_matmul_packed, kernels::matmul_packed},
      {"register_tiles", nullptr, kernels::matmul_register_tiles},
      {"reference", nullptr, reference::matmul},
  });
  lists.matmul.set_fast({
      {"amx", kernels::refuse_matmul_amx, kernels::matmul_amx},
      {"amx_emulated", kernels::refuse_matmul_amx_emulated, kernels::matmul_amx_emulated, true},
  });
  lists.conv_forward.set_fast({
      {"amx", kernels::refuse_conv_forward_amx, kernels::conv_forward_amx},
      {"amx_emulated", kernels::refuse_conv_forward_amx_emulated, kernels::conv_forward_amx_emulated, true},
  });
  lists.conv_forward.set({
      {"linear", kernels::refuse_conv_forward_linear, kernels::conv_forward_linear},
      {"small", kernels::refuse_conv_forward_small, kernels::conv_forward_small},
      {"depthwise_strips", kernels::refuse_conv_forward_strips, kernels::conv_forward_strips},
      {"depthwise", kernels::refuse_conv_forward_depthwise, kernels::conv_forward_depthwise},
      {"group_strips", kernels::refuse_conv_forward_group_strips, kernels::conv_forward_strips},
      {"over_space", kernels::refuse_conv_forward_over_space, kernels::conv_forward_over_space},
      {"implicit_gemm", nullptr, kernels::conv_forward_implicit_gemm},
      {"reference", nullptr, reference::conv_forward},
  });
  lists.conv_backward_input.set_fast({
      {"amx", kernels::refuse_conv_backward_input_amx, kernels::conv_backward_input_amx},
      {"amx_emulated", kernels::refuse_conv_backward_input_amx_emulated,
       kernels::conv_backward_input_amx_emulated, true},
  });
  lists.conv_backward_input.set({
      {"folded", kernels::refuse_conv_backward_input_folded, kernels::conv_backward_input_folded},
      {"linear", kernels::refuse_conv_backward_input_linear, kernels::conv_backward_input_linear},
      {"small", kernels::refuse_conv_backward_input_small, kernels::conv_backward_input_small},
      {"depthwise_strips", kernels::refuse_conv_backward_input_strips, kernels::conv_backward_input_strips},
      {"depthwise", kernels::refuse_conv_backward_input_depthwise, kernels::conv_backward_input_depthwise},
      {"group_strips", kernels::refuse_conv_backward_input_group_strips, kernels::conv_backward_input_strips},
      {"over_space", kernels::refuse_conv_backward_input_over_space, kernels::conv_backward_input_over_space},
      {"implicit_gemm", kernels::refuse_conv_backward_input_implicit_gemm,
       kernels::conv_backward_input_implicit_gemm},
      {"reference", nullptr, reference::conv_backward_input},
  });
  lists.conv_backward_filter.set_fast({
      {"amx", kernels::refuse_conv_backward_filter_amx, kernels::conv_backward_filter_amx},
      {"amx_emulated", kernels::refuse_conv_backward_filter_amx_emulated,
       kernels::conv_backward_filter_amx_emulated, true},
  });
  lists.conv_backward_filter.set({
      {"linear", kernels::refuse_conv_backward_filter_linear, kernels::conv_backward_filter_linear},
      {"depthwise_strips", kernels::refuse_conv_backward_filter_strips, kernels::conv_backward_filter_strips},
      {"depthwise", kernels::refuse_conv_backward_filter_depthwise, kernels::conv_backward_filter_depthwise},
      {"group_strips", kernels::refuse_conv_backward_filter_group_strips,
       kernels::conv_backward_filter_strips},
      {"implicit_gemm", nullptr, kernels::conv_backward_filter_implicit_gemm},
      {"reference", nullptr, reference::conv_backward_filter},
  });
  lists.unfold.set({
      {"simd", nullptr, kernels::unfold},
      {"reference", nullptr, reference::unfold},
  });
  lists.fold.set({
      {"simd", nullptr, kernels::fold},
      {"reference", nullptr, reference::fold},
  });
}

}  // namespace isobit::cpu
