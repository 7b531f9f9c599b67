// What can run the kernels of data movement, in order of preference. A fast algorithm goes
// before "reference" as {"name", refuse function or nullptr, run function}; see cpu/algorithms.h.
#include "cpu/algorithms.h"

namespace isobit::cpu {

void set_movement_algorithms(Algorithms& lists) {
  lists.fill.set({
      {"reference", nullptr, reference::fill},
  });
  lists.cast.set({
      {"reference", nullptr, reference::cast},
  });
  lists.strided_copy.set({
      {"reference", nullptr, reference::strided_copy},
  });
  lists.pad.set({
      {"reference", nullptr, reference::pad},
  });
  lists.pad_backward.set({
      {"reference", nullptr, reference::pad_backward},
  });
  lists.gather_rows.set({
      {"reference", nullptr, reference::gather_rows},
  });
  lists.scatter_add_rows.set({
      {"reference", nullptr, reference::scatter_add_rows},
  });
  lists.arange.set({
      {"reference", nullptr, reference::arange},
  });
  lists.one_hot.set({
      {"reference", nullptr, reference::one_hot},
  });
}

}  // namespace isobit::cpu
