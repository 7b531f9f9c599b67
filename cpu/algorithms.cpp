// The lists are filled family by family (cpu/algorithms/).
#include "cpu/algorithms.h"

namespace isobit::cpu {

Algorithms::Algorithms() {
  set_conv_algorithms(*this);
  set_movement_algorithms(*this);
  set_elementwise_algorithms(*this);
  set_reduction_algorithms(*this);
  set_pooling_algorithms(*this);
}

}  // namespace isobit::cpu
