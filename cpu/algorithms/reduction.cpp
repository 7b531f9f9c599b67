// What can run the kernels of reductions, softmax and norms, in order of preference. A fast algorithm goes
// before "reference" as {"name", refuse function or nullptr, run function}; see cpu/algorithms.h.
#include "cpu/algorithms.h"

namespace isobit::cpu {

void set_reduction_algorithms(Algorithms& lists) {
  lists.reduce_sum.set({
      {"reference", nullptr, reference::reduce_sum},
  });
  lists.reduce_extreme.set({
      {"reference", nullptr, reference::reduce_extreme},
  });
  lists.softmax.set({
      {"reference", nullptr, reference::softmax},
  });
  lists.log_softmax.set({
      {"reference", nullptr, reference::log_softmax},
  });
  lists.softmax_backward.set({
      {"reference", nullptr, reference::softmax_backward},
  });
  lists.log_softmax_backward.set({
      {"reference", nullptr, reference::log_softmax_backward},
  });
  lists.norm_statistics.set({
      {"reference", nullptr, reference::norm_statistics},
  });
  lists.norm_apply.set({
      {"reference", nullptr, reference::norm_apply},
  });
  lists.norm_backward.set({
      {"reference", nullptr, reference::norm_backward},
  });
  lists.norm_backward_affine.set({
      {"reference", nullptr, reference::norm_backward_affine},
  });
}

}  // namespace isobit::cpu
