// The algorithm lists of the CPU device: one for every kernel of the seam, under the kernel's name.
//
// Adding an algorithm: declare `const char* refuse_...(arguments)` (null: accepts; else the reason) and
// `void ..._(arguments)` with the kernel's own signature in a header under cpu/kernels/, then add
//
//   {"implicit_gemm", kernels::refuse_implicit_gemm, kernels::implicit_gemm},
//
// to the kernel's list in cpu/algorithms/<family>.cpp, before "reference" and in order of preference. A null
// refuse serves everything. The parity tests find it there by itself.
#pragma once
#include "cpu/reference/reference.h"
#include "core/listed_backend.h"

namespace isobit::cpu {

/// Every list of the device.
void fill_algorithms(AlgorithmLists& lists);

void set_conv_algorithms(AlgorithmLists& lists);
void set_movement_algorithms(AlgorithmLists& lists);
void set_elementwise_algorithms(AlgorithmLists& lists);
void set_reduction_algorithms(AlgorithmLists& lists);
void set_pooling_algorithms(AlgorithmLists& lists);

}  // namespace isobit::cpu
