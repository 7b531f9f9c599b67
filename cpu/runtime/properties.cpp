// Properties from /proc/cpuinfo and sysfs.
#include "cpu/runtime/properties.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <string>
#include <system_error>

#include "cpu/runtime/isa.h"
#include "cpu/runtime/thread_pool.h"
#include "cpu/runtime/tile_unit.h"

namespace isobit::cpu {
namespace {

std::string first_line(const std::string& path) {
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  return line;
}

std::string processor_name() {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);) {
    if (line.rfind("model name", 0) != 0) continue;
    const auto colon = line.find(": ");
    if (colon != std::string::npos) return line.substr(colon + 2);
  }
  return {};
}

}  // namespace

const std::string& processor() {
  static const std::string name = processor_name();
  return name;
}

std::vector<DeviceProperty> properties() {
  std::vector<DeviceProperty> list;
  if (const std::string& name = processor(); !name.empty()) list.push_back({"processor", name});
  std::string isas;
  for (const Isa isa : available_isas()) isas += (isas.empty() ? "" : ", ") + std::string(isa_name(isa));
  list.push_back({"instruction set", fmt::format("{} (of {})", isa_name(current_isa()), isas)});
  const char* const why = why_no_tile_unit();
  list.push_back({"fast mode", why != nullptr
                                   ? fmt::format("none ({}): every arithmetic is computed exactly", why)
                               : tile_unit() == TileUnit::emulated
                                   ? "bf16 on an emulated tile unit (ISOBIT_AMX)"
                                   : "bf16, f32 and f16 in parts of bf16, on the tile unit (AMX)"});
  const long processors = sysconf(_SC_NPROCESSORS_ONLN);
  list.push_back({"threads", fmt::format("{} of {} processors", thread_count(), processors)});
  for (int i = 0; i < 8; ++i) {
    const std::string base = fmt::format("/sys/devices/system/cpu/cpu0/cache/index{}/", i);
    const std::string level = first_line(base + "level"), size = first_line(base + "size");
    const std::string type = first_line(base + "type");
    if (level.empty() || size.empty() || type == "Instruction") continue;
    list.push_back(
        {fmt::format("L{} cache", level), fmt::format("{} {}", size, type == "Data" ? "data" : "unified")});
  }
  const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGE_SIZE);
  if (pages > 0 && page > 0) {
    constexpr double kGiB = 1 << 30;
    list.push_back(
        {"memory", fmt::format("{:.1f} GiB", static_cast<double>(pages) * static_cast<double>(page) / kGiB)});
  }
  return list;
}

std::int64_t last_level_cache() {
  // Not sysconf: it counts the last-level caches of a whole package, of which a core may reach only one.
  static const std::int64_t bytes = [] {
    std::int64_t most = 0;
    for (int i = 0; i < 8; ++i) {
      const std::string size = first_line(fmt::format("/sys/devices/system/cpu/cpu0/cache/index{}/size", i));
      std::int64_t count = 0;
      const auto [end, error] = std::from_chars(size.data(), size.data() + size.size(), count);
      if (error != std::errc() || end == size.data() + size.size()) continue;
      most = std::max(most, std::min(count, std::int64_t{1} << 30) << (*end == 'M'   ? 20
                                                                       : *end == 'K' ? 10
                                                                                     : 0));
    }
    return most > 0 ? most : std::int64_t{32} << 20;
  }();
  return bytes;
}

}  // namespace isobit::cpu
