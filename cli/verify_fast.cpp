#include "cli/verify_fast.h"

#include <fmt/format.h>
#include <isobit/verify_fast.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/progress.h"

namespace isobit::cli {
namespace {

using Json = nlohmann::ordered_json;
using verify::FastReport;
using verify::FastTally;

/// What an arithmetic comes to for elements of a type.
std::string multiplied(const FastTally& t) {
  if (t.dtype != DType::f32) return fmt::format("{} as it is", t.dtype);
  if (t.roundoff == 0) return "f32 as it is";
  if (t.roundoff < verify::operand_roundoff(t.math, t.dtype)) return "f32 as 2 bf16";
  return t.math == Math::fast_f16 ? "f32 as f16" : t.math == Math::fast_bf16 ? "f32 as bf16" : "f32 as tf32";
}

void print_text(std::FILE* to, const FastReport& report) {
  fmt::print(to, "{:<6} {:<21} {:<21} {:<13} {:>8} {:>10} {:>7} {:>7}  {:>8} {:>8}  {}\n", "device", "kernel",
             "algorithm", "arithmetic", "problems", "elements", "largest", "rms", "zeros", "lacking",
             "integers");
  fmt::print(to, "{:<6} {:<21} {:<21} {:<13} {:>8} {:>10} {:>15}  {:>17}\n", "", "", "", "", "", "",
             "% of the bound", "% refused");
  for (const FastTally& t : report.tallies) {
    const std::string integers = t.integer_different == 0
                                     ? fmt::format("{} equal", t.integer_problems)
                                     : fmt::format("{} elements DIFFERENT", t.integer_different);
    fmt::print(to, "{:<6} {:<21} {:<21} {:<13} {:>8} {:>10} {:>7.1f} {:>7.2f}  {:>8.1f} {:>8.1f}  {}{}\n",
               t.device, t.kernel, t.algorithm, multiplied(t), t.problems, t.elements, 100 * t.largest,
               100 * t.rms, 100 * t.zeros_refused, 100 * t.missing_refused, integers,
               t.beyond > 0 ? fmt::format("  {} BEYOND", t.beyond) : "");
  }
  if (!report.skips.empty()) fmt::print(to, "\nnot served, so computed exactly:\n");
  for (const verify::Skip& s : report.skips)
    fmt::print(to, "  {} {} by {}: {} problem{}: {}\n", s.device, s.kernel, s.algorithm, s.problems,
               s.problems == 1 ? "" : "s", s.reason);
  for (const std::string& device : report.without)
    fmt::print(to, "\n{} has no algorithm of fast mode: everything is computed exactly\n", device);
  if (!report.failures.empty()) fmt::print(to, "\noutside of the bound:\n");
  for (const verify::Difference& d : report.failures) fmt::print(to, "{}\n", d.to_string());
  fmt::print(
      to,
      "\n{} problems on {} in {}: {} elements beyond the bound, {} integer sums different, {} problems "
      "whose bound refuses nothing{}\n",
      report.problems, fmt::join(report.devices, ", "), duration(report.seconds), report.beyond,
      report.integer_different, report.blind, report.stopped ? "; interrupted" : "");
}

Json to_json(const FastReport& report) {
  Json algorithms = Json::array(), skipped = Json::array(), failures = Json::array();
  for (const FastTally& t : report.tallies)
    algorithms.push_back({{"device", t.device},
                          {"kernel", t.kernel},
                          {"algorithm", t.algorithm},
                          {"math", name_of(t.math)},
                          {"dtype", name_of(t.dtype)},
                          {"arithmetic", multiplied(t)},
                          {"operand_roundoff", t.roundoff},
                          {"problems", t.problems},
                          {"elements", t.elements},
                          {"beyond", t.beyond},
                          {"largest_share", t.largest},
                          {"rms_share", t.rms},
                          {"zeros_refused", t.zeros_refused},
                          {"missing_refused", t.missing_refused},
                          {"integer_problems", t.integer_problems},
                          {"integer_different", t.integer_different}});
  for (const verify::Skip& s : report.skips)
    skipped.push_back({{"device", s.device},
                       {"kernel", s.kernel},
                       {"algorithm", s.algorithm},
                       {"reason", s.reason},
                       {"problems", s.problems}});
  for (const verify::Difference& d : report.failures)
    failures.push_back({{"problem", d.problem},
                        {"device", d.device},
                        {"algorithm", d.algorithm},
                        {"math", d.variant},
                        {"error", d.error},
                        {"index", d.index},
                        {"count", d.count},
                        {"numel", d.numel},
                        {"got", d.got},
                        {"expected", d.expected},
                        {"command", d.command}});
  return {{"ok", report.ok()},
          {"math", "fast"},
          {"problems", report.problems},
          {"beyond", report.beyond},
          {"integer_different", report.integer_different},
          {"blind", report.blind},
          {"devices", report.devices},
          {"without", report.without},
          {"seconds", report.seconds},
          {"interrupted", report.stopped},
          {"skipped", skipped},
          {"failures", failures},
          {"algorithms", algorithms}};
}

}  // namespace

int verify_fast(const verify::Options& options, std::string_view math, bool json,
                const std::function<void()>& done) {
  std::vector<Math> maths;
  if (math == "fast-tf32") maths = {Math::fast};
  if (math == "fast-f16") maths = {Math::fast_f16};
  if (math == "fast-bf16") maths = {Math::fast_bf16};
  const FastReport report = verify::run_fast(options, maths);
  done();
  print_text(json ? stderr : stdout, report);
  if (json)
    fmt::print("{}\n",
               to_json(report).dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
  if (report.stopped && report.beyond + report.integer_different == 0) return 130;
  return report.ok() ? 0 : 1;
}

}  // namespace isobit::cli
