// bench overhead: what a call costs that has nearly nothing to compute.
#pragma once
#include "benchmarks/run.h"

namespace isobit::bench {

/// Tiny ops without gradients: nearly all of their time is the way from the call to the kernel and back.
int run_overhead(const RunOptions& options);

}  // namespace isobit::bench
