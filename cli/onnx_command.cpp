// What isobit verify --onnx prints.
#include "cli/onnx_command.h"

#include <fmt/format.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/interrupt.h"
#include "cli/onnx/cases.h"
#include "cli/progress.h"

namespace isobit::cli {
namespace {

constexpr const char* packaged = "/usr/share/libonnx-testdata/data";

std::map<std::string, std::int64_t> by_reason(const onnx::Report& report) {
  std::map<std::string, std::int64_t> counts;
  for (const onnx::Skip& s : report.skips) ++counts[s.reason];
  return counts;
}

void print_text(std::FILE* to, const onnx::Report& report, const onnx::Options& options) {
  fmt::print(to, "passed, by operator:\n");
  for (const auto& [op, count] : report.operators) fmt::print(to, "  {:<28} {:>5}\n", op, count);
  if (!report.skips.empty()) fmt::print(to, "\nskipped:\n");
  for (const auto& [reason, count] : by_reason(report)) {
    fmt::print(to, "  {}: {}\n", count, reason);
    for (const onnx::Skip& s : report.skips)
      if (s.reason == reason) fmt::print(to, "    {}\n", s.name);
  }
  if (!report.failures.empty()) fmt::print(to, "\nfailed:\n");
  for (const onnx::Failure& f : report.failures)
    fmt::print(to, "  {} on {}: {}\n", f.name, f.device, f.message);
  fmt::print(to, "\n{} passed, {} failed, {} skipped, {} of other operators, on {} in {}{}\n", report.passed,
             report.failed(), report.skips.size(), report.other, fmt::join(options.devices, ", "),
             duration(report.seconds), report.stopped ? "; interrupted" : "");
  if (report.passed == 0 && report.failures.empty() && !report.stopped)
    fmt::print(to, "nothing was run: that is no success\n");
}

nlohmann::ordered_json to_json(const onnx::Report& report, const onnx::Options& options) {
  using Json = nlohmann::ordered_json;
  Json skips = Json::object(), failures = Json::array(), devices = Json::array(), operators = Json::object();
  for (const auto& [reason, count] : by_reason(report)) skips[reason] = count;
  for (const onnx::Failure& f : report.failures)
    failures.push_back({{"case", f.name}, {"device", f.device}, {"error", f.message}});
  for (const Device d : options.devices) devices.push_back(d.name());
  for (const auto& [op, count] : report.operators) operators[op] = count;
  return {{"ok", report.ok()},
          {"passed", report.passed},
          {"failed", report.failed()},
          {"skipped", report.skips.size()},
          {"skips", skips},
          {"other", report.other},
          {"seconds", report.seconds},
          {"folder", options.folder},
          {"devices", devices},
          {"interrupted", report.stopped},
          {"failures", failures},
          {"operators", operators}};
}

}  // namespace

int verify_onnx(const OnnxArguments& arguments) {
  InterruptGuard guard;
  onnx::Options options;
  options.folder = arguments.folder.empty() ? packaged : arguments.folder;
  options.devices = arguments.devices;
  if (options.devices.empty()) options.devices.push_back(Device::cpu());
  options.only = arguments.only;
  options.stop = [] { return InterruptGuard::requested(); };
  const onnx::Report report = onnx::run(options);
  print_text(arguments.json ? stderr : stdout, report, options);
  if (arguments.json)
    fmt::print(
        "{}\n",
        to_json(report, options).dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
  if (report.stopped && report.failures.empty()) return 130;
  return report.ok() ? 0 : 1;
}

}  // namespace isobit::cli
