// The algorithm lists of the CUDA device, cuda/algorithms.cu; see core/algorithm.h.
#pragma once
#include "core/listed_backend.h"

namespace isobit::gpu {

void fill_algorithms(AlgorithmLists& lists);

}  // namespace isobit::gpu
