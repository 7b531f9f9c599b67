// Clocks, and what is said of repeated times.
#pragma once
#include <vector>

namespace isobit::bench {

/// Seconds on a clock that never jumps; processor seconds of this thread, and of all threads of this process.
double wall_seconds();
double thread_seconds();
double process_seconds();

/// Middle, smallest and largest; all 0 without values.
struct Spread {
  double median = 0, low = 0, high = 0;
  /// (high - low) / median, in percent; 0 without values.
  double percent() const;
};
Spread spread(std::vector<double> values);

/// Of positive values; 0 without any.
double geometric_mean(const std::vector<double>& values);

/// The middle of our[i] / their[i]: each pair saw the same machine. Throws Error when the lists differ in
/// length.
double median_ratio(const std::vector<double>& their, const std::vector<double>& our);

}  // namespace isobit::bench
