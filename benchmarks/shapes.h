// Shape files for benchmarks: the grammar of the shape files that tests use (docs/verify.md), with
// `transposed` in front for a transposed convolution, written as the convolution whose gradient it is.
#pragma once
#include <isobit/explain.h>

#include <cstdint>
#include <string>
#include <vector>

namespace isobit::bench {

struct ConvCase {
  std::string name;     ///< of the line, or the line itself
  std::string place;    ///< "anchor.txt:12"
  ConvProblem problem;  ///< of the convolution; padding as widths for every side
  bool transposed = false;

  std::int64_t batch() const { return problem.x[0]; }
  /// Of the convolution's output.
  Shape y() const;
  /// Multiply-adds count two; taps that read padding count.
  double flops() const;
};

/// One line without its comment. Throws Error that names the place and what is wrong.
ConvCase parse_case(const std::string& line, const std::string& place);

/// `file` is a path, or the name of a file that comes with isobit: "anchor". Throws Error when it cannot be
/// read, has a line that is wrong (named by its number) or none at all.
std::vector<ConvCase> read_cases(const std::string& file);

}  // namespace isobit::bench
