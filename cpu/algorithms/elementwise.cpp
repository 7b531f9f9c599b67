// What can run the kernels of element-wise functions, random numbers and optimizers, in order of preference.
// A fast algorithm goes before "reference" as {"name", refuse function or nullptr, run function}; see
// cpu/algorithms.h.
#include "cpu/algorithms.h"
#include "cpu/kernels/kernels.h"

namespace isobit::cpu {

void set_elementwise_algorithms(AlgorithmLists& lists) {
  lists.unary.set({
      {"simd", kernels::refuse_unary, kernels::unary},
      {"reference", nullptr, reference::unary},
  });
  lists.binary.set({
      {"simd", kernels::refuse_binary, kernels::binary},
      {"reference", nullptr, reference::binary},
  });
  lists.select.set({
      {"simd", nullptr, kernels::select},
      {"reference", nullptr, reference::select},
  });
  lists.random_uniform.set({
      {"simd", nullptr, kernels::random_uniform},
      {"reference", nullptr, reference::random_uniform},
  });
  lists.random_normal.set({
      {"simd", nullptr, kernels::random_normal},
      {"reference", nullptr, reference::random_normal},
  });
  lists.dropout.set({
      {"simd", nullptr, kernels::dropout},
      {"reference", nullptr, reference::dropout},
  });
  lists.optimizer_step.set({
      {"simd", nullptr, kernels::optimizer_step},
      {"reference", nullptr, reference::optimizer_step},
  });
}

}  // namespace isobit::cpu
