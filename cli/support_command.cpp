// isobit support: the convolution family executed, op by op, on every device.
#include <fmt/format.h>
#include <isobit/error.h>
#include <isobit/support.h>

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/commands.h"

namespace isobit::cli {
namespace {

struct SupportArguments {
  std::vector<std::string> devices;
  bool markdown = false, json = false;
};

int show_support(const SupportArguments& a) {
  std::vector<Device> on;
  for (const std::string& name : a.devices) on.push_back(Device::parse(name));
  std::size_t shown = 0;
  const verify::Support result = verify::support(on, [&](std::size_t done, std::size_t all) {
    if (done * 10 / all == shown) return;
    shown = done * 10 / all;
    fmt::print(stderr, "{:>3}%\n", shown * 10);
  });
  std::size_t gaps = 0;
  for (const verify::SupportCell& cell : result.cells) {
    if (cell.equal) continue;
    ++gaps;
    fmt::print(stderr, "{} {} {} {} on {}: {}\n", cell.op, cell.mode, cell.direction, name_of(cell.dtype),
               cell.device, cell.why);
  }
  if (a.markdown || !a.json) fmt::print("{}", verify::to_markdown(result));
  if (a.json)
    fmt::print("{}\n", nlohmann::ordered_json{{"ok", result.complete()},
                                              {"cells", result.cells.size()},
                                              {"gaps", gaps},
                                              {"devices", result.devices}}
                           .dump());
  return result.complete() ? 0 : 1;
}

}  // namespace

void add_support(CLI::App& app, Run& chosen) {
  auto a = std::make_shared<SupportArguments>();
  CLI::App* command =
      app.add_subcommand("support", "Execute every op of the convolution family, mode, type and direction");
  command->footer(
      "Every cell is executed and held against the definition, bit by bit; exit code 0 only if all are "
      "equal.\n"
      "\n"
      "Examples:\n"
      "  isobit support                       the table of docs/support.md, for the devices of this machine\n"
      "  isobit support --devices cpu --json  how many cells, how many gaps");
  command->add_option("--devices", a->devices, "Which, separated by commas; all if not given")
      ->delimiter(',');
  command->add_flag("--markdown", a->markdown, "Print the table (the default) beside --json");
  command->add_flag("--json", a->json, "End with a line of JSON");
  command->callback([&chosen, a] { chosen = [a] { return show_support(*a); }; });
}

}  // namespace isobit::cli
