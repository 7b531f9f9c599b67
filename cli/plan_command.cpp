// isobit plan: what a plan says, as a table.
#include <fmt/format.h>
#include <isobit/plan.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/commands.h"

namespace isobit::cli {
namespace {

struct PlanArguments {
  std::string file;
  bool json = false;
};

void print_line(const PlanLine& line) {
  const PlanLine::Timing& chosen = line.timings.front();
  std::string others;
  for (const PlanLine::Timing& timing : line.timings) {
    if (&timing == &chosen) continue;
    const double factor = chosen.microseconds > 0 ? timing.microseconds / chosen.microseconds : 0;
    others += fmt::format("{}{} {:.2f}", others.empty() ? "" : ", ", timing.algorithm, factor);
  }
  fmt::print("  {:<9} {:<20} {:<18} {:>11.1f}  {:<44} {}\n", line.math, line.kernel, chosen.algorithm,
             chosen.microseconds, others, line.problem);
}

int show_plan(const PlanArguments& a) {
  const std::vector<PlanLine> lines = read_plan(a.file);
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  std::string device;
  for (const PlanLine& line : lines) {
    if (line.device != device)
      fmt::print("{}\n  {:<9} {:<20} {:<18} {:>11}  {:<44} {}\n", line.device, "math", "kernel", "runs", "us",
                 "others: times its time", "problem");
    device = line.device;
    print_line(line);
    nlohmann::ordered_json timings = nlohmann::ordered_json::array();
    for (const PlanLine::Timing& t : line.timings)
      timings.push_back({{"algorithm", t.algorithm}, {"microseconds", t.microseconds}});
    rows.push_back({{"device", line.device},
                    {"math", line.math},
                    {"kernel", line.kernel},
                    {"problem", line.problem},
                    {"timings", timings}});
  }
  fmt::print("{} problems\n", lines.size());
  if (a.json)
    fmt::print("{}\n",
               nlohmann::ordered_json{{"plan", a.file}, {"problems", lines.size()}, {"rows", rows}}.dump(
                   -1, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
  return 0;
}

}  // namespace

void add_plan(CLI::App& app, Run& chosen) {
  auto a = std::make_shared<PlanArguments>();
  CLI::App* command = app.add_subcommand("plan", "Show which algorithms a plan has found to be the fastest");
  command->footer(
      "A plan is a text file: which algorithm serves each convolution and product, found by timing them "
      "where "
      "it\n"
      "runs. isobit train and isobit bench make one with --plan FILE and use it from then on; so does every\n"
      "program with ISOBIT_PLAN=FILE. In exact arithmetic no plan changes a bit (docs/plans.md).\n"
      "\n"
      "Examples:\n"
      "  isobit train --steps 20 --plan lenet.plan      times every problem of LeNet once\n"
      "  isobit plan lenet.plan                         what was found\n"
      "  ISOBIT_PLAN=lenet.plan ./my_program");
  command->add_option("file", a->file, "The plan")->required();
  command->add_flag("--json", a->json, "End with a line of JSON");
  command->callback([&chosen, a] { chosen = [a] { return show_plan(*a); }; });
}

}  // namespace isobit::cli
