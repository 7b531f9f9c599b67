#include "benchmarks/bandwidth.h"

#include <fmt/format.h>
#include <hwy/cache_control.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <thread>
#include <vector>

#include "benchmarks/statistics.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "benchmarks/bandwidth.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace isobit::bench::HWY_NAMESPACE {

// One thread's share of a stream of `count` floats, a multiple of 64, each array aligned to a line.
void stream(int kind, const float* HWY_RESTRICT x, const float* HWY_RESTRICT z, float* HWY_RESTRICT y,
            std::size_t count) {
  namespace hn = hwy::HWY_NAMESPACE;
  const hn::ScalableTag<float> d;
  const std::size_t step = hn::Lanes(d);
  const auto a = hn::Set(d, 3.0f);
  switch (kind) {
    case 0:
      for (std::size_t i = 0; i < count; i += step) hn::Store(hn::Load(d, x + i), d, y + i);
      break;
    case 1:
      for (std::size_t i = 0; i < count; i += step) hn::Stream(hn::Load(d, x + i), d, y + i);
      break;
    case 2:
      for (std::size_t i = 0; i < count; i += step)
        hn::Store(hn::MulAdd(a, hn::Load(d, z + i), hn::Load(d, x + i)), d, y + i);
      break;
    case 3:
      for (std::size_t i = 0; i < count; i += step)
        hn::Stream(hn::MulAdd(a, hn::Load(d, z + i), hn::Load(d, x + i)), d, y + i);
      break;
    default:
      for (std::size_t i = 0; i < count; i += step)
        hn::Store(hn::MulAdd(a, hn::Load(d, x + i), hn::Load(d, y + i)), d, y + i);
  }
  hwy::FlushStream();
}

}  // namespace isobit::bench::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace isobit::bench {
namespace {

HWY_EXPORT(stream);

struct Free {
  void operator()(float* memory) const { std::free(memory); }
};
using Array = std::unique_ptr<float, Free>;

Array make_array(std::size_t count) {
  Array array(static_cast<float*>(std::aligned_alloc(4096, count * sizeof(float))));
  if (!array) throw std::bad_alloc();
  std::fill_n(array.get(), count, 1.0f);
  return array;
}

}  // namespace

std::int64_t largest_cache() {
  std::int64_t largest = 0;
  for (int index = 0; index < 8; ++index) {
    std::ifstream in(fmt::format("/sys/devices/system/cpu/cpu0/cache/index{}/size", index));
    std::int64_t size = 0;
    char unit = 0;
    if (in >> size >> unit) largest = std::max(largest, unit == 'M' ? size << 20 : size << 10);
  }
  return largest > 0 ? largest : std::int64_t{32} << 20;
}

Bandwidth measure_bandwidth(int threads, int rounds) {
  constexpr int kKinds = 5;
  const auto parts = static_cast<std::size_t>(threads);
  // Each array is at least twice the largest cache; each thread's share whole pages.
  const std::size_t least =
      std::clamp<std::size_t>(static_cast<std::size_t>(largest_cache()) * 2 / sizeof(float),
                              std::size_t{8} << 20, std::size_t{64} << 20);
  const std::size_t share = (least / parts + 1023) / 1024 * 1024;
  const Array x = make_array(share * parts), y = make_array(share * parts), z = make_array(share * parts);
  Bandwidth best;
  for (int round = 0; round < rounds; ++round)
    for (int kind = 0; kind < kKinds; ++kind) {
      std::vector<std::thread> others;
      const auto clock = threads == 1 ? thread_seconds : wall_seconds;
      const double start = clock();
      const auto work = [&, kind](std::size_t i) {
        const std::size_t at = i * share;
        HWY_DYNAMIC_DISPATCH(stream)(kind, x.get() + at, z.get() + at, y.get() + at, share);
      };
      for (std::size_t i = 1; i < parts; ++i) others.emplace_back(work, i);
      work(0);
      for (std::thread& other : others) other.join();
      const double seconds = clock() - start;
      const double arrays = kind < 2 ? 2 : 3;
      double& of_kind = kind < 4 ? best.stream : best.update;
      of_kind =
          std::max(of_kind, arrays * static_cast<double>(share * parts * sizeof(float)) / seconds * 1e-9);
    }
  return best;
}

}  // namespace isobit::bench
#endif
