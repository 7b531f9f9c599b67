// isobit devices: what can compute here.
#include <fmt/format.h>
#include <isobit/device.h>

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/commands.h"

namespace isobit::cli {
namespace {

int list_devices(bool json) {
  const std::vector<DeviceInfo> all = devices();
  if (json) {
    nlohmann::ordered_json list = nlohmann::ordered_json::array();
    for (const DeviceInfo& info : all) {
      nlohmann::ordered_json properties = nlohmann::ordered_json::object();
      for (const DeviceProperty& property : info.properties) properties[property.name] = property.value;
      list.push_back({{"name", info.name}, {"properties", properties}});
    }
    nlohmann::ordered_json missing = nlohmann::ordered_json::array();
    for (const MissingDevice& device : missing_devices())
      missing.push_back({{"name", device.name}, {"reason", device.reason}});
    fmt::print("{}\n", nlohmann::ordered_json{{"devices", list}, {"missing", missing}}.dump());
    return 0;
  }
  for (const DeviceInfo& info : all) {
    fmt::print("{}\n", info.name);
    std::size_t width = 0;
    for (const DeviceProperty& property : info.properties) width = std::max(width, property.name.size());
    for (const DeviceProperty& property : info.properties)
      fmt::print("  {:<{}}  {}\n", property.name, width, property.value);
  }
  for (const MissingDevice& device : missing_devices())
    fmt::print("not here: {}\n  {}\n", device.name, device.reason);
  return 0;
}

}  // namespace

void add_devices(CLI::App& app, Run& chosen) {
  auto json = std::make_shared<bool>(false);
  CLI::App* command = app.add_subcommand("devices", "List the devices that can compute here");
  command->footer(
      "Examples:\n"
      "  isobit devices\n"
      "  ISOBIT_ISA=avx2 isobit devices     force an instruction set: scalar, avx2 or avx512");
  command->add_flag("--json", *json, "Print one JSON object");
  command->callback([&chosen, json] { chosen = [json] { return list_devices(*json); }; });
}

}  // namespace isobit::cli
