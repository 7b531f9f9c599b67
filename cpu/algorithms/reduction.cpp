// What can run the kernels of reductions, softmax and norms (of channels' windows too), in order of
// preference. A fast algorithm goes before "reference" as {"name", refuse function or nullptr, run function};
// see cpu/algorithms.h.
#include "cpu/algorithms.h"
#include "cpu/kernels/kernels.h"

namespace isobit::cpu {

void set_reduction_algorithms(AlgorithmLists& lists) {
  lists.reduce_sum.set({
      {"simd", nullptr, kernels::reduce_sum},
      {"reference", nullptr, reference::reduce_sum},
  });
  lists.reduce_extreme.set({
      {"simd", kernels::refuse_reduce_extreme, kernels::reduce_extreme},
      {"reference", nullptr, reference::reduce_extreme},
  });
  lists.softmax.set({
      {"simd", nullptr, kernels::softmax},
      {"reference", nullptr, reference::softmax},
  });
  lists.log_softmax.set({
      {"simd", nullptr, kernels::log_softmax},
      {"reference", nullptr, reference::log_softmax},
  });
  lists.softmax_backward.set({
      {"simd", nullptr, kernels::softmax_backward},
      {"reference", nullptr, reference::softmax_backward},
  });
  lists.log_softmax_backward.set({
      {"simd", nullptr, kernels::log_softmax_backward},
      {"reference", nullptr, reference::log_softmax_backward},
  });
  lists.norm_statistics.set({
      {"simd", nullptr, kernels::norm_statistics},
      {"reference", nullptr, reference::norm_statistics},
  });
  lists.norm_apply.set({
      {"simd", nullptr, kernels::norm_apply},
      {"reference", nullptr, reference::norm_apply},
  });
  lists.norm_backward.set({
      {"simd", nullptr, kernels::norm_backward},
      {"reference", nullptr, reference::norm_backward},
  });
  lists.norm_backward_affine.set({
      {"simd", nullptr, kernels::norm_backward_affine},
      {"reference", nullptr, reference::norm_backward_affine},
  });
  lists.local_response_norm.set({
      {"simd", nullptr, kernels::local_response_norm},
      {"reference", nullptr, reference::local_response_norm},
  });
  lists.local_response_norm_backward.set({
      {"simd", nullptr, kernels::local_response_norm_backward},
      {"reference", nullptr, reference::local_response_norm_backward},
  });
}

}  // namespace isobit::cpu
