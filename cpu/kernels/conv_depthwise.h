// Depthwise passes, and those of small groups with as many filters as channels, in strips (depthwise_strip.h,
// group_strip.h): what conv_forward is, and what conv_backward_input is for all its stride phases together.
#pragma once
#include <span>

#include "cpu/kernels/conv_pass.h"

namespace isobit::cpu::gemm {

/// Why a pass is not one for strips, null when it is. The answer depends on the instruction set.
const char* refuse_strips(const Pass& pass);

/// Runs passes that refuse_strips accepts, over different positions of the same output. Bias and source have
/// the type of the output.
void run_strips(std::span<const Pass> passes);

}  // namespace isobit::cpu::gemm
