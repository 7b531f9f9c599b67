// Does cost grow as the work grows? The rows of a sweep are named "series:size".
#pragma once
#include <string>
#include <vector>

#include "benchmarks/measure.h"

namespace isobit::bench {

/// More than this between neighbours is called a cliff.
inline constexpr double kCliff = 1.5;

/// The worst step of one series in one direction.
struct Cliff {
  std::string series, direction;
  double factor = 0;  ///< seconds per operation at `at` / those at `beside`
  std::string at, beside;
};

/// For every series and direction with at least two rows: by how much more an operation costs in a row than
/// in a neighbour, at most. Rows are ordered by their work; neighbours are the row before, and the row after
/// when its work is at most a quarter more: that a small problem costs more an operation than one twice its
/// size is no cliff. Rows without ':' in their name take no part.
std::vector<Cliff> cliffs(const std::vector<Row>& rows);

}  // namespace isobit::bench
