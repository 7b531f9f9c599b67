// Times the chains and the streams by events, each long enough for them, and holds what they wrote against
// what it must be: a rate counts only beside a right result.
#include "cuda/measure/limits.cuh"

#include <isobit/error.h>

#include "cuda/device.cuh"
#include "cuda/kernels/kernels.h"
#include "cuda/measure/chains.cuh"
#include "cuda/measure/streams.cuh"

namespace isobit::gpu {
namespace {

// How long a timed run is at least, and the most passes of one: sums of matrix units stay exact below 2^24
// terms. The emulated device, whose times mean nothing, takes the smallest of everything.
constexpr double kRunSeconds = 4e-3;
// Of all runs of one kind: a device so slow needs no more of them.
constexpr double kMostSeconds = 0.25;
constexpr int kMostPasses = 1 << 15;

int attribute(cudaDeviceAttr which, int device) {
  int value = 0;
  check(cudaDeviceGetAttribute(&value, which, device), "cudaDeviceGetAttribute");
  return value;
}

int current_device() {
  int device = 0;
  check(cudaGetDevice(&device), "cudaGetDevice");
  return device;
}

/// Times run(passes), with as many passes as take kRunSeconds.
class Stopwatch {
 public:
  template <class Body>
  explicit Stopwatch(const Body& run) : start_(true), stop_(true) {
    seconds(run);  // the first call loads the kernel
    while (!kEmulated && seconds(run) < kRunSeconds && passes_ < kMostPasses) passes_ *= 2;
  }
  int passes() const { return passes_; }
  /// Of the quickest of `rounds` runs.
  template <class Body>
  double least_seconds(const Body& run, int rounds) {
    double least = seconds(run), all = least;
    for (int round = 1; round < rounds && all < kMostSeconds; ++round) {
      const double now = seconds(run);
      least = std::min(least, now);
      all += now;
    }
    return least;
  }

 private:
  template <class Body>
  double seconds(const Body& run) {
    start_.record(current_stream());
    run(passes_);
    stop_.record(current_stream());
    stop_.synchronize();
    return stop_.milliseconds_since(start_) / 1e3;
  }

  Event start_, stop_;
  int passes_ = 1;
};

template <class T>
T element_at(const T* data, std::int64_t at) {
  T value{};
  check(cudaMemcpyAsync(&value, data + at, sizeof(T), cudaMemcpyDeviceToHost, current_stream()),
        "cudaMemcpyAsync");
  check(cudaStreamSynchronize(current_stream()), "cudaStreamSynchronize");
  return value;
}

// The first and the last of what was written.
template <class T>
void expect(const char* what, const T* data, std::int64_t count, double expected) {
  for (const std::int64_t at : {std::int64_t{0}, count - 1})
    if (const double got = static_cast<double>(element_at(data, at)); !(got == expected))
      fail("measure_limits", "{}: element {} is {}, expected {}: the device computes wrongly", what, at, got,
           expected);
}

/// The best rate of some runs: run(ChainRun, out), work(ChainRun).
template <class T, class Run, class Work>
DeviceLimits::Unit rate_of_chains(const char* name, int rounds, const Run& run, const Work& work) {
  ChainRun grid;
  grid.blocks = kEmulated ? 2 : kChainBlocks * attribute(cudaDevAttrMultiProcessorCount, current_device());
  const Scratch out(grid.threads() * static_cast<std::int64_t>(sizeof(T)));
  const auto timed = [&](int passes) {
    grid.passes = passes;
    run(grid, out.as<T>());
  };
  Stopwatch watch(timed);
  grid.passes = watch.passes();
  const ChainWork done = work(grid);
  const double seconds = watch.least_seconds(timed, rounds);
  expect(name, out.as<T>(), grid.threads(), done.result);
  return {name, done.operations / seconds * 1e-9};
}

std::vector<DeviceLimits::Unit> rates_of_units(int rounds) {
  std::vector<DeviceLimits::Unit> units{
      rate_of_chains<float>("f32", rounds, run_multiply_adds<float>, multiply_adds_work<float>),
      rate_of_chains<double>("f64", rounds, run_multiply_adds<double>, multiply_adds_work<double>)};
  const auto add = [&](const char* name, MatrixUnit unit) {
    units.push_back(rate_of_chains<float>(
        name, rounds, [&](const ChainRun& run, float* out) { run_matrix_products(unit, run, out); },
        [&](const ChainRun& run) { return matrix_products_work(unit, run); }));
  };
  const int device = current_device();
  const int capability = 10 * attribute(cudaDevAttrComputeCapabilityMajor, device) +
                         attribute(cudaDevAttrComputeCapabilityMinor, device);
  if (capability >= 80) add("tf32", MatrixUnit::tf32);
  if (capability >= 75) add("f16", MatrixUnit::f16);
  if (capability >= 80) add("bf16", MatrixUnit::bf16);
  return units;
}

void measure_streams(int rounds, DeviceLimits& limits) {
  // Four times what the cache holds, for each of two.
  const std::int64_t least =
      kEmulated ? 1 << 20 : std::max<std::int64_t>(4 * cache_bytes(current_device()), 1 << 26);
  const std::int64_t count = blocks_for(least / 4, kStreamFloats) * kStreamFloats, bytes = 4 * count;
  const Scratch from(bytes), to(bytes);
  const float* const x = from.as<float>();
  float* const y = to.as<float>();
  const auto fill = [&](void* data, double value) {
    kernels::fill(View{data, DType::f32, count}, Scalar(value));
  };
  fill(from.as<float>(), 1);
  const auto rate = [&](const auto& run, int arrays, double& best) {
    Stopwatch watch(run);
    const double moved = arrays * static_cast<double>(bytes) * watch.passes();
    best = std::max(best, moved / watch.least_seconds(run, rounds) * 1e-9);
  };
  fill(y, 0);
  rate(
      [&](int passes) {
        for (int pass = 0; pass < passes; ++pass) run_copy(x, y, count);
      },
      2, limits.stream_gbs);
  expect("copy", y, count, 1);
  rate(
      [&](int passes) {
        for (int pass = 0; pass < passes; ++pass)
          check(cudaMemcpyAsync(y, x, static_cast<std::size_t>(bytes), cudaMemcpyDeviceToDevice,
                                current_stream()),
                "cudaMemcpyAsync");
      },
      2, limits.stream_gbs);
  expect("the driver's copy", y, count, 1);
  int times = 0;  // y counts them
  fill(y, 0);
  rate(
      [&](int passes) {
        for (int pass = 0; pass < passes; ++pass, ++times) run_update(1, x, y, count);
      },
      3, limits.update_gbs);
  expect("y + a * x", y, count, times);
}

}  // namespace

DeviceLimits measure_limits(int peak_rounds, int bandwidth_rounds) {
  DeviceLimits limits;
  if (peak_rounds > 0) limits.units = rates_of_units(peak_rounds);
  if (bandwidth_rounds > 0) measure_streams(bandwidth_rounds, limits);
  return limits;
}

std::int64_t cache_bytes(int device) {
  return attribute(cudaDevAttrL2CacheSize, device);
}

void flush_cache(int device) {
  const std::int64_t bytes = 2 * cache_bytes(device);
  const Scratch over(bytes);
  check(cudaMemsetAsync(over.as<void>(), 0, static_cast<std::size_t>(bytes), current_stream()),
        "cudaMemsetAsync");
}

}  // namespace isobit::gpu
