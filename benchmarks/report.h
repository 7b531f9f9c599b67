// What is said of a run: a table as it grows, a summary, one object of JSON.
#pragma once
#include <cstdio>
#include <string>
#include <vector>

#include "benchmarks/measure.h"

namespace isobit::bench {

/// A table whose lines are printed as soon as they are known.
class Table {
 public:
  Table(std::FILE* to, const Settings& settings, const Machine& machine);
  void add(const Row& row, const Machine& machine);

 private:
  std::FILE* to_;
  bool begun_ = false;
};

/// Geometric mean and worst of the ratios to the best peer; 0 where no row has one.
struct Ratios {
  double geomean = 0, worst = 0;
  std::string worst_row;
};
Ratios ratios(const std::vector<Row>& rows, bool cached);

/// The last lines: means, medians for each direction, the worst row.
void print_summary(std::FILE* to, const std::vector<Row>& rows, const Machine& machine);

/// {"f32": GFLOP/s, ...}: the peak of every unit that was measured.
nlohmann::ordered_json peaks_of(const Machine& machine);

/// {"bench", "device", "threads", "clock", "peaks", "bandwidth_gbs", "rows", "geomean_ratio", "worst_ratio",
/// ...}; docs/benchmarks.md says what the keys mean.
nlohmann::ordered_json to_json(const std::string& bench, const std::vector<Row>& rows,
                               const Settings& settings, const Machine& machine);

/// Whether every row's result was the definition's.
bool all_verified(const std::vector<Row>& rows);

}  // namespace isobit::bench
