// bench memory, bench pool: what moves memory rather than multiplies.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "benchmarks/run.h"

namespace isobit::bench {

/// Which of the ops.
enum class MemoryFamily { pools, others };

/// Element-wise ops, reductions, rows, norms and optimizers, or pools, on tensors of about `elements`
/// elements; 0: out of the largest cache. `directions` as bench conv takes them: "fwd" and "bwd_d".
int run_memory(const RunOptions& options, MemoryFamily family, std::int64_t elements,
               const std::string& directions, DType dtype);

}  // namespace isobit::bench
