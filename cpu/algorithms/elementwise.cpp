// What can run the kernels of element-wise functions, random numbers and optimizers, in order of preference.
// A fast algorithm goes before "reference" as {"name", refuse function or nullptr, run function}; see
// cpu/algorithms.h.
#include "cpu/algorithms.h"

namespace isobit::cpu {

void set_elementwise_algorithms(Algorithms& lists) {
  lists.unary.set({
      {"reference", nullptr, reference::unary},
  });
  lists.binary.set({
      {"reference", nullptr, reference::binary},
  });
  lists.select.set({
      {"reference", nullptr, reference::select},
  });
  lists.random_uniform.set({
      {"reference", nullptr, reference::random_uniform},
  });
  lists.random_normal.set({
      {"reference", nullptr, reference::random_normal},
  });
  lists.dropout.set({
      {"reference", nullptr, reference::dropout},
  });
  lists.optimizer_step.set({
      {"reference", nullptr, reference::optimizer_step},
  });
}

}  // namespace isobit::cpu
