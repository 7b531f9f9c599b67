#include "benchmarks/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "benchmarks/sweep.h"

namespace isobit::bench {
namespace {

std::string short_time(double seconds) {
  if (seconds < 1e-3) return fmt::format("{:.2f} us", seconds * 1e6);
  if (seconds < 1) return fmt::format("{:.3f} ms", seconds * 1e3);
  return fmt::format("{:.3f} s", seconds);
}

nlohmann::ordered_json or_null(double value) {
  return value > 0 ? nlohmann::ordered_json(value) : nlohmann::ordered_json();
}

std::string verified(const Verdict& verdict) {
  if (!verdict.equal) return "NO";
  return verdict.share < 0 ? "yes" : fmt::format("{:.0f} % b.", 100 * verdict.share);
}

nlohmann::ordered_json to_json(const PeerRow& peer, const Row& row) {
  nlohmann::ordered_json j{{"peer", peer.label}, {"name", peer.name}};
  if (!peer.why.empty()) {
    j["why"] = peer.why;
    return j;
  }
  j["variant"] = peer.variant;
  j["implementation"] = peer.implementation;
  j["milliseconds"] = peer.seconds.median * 1e3;
  j["best"] = peer.seconds.low * 1e3;
  j["worst"] = peer.seconds.high * 1e3;
  if (row.flops > 0) j["gflops"] = row.flops / peer.seconds.median * 1e-9;
  j["ratio"] = peer.ratio;
  j["error"] = peer.error;
  if (peer.cached_seconds.median > 0) {
    j["cached_milliseconds"] = peer.cached_seconds.median * 1e3;
    j["cached_ratio"] = peer.cached_ratio;
  }
  return j;
}

nlohmann::ordered_json to_json(const Row& row, const Machine& machine) {
  nlohmann::ordered_json j{{"name", row.name},
                           {"batch", row.batch},
                           {"dir", row.direction},
                           {"dtype", std::string(name_of(row.dtype))},
                           {"milliseconds", row.seconds.median * 1e3},
                           {"best", row.seconds.low * 1e3},
                           {"worst", row.seconds.high * 1e3},
                           {"rounds", row.rounds},
                           {"first_milliseconds", row.first_seconds * 1e3},
                           {"gflops", row.gflops()},
                           {"percent_of_peak", or_null(row.percent_of_peak(machine))},
                           {"peak_unit", machine.unit_of(row.dtype, row.math)},
                           {"gbs", row.gbs()},
                           {"percent_of_bandwidth", or_null(row.percent_of_bandwidth(machine))},
                           {"peak_memory", row.peak_memory},
                           {"algorithm", row.algorithm},
                           {"verified", row.verdict.equal},
                           {"verified_elements", row.verdict.elements}};
  if (row.verdict.share >= 0) j["share_of_bound"] = row.verdict.share;
  if (row.exact_ratio > 0) {
    j["exact_milliseconds"] = row.exact_seconds.median * 1e3;
    j["exact_ratio"] = row.exact_ratio;
  }
  j["peers"] = nlohmann::ordered_json::array();
  for (const PeerRow& peer : row.peers) j["peers"].push_back(to_json(peer, row));
  const PeerRow* best = row.best();
  j["ratio"] = best == nullptr ? nlohmann::ordered_json() : nlohmann::ordered_json(best->ratio);
  if (row.cached_seconds.median > 0) {
    const PeerRow* cached = row.best_cached();
    j["cached"] = {{"milliseconds", row.cached_seconds.median * 1e3},
                   {"gflops", row.flops / row.cached_seconds.median * 1e-9},
                   {"ratio", cached == nullptr ? nlohmann::ordered_json()
                                               : nlohmann::ordered_json(cached->cached_ratio)}};
  }
  return j;
}

double median_of(const std::vector<double>& values) {
  return spread(values).median;
}

}  // namespace

nlohmann::ordered_json peaks_of(const Machine& machine) {
  nlohmann::ordered_json j = nlohmann::ordered_json::object();
  if (machine.peak_gflops > 0) j["f32"] = machine.peak_gflops;
  for (const DeviceLimits::Unit& unit : machine.units) j[unit.name] = or_null(unit.gflops);
  return j;
}

Table::Table(std::FILE* to, const Settings& settings, const Machine& machine) : to_(to) {
  const bool device_clock = !(settings.device == Device::cpu());
  fmt::print(to_, "{}, {} thread{}, {}", settings.device, settings.threads, settings.threads == 1 ? "" : "s",
             device_clock                   ? "the device's clock"
             : settings.by_processor_time() ? "processor time"
                                            : "wall time");
  if (machine.peak_gflops > 0) {
    fmt::print(to_, "; measured here: peak {:.1f} GFLOP/s f32", machine.peak_gflops);
    for (const DeviceLimits::Unit& unit : machine.units)
      if (unit.name != "f32") fmt::print(to_, ", {:.1f} {}", unit.gflops, unit.name);
    fmt::print(to_, ", memory {:.1f} GB/s ({:.1f} in place)", machine.bandwidth_gbs, machine.update_gbs);
  }
  if (machine.cache_bytes > 0)
    fmt::print(to_, "; second-level cache of {:.1f} MiB, {}",
               static_cast<double>(machine.cache_bytes) / (1 << 20),
               settings.cold ? "overwritten before every call" : "as the calls before leave it");
  if (machine.emulated) fmt::print(to_, "; emulated: no time here says anything of a GPU");
  if (settings.math != Math::exact)
    fmt::print(to_, "; arithmetic {}, verified as the largest share of its bound", describe(settings.math));
  fmt::print(to_, "\n");
}

void Table::add(const Row& row, const Machine& machine) {
  if (!begun_)
    fmt::print(to_, "{:<24} {:>5} {:<6} {:>11} {:>6} {:>7} {:>6} {:>7} {:>6}  {:<26} {:>5}  {:<8} {}\n",
               "name", "batch", "dir", "median", "spread", "GFLOP/s", "peak", "GB/s", "memory", "best peer",
               "ratio", "verified", "algorithm");
  begun_ = true;
  const auto share = [](double percent) {
    return percent > 0 ? fmt::format("{:.0f} %", percent) : std::string("-");
  };
  const PeerRow* best = row.best();
  std::string peer = "-", ratio = "-";
  if (best != nullptr) {
    peer = fmt::format("{} {}", best->label, best->variant);
    if (row.flops > 0) peer += fmt::format(" {:.1f}", row.flops / best->seconds.median * 1e-9);
    ratio = fmt::format("{:.2f}", best->ratio);
  }
  fmt::print(to_, "{:<24} {:>5} {:<6} {:>11} {:>4.0f} % {:>7} {:>6} {:>7.1f} {:>6}  {:<26} {:>5}  {:<8} {}",
             row.name, row.batch, row.direction, short_time(row.seconds.median), row.seconds.percent(),
             row.flops > 0 ? fmt::format("{:.1f}", row.gflops()) : "-", share(row.percent_of_peak(machine)),
             row.gbs(), share(row.percent_of_bandwidth(machine)), peer, ratio, verified(row.verdict),
             row.algorithm);
  if (row.exact_ratio > 0)
    fmt::print(to_, "  exact {}, {:.2f} times this", short_time(row.exact_seconds.median), row.exact_ratio);
  if (row.cached_seconds.median > 0) {
    const PeerRow* cached = row.best_cached();
    fmt::print(to_, "  cached {}", short_time(row.cached_seconds.median));
    if (cached != nullptr) fmt::print(to_, " ratio {:.2f}", cached->cached_ratio);
  }
  for (const PeerRow& p : row.peers)
    if (!p.why.empty()) fmt::print(to_, "  [no {}: {}]", p.label, p.why);
  fmt::print(to_, "\n");
  std::fflush(to_);
}

Ratios ratios(const std::vector<Row>& rows, bool cached) {
  Ratios result;
  std::vector<double> values;
  for (const Row& row : rows) {
    const PeerRow* best = cached ? row.best_cached() : row.best();
    if (best == nullptr) continue;
    const double ratio = cached ? best->cached_ratio : best->ratio;
    values.push_back(ratio);
    if (result.worst != 0 && !(ratio < result.worst)) continue;
    result.worst = ratio;
    result.worst_row = fmt::format("{} batch {} {}", row.name, row.batch, row.direction);
  }
  result.geomean = geometric_mean(values);
  return result;
}

void print_summary(std::FILE* to, const std::vector<Row>& rows, const Machine& machine) {
  std::vector<std::string> order;
  std::map<std::string, std::vector<double>> peak, ratio;
  for (const Row& row : rows) {
    if (std::find(order.begin(), order.end(), row.direction) == order.end()) order.push_back(row.direction);
    if (row.flops > 0 && machine.peak_gflops > 0) peak[row.direction].push_back(row.percent_of_peak(machine));
    if (const PeerRow* best = row.best()) ratio[row.direction].push_back(best->ratio);
  }
  fmt::print(to, "\n{} row{}", rows.size(), rows.size() == 1 ? "" : "s");
  for (const std::string& direction : order) {
    if (!peak[direction].empty())
      fmt::print(to, "; {}: median {:.1f} % of peak", direction, median_of(peak[direction]));
    if (!ratio[direction].empty())
      fmt::print(to, "; {}: geometric mean of ratios {:.3f}", direction, geometric_mean(ratio[direction]));
  }
  fmt::print(to, "\n");
  const Ratios all = ratios(rows, false), cached = ratios(rows, true);
  if (all.geomean > 0)
    fmt::print(to, "ratio to the best peer: geometric mean {:.3f}, worst {:.3f} ({})\n", all.geomean,
               all.worst, all.worst_row);
  if (cached.geomean > 0)
    fmt::print(to, "weights unchanged: geometric mean {:.3f}, worst {:.3f} ({})\n", cached.geomean,
               cached.worst, cached.worst_row);
  for (const Cliff& cliff : cliffs(rows))
    fmt::print(to, "{:<16} {:<6} worst step {:.2f}: {} beside {}{}\n", cliff.series, cliff.direction,
               cliff.factor, cliff.at, cliff.beside, cliff.factor > kCliff ? ": a cliff" : "");
  if (!all_verified(rows)) fmt::print(to, "A result is not the definition's: its time means nothing.\n");
}

nlohmann::ordered_json to_json(const std::string& bench, const std::vector<Row>& rows,
                               const Settings& settings, const Machine& machine) {
  const bool device_clock = !(settings.device == Device::cpu());
  nlohmann::ordered_json j{
      {"bench", bench},
      {"device", settings.device.name()},
      {"threads", settings.threads},
      {"math", name_of(settings.math)},
      {"clock", device_clock                   ? "device"
                : settings.by_processor_time() ? "processor"
                                               : "wall"},
      {"emulated", machine.emulated},
      {"cache", settings.cold ? "cold" : "warm"},
      {"cache_bytes",
       machine.cache_bytes > 0 ? nlohmann::ordered_json(machine.cache_bytes) : nlohmann::ordered_json()},
      {"peak_gflops", or_null(machine.peak_gflops)},
      {"peaks", peaks_of(machine)},
      {"bandwidth_gbs", or_null(machine.bandwidth_gbs)},
      {"update_gbs", or_null(machine.update_gbs)},
      {"rows", nlohmann::ordered_json::array()}};
  for (const Row& row : rows) j["rows"].push_back(to_json(row, machine));
  for (const Cliff& cliff : cliffs(rows))
    j["cliffs"].push_back({{"series", cliff.series},
                           {"dir", cliff.direction},
                           {"factor", cliff.factor},
                           {"at", cliff.at},
                           {"beside", cliff.beside}});
  const Ratios all = ratios(rows, false), cached = ratios(rows, true);
  j["geomean_ratio"] = or_null(all.geomean);
  j["worst_ratio"] = or_null(all.worst);
  if (cached.geomean > 0) {
    j["cached_geomean_ratio"] = cached.geomean;
    j["cached_worst_ratio"] = cached.worst;
  }
  return j;
}

bool all_verified(const std::vector<Row>& rows) {
  return std::all_of(rows.begin(), rows.end(), [](const Row& row) { return row.verdict.equal; });
}

}  // namespace isobit::bench
