// The lists are filled family by family (cpu/algorithms/).
#include "cpu/algorithms.h"

namespace isobit::cpu {

void fill_algorithms(AlgorithmLists& lists) {
  set_conv_algorithms(lists);
  set_movement_algorithms(lists);
  set_elementwise_algorithms(lists);
  set_reduction_algorithms(lists);
  set_pooling_algorithms(lists);
}

}  // namespace isobit::cpu
