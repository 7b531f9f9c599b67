// A picture of a run.
#pragma once
#include <string>
#include <vector>

#include "benchmarks/measure.h"

namespace isobit::bench {

/// A bar for every row: its share of the peak (of the bandwidth where nothing is multiplied; GFLOP/s or GB/s
/// of the best row where neither is known), a line for the best peer's, and the ratio. Throws Error when the
/// file cannot be written.
void plot(const std::string& path, const std::vector<Row>& rows, const Machine& machine);

}  // namespace isobit::bench
