// What can run the kernels of pooling, in order of preference. A fast algorithm goes
// before "reference" as {"name", refuse function or nullptr, run function}; see cpu/algorithms.h.
#include "cpu/algorithms.h"
#include "cpu/kernels/kernels.h"

namespace isobit::cpu {

void set_pooling_algorithms(AlgorithmLists& lists) {
  lists.resample.set({
      {"simd", nullptr, kernels::resample},
      {"reference", nullptr, reference::resample},
  });
  lists.max_pool.set({
      {"simd", kernels::refuse_max_pool, kernels::max_pool},
      {"reference", nullptr, reference::max_pool},
  });
  lists.max_pool_backward.set({
      {"simd", kernels::refuse_max_pool_backward, kernels::max_pool_backward},
      {"reference", nullptr, reference::max_pool_backward},
  });
  lists.max_pool_gather.set({
      {"simd", nullptr, kernels::max_pool_gather},
      {"reference", nullptr, reference::max_pool_gather},
  });
  lists.avg_pool.set({
      {"simd", nullptr, kernels::avg_pool},
      {"reference", nullptr, reference::avg_pool},
  });
  lists.avg_pool_backward.set({
      {"simd", nullptr, kernels::avg_pool_backward},
      {"reference", nullptr, reference::avg_pool_backward},
  });
}

}  // namespace isobit::cpu
