// What the machine can do at most, and the shares of it that rows reach.
#include <algorithm>

#include "benchmarks/bandwidth.h"
#include "benchmarks/measure.h"
#include "benchmarks/peak.h"

namespace isobit::bench {

double Row::percent_of_peak(const Machine& machine) const {
  const double peak = machine.peak_of(machine.unit_of(dtype, math));
  return peak > 0 ? 100 * gflops() / peak : 0;
}

double Row::percent_of_bandwidth(const Machine& machine) const {
  const double most = in_place ? machine.update_gbs : machine.bandwidth_gbs;
  return most > 0 ? 100 * gbs() / most : 0;
}

void Machine::measure(const Settings& settings, int peak_rounds, int bandwidth_rounds) {
  if (!(settings.device == Device::cpu())) {
    cache_bytes = device_cache_bytes(settings.device);
    emulated = is_emulated(settings.device);
    if (cache_bytes == 0) return;
    const DeviceLimits limits = measure_limits(settings.device, peak_rounds, bandwidth_rounds);
    if (units.empty()) units = limits.units;
    for (std::size_t i = 0; i < limits.units.size(); ++i)
      units[i].gflops = std::max(units[i].gflops, limits.units[i].gflops);
    peak_gflops = peak_of("f32");
    bandwidth_gbs = std::max(bandwidth_gbs, limits.stream_gbs);
    update_gbs = std::max(update_gbs, limits.update_gbs);
    return;
  }
  if (peak_rounds > 0) peak_gflops = std::max(peak_gflops, bench::peak_gflops(settings.threads, peak_rounds));
  if (bandwidth_rounds <= 0) return;
  const Bandwidth bandwidth = measure_bandwidth(settings.threads, bandwidth_rounds);
  bandwidth_gbs = std::max(bandwidth_gbs, bandwidth.stream);
  update_gbs = std::max(update_gbs, bandwidth.update);
}

double Machine::peak_of(const std::string& unit) const {
  for (const DeviceLimits::Unit& known : units)
    if (known.name == unit) return known.gflops;
  return unit == "f32" ? peak_gflops : 0;
}

std::string Machine::unit_of(DType dtype, Math math) const {
  std::string unit = "f32";
  if (dtype == DType::f64)
    unit = "f64";
  else if (math == Math::exact)
    return unit;
  else if (dtype == DType::f16 || dtype == DType::bf16)
    unit = name_of(dtype);
  else
    unit = math == Math::fast_f16 ? "f16" : math == Math::fast_bf16 ? "bf16" : "tf32";
  return peak_of(unit) > 0 ? unit : "f32";
}

}  // namespace isobit::bench
