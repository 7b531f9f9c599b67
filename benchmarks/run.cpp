#include "benchmarks/run.h"

#include <fmt/format.h>
#include <isobit/algorithms.h>
#include <isobit/device.h>
#include <isobit/error.h>

#include <exception>

#include "benchmarks/plot.h"
#include "benchmarks/report.h"

namespace isobit::bench {

namespace {

std::string why_not_measured(const Settings& settings) {
  if (settings.math == Math::exact) return {};
  if (std::string why = why_no_fast_mode(settings.device); !why.empty()) return why;
  if (settings.device == Device::cpu())
    for (const DeviceInfo& info : devices())
      for (const DeviceProperty& property : info.properties)
        if (info.device == settings.device && property.name == "fast mode" &&
            property.value.find("emulated") != std::string::npos)
          return "an emulated tile unit has no speed";
  return {};
}

// Only what runs in this process on a device with a cache of its own can be made to start cold.
void refuse_cold(const Settings& settings, const std::string& peers) {
  if (device_cache_bytes(settings.device) == 0)
    fail("bench", "cold caches on {}: only a GPU's second-level cache can be flushed", settings.device);
  if (!peers.empty())
    fail(
        "bench",
        "cold caches beside the peers {}: processes of their own keep theirs warm; cudnn and cublaslt do not",
        peers);
}

}  // namespace

bool report_not_measured(const std::string& bench, const RunOptions& options) {
  const Settings& settings = options.settings;
  const std::string why = why_not_measured(settings);
  if (why.empty()) return false;
  fmt::print(options.json ? stderr : stdout, "{}, arithmetic {}: not measured: {}\n", settings.device,
             name_of(settings.math), why);
  if (options.json)
    fmt::print("{}\n", nlohmann::ordered_json{{"bench", bench},
                                              {"device", settings.device.name()},
                                              {"math", name_of(settings.math)},
                                              {"not_measured", why},
                                              {"rows", nlohmann::ordered_json::array()}}
                           .dump());
  return true;
}

int run(const std::string& bench, const RunOptions& options, bool memory, const std::vector<Group>& groups) {
  if (report_not_measured(bench, options)) return 0;
  Settings settings = options.settings;
  std::string others = options.peers;
  settings.rivals = take_rivals(others);
  set_threads(settings.threads);
  std::FILE* const to = options.json ? stderr : stdout;
  if (settings.cold) refuse_cold(settings, others);
  const auto peers = start_peers(others, settings);
  Machine machine;
  machine.measure(settings, 12, 3);
  double measured = wall_seconds();
  Table table(to, settings, machine);
  std::vector<Row> rows;
  std::exception_ptr refused;
  bool stopped = false;
  for (const Group& group : groups) {
    if (stopped) break;
    if (wall_seconds() - measured > 3) {
      machine.measure(settings, memory ? 0 : 2, memory ? 1 : 0);
      measured = wall_seconds();
    }
    for (const Problem& problem : group()) {
      stopped = options.stop && options.stop();
      if (stopped) break;
      try {
        rows.push_back(measure(problem, settings, peers));
        table.add(rows.back(), machine);
      } catch (const Error& error) {
        if (settings.algorithm.empty()) throw;
        if (!refused) refused = std::current_exception();
        fmt::print(stderr, "left out: {} {}: {}\n", problem.name, problem.direction, error.what());
      }
    }
  }
  if (rows.empty() && refused) std::rethrow_exception(refused);
  if (rows.empty() && !stopped) fail("bench", "no row has \"{}\" in its name", options.only);
  print_summary(to, rows, machine);
  if (!options.plot.empty()) plot(options.plot, rows, machine);
  if (options.json) {
    nlohmann::ordered_json j = to_json(bench, rows, settings, machine);
    j["interrupted"] = stopped;
    fmt::print("{}\n", j.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
  }
  if (stopped) return 130;
  return all_verified(rows) ? 0 : 1;
}

}  // namespace isobit::bench
