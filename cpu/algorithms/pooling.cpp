// What can run the kernels of pooling, in order of preference. A fast algorithm goes
// before "reference" as {"name", refuse function or nullptr, run function}; see cpu/algorithms.h.
#include "cpu/algorithms.h"

namespace isobit::cpu {

void set_pooling_algorithms(Algorithms& lists) {
  lists.max_pool.set({
      {"reference", nullptr, reference::max_pool},
  });
  lists.max_pool_backward.set({
      {"reference", nullptr, reference::max_pool_backward},
  });
  lists.max_pool_gather.set({
      {"reference", nullptr, reference::max_pool_gather},
  });
  lists.avg_pool.set({
      {"reference", nullptr, reference::avg_pool},
  });
  lists.avg_pool_backward.set({
      {"reference", nullptr, reference::avg_pool_backward},
  });
}

}  // namespace isobit::cpu
