// bench matmul: matrix products.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "benchmarks/run.h"

namespace isobit::bench {

/// c[m, n] = a[m, k] b[k, n], each operand perhaps stored transposed.
struct MatmulCase {
  std::int64_t m = 0, n = 0, k = 0;
  bool transpose_a = false, transpose_b = false;
};

/// "512" (square), "64x1000x4096" (m, n, k), with :nt, :tn or :tt behind for what is stored transposed;
/// separated by commas. Throws Error that names what is wrong.
std::vector<MatmulCase> parse_matmuls(const std::string& list);

int run_matmul(const RunOptions& options, const std::vector<MatmulCase>& cases, DType dtype);

}  // namespace isobit::bench
