// What can run the kernels of data movement, in order of preference. A fast algorithm goes
// before "reference" as {"name", refuse function or nullptr, run function}; see cpu/algorithms.h.
#include "cpu/algorithms.h"
#include "cpu/kernels/kernels.h"

namespace isobit::cpu {

void set_movement_algorithms(AlgorithmLists& lists) {
  lists.fill.set({
      {"simd", nullptr, kernels::fill},
      {"reference", nullptr, reference::fill},
  });
  lists.cast.set({
      {"simd", nullptr, kernels::cast},
      {"reference", nullptr, reference::cast},
  });
  lists.strided_copy.set({
      {"simd", nullptr, kernels::strided_copy},
      {"reference", nullptr, reference::strided_copy},
  });
  lists.pad.set({
      {"simd", nullptr, kernels::pad},
      {"reference", nullptr, reference::pad},
  });
  lists.pad_backward.set({
      {"simd", nullptr, kernels::pad_backward},
      {"reference", nullptr, reference::pad_backward},
  });
  lists.gather_rows.set({
      {"simd", nullptr, kernels::gather_rows},
      {"reference", nullptr, reference::gather_rows},
  });
  lists.scatter_add_rows.set({
      {"simd", nullptr, kernels::scatter_add_rows},
      {"reference", nullptr, reference::scatter_add_rows},
  });
  lists.arange.set({
      {"simd", nullptr, kernels::arange},
      {"reference", nullptr, reference::arange},
  });
  lists.one_hot.set({
      {"simd", nullptr, kernels::one_hot},
      {"reference", nullptr, reference::one_hot},
  });
}

}  // namespace isobit::cpu
