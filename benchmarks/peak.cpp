#include "benchmarks/peak.h"

#include <algorithm>
#include <thread>
#include <vector>

#include "benchmarks/statistics.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "benchmarks/peak.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace isobit::bench::HWY_NAMESPACE {

// Twelve chains in registers: enough to hide the latency of a multiply-add on every processor with two such
// units. Returns the number of floating-point operations done.
double multiply_adds(int repetitions, float* sink) {
  namespace hn = hwy::HWY_NAMESPACE;
  const hn::ScalableTag<float> d;
  const auto a = hn::Set(d, 0.999f), b = hn::Set(d, 0.001f);
  auto v0 = hn::Set(d, 0.0f), v1 = hn::Set(d, 0.1f), v2 = hn::Set(d, 0.2f), v3 = hn::Set(d, 0.3f);
  auto v4 = hn::Set(d, 0.4f), v5 = hn::Set(d, 0.5f), v6 = hn::Set(d, 0.6f), v7 = hn::Set(d, 0.7f);
  auto v8 = hn::Set(d, 0.8f), v9 = hn::Set(d, 0.9f), v10 = hn::Set(d, 1.0f), v11 = hn::Set(d, 1.1f);
  for (int i = 0; i < repetitions; ++i) {
    v0 = hn::MulAdd(v0, a, b);
    v1 = hn::MulAdd(v1, a, b);
    v2 = hn::MulAdd(v2, a, b);
    v3 = hn::MulAdd(v3, a, b);
    v4 = hn::MulAdd(v4, a, b);
    v5 = hn::MulAdd(v5, a, b);
    v6 = hn::MulAdd(v6, a, b);
    v7 = hn::MulAdd(v7, a, b);
    v8 = hn::MulAdd(v8, a, b);
    v9 = hn::MulAdd(v9, a, b);
    v10 = hn::MulAdd(v10, a, b);
    v11 = hn::MulAdd(v11, a, b);
  }
  const auto even = hn::Add(hn::Add(hn::Add(v0, v2), hn::Add(v4, v6)), hn::Add(v8, v10));
  const auto odd = hn::Add(hn::Add(hn::Add(v1, v3), hn::Add(v5, v7)), hn::Add(v9, v11));
  *sink = hn::GetLane(hn::SumOfLanes(d, hn::Add(even, odd)));
  return 24.0 * repetitions * static_cast<double>(hn::Lanes(d));
}

}  // namespace isobit::bench::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace isobit::bench {

HWY_EXPORT(multiply_adds);

double peak_gflops(int threads, int rounds) {
  constexpr int kRepetitions = 4'000'000;
  double best = 0;
  for (int round = 0; round < rounds; ++round) {
    std::vector<double> rates(static_cast<std::size_t>(threads));
    std::vector<float> sinks(static_cast<std::size_t>(threads) * 16);
    std::vector<std::thread> others;
    const auto work = [&](std::size_t i) {
      const double start = thread_seconds();
      const double operations = HWY_DYNAMIC_DISPATCH(multiply_adds)(kRepetitions, &sinks[i * 16]);
      rates[i] = operations / (thread_seconds() - start) * 1e-9;
    };
    for (std::size_t i = 1; i < rates.size(); ++i) others.emplace_back(work, i);
    work(0);
    for (std::thread& other : others) other.join();
    double total = 0;
    for (const double rate : rates) total += rate;
    best = std::max(best, total);
  }
  return best;
}

}  // namespace isobit::bench
#endif
