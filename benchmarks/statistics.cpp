#include "benchmarks/statistics.h"

#include <isobit/error.h>

#include <algorithm>
#include <cmath>
#include <ctime>

namespace isobit::bench {
namespace {

double seconds_of(clockid_t clock) {
  timespec t{};
  clock_gettime(clock, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

}  // namespace

double wall_seconds() {
  return seconds_of(CLOCK_MONOTONIC);
}
double thread_seconds() {
  return seconds_of(CLOCK_THREAD_CPUTIME_ID);
}
double process_seconds() {
  return seconds_of(CLOCK_PROCESS_CPUTIME_ID);
}

double Spread::percent() const {
  return median > 0 ? 100 * (high - low) / median : 0;
}

Spread spread(std::vector<double> values) {
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  const double median = values.size() % 2 == 1 ? values[middle] : 0.5 * (values[middle - 1] + values[middle]);
  return {median, values.front(), values.back()};
}

double geometric_mean(const std::vector<double>& values) {
  if (values.empty()) return 0;
  double sum = 0;
  for (const double value : values) sum += std::log(value);
  return std::exp(sum / static_cast<double>(values.size()));
}

double median_ratio(const std::vector<double>& their, const std::vector<double>& our) {
  if (their.size() != our.size())
    fail("bench", "{} times of a peer beside {} of ours, expected as many", their.size(), our.size());
  std::vector<double> ratios;
  for (std::size_t i = 0; i < our.size(); ++i) ratios.push_back(their[i] / our[i]);
  return spread(ratios).median;
}

}  // namespace isobit::bench
