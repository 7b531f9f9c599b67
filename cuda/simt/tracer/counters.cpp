// Counts what a GPU's memory would have to do: the accesses of a warp's lanes that belong to one execution of
// an instruction are one request. Lanes run one after another here, so a lane's n-th execution of an
// instruction in a block is taken to belong to the n-th of the others.
//
// With ISOBIT_SIMT_COUNTS=FILE in the environment everything is counted, and written to the file when the
// program ends: a line of JSON for each kernel, instruction, memory, direction and width of access, for
// benchmarks/gpu_static.py. Its `at` is an address in the program, which addr2line turns into a place, or
// file:line itself.
#include <dlfcn.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <set>
#include <tuple>
#include <unordered_map>

#include "cuda/simt/device_state.h"
#include "cuda/simt/runner.h"
#include "cuda/simt/tracer/tracer.h"

namespace isobit::emulator {
namespace trace {
namespace {

struct Record {
  Instruction instruction;
  const void* kernel;
  std::uintptr_t address;
  std::uint32_t occurrence;
  std::uint16_t thread;
  std::uint8_t bytes;
  bool shared, write;
};

bool on = std::getenv("ISOBIT_SIMT_COUNTS") != nullptr;
std::vector<Record> records;
// By kernel, instruction, whether the memory is shared, whether it is written, bytes of a lane.
using Key = std::tuple<const void*, Instruction, bool, bool, std::uint8_t>;
std::map<Key, AccessCount> counts;

// Passes over the 32 banks of 4 bytes: lanes that want different words of one bank take turns. Accesses of 8
// bytes go by half warps, of 16 by quarters.
void add_shared(AccessCount& count, const std::vector<const Record*>& lanes) {
  const std::size_t bytes = lanes.front()->bytes;
  const int group = bytes >= 16 ? 8 : bytes >= 8 ? 16 : 32;
  for (int first = 0; first < kWarp; first += group) {
    std::map<std::uintptr_t, std::set<std::uintptr_t>> banks;
    for (const Record* r : lanes) {
      const int lane = r->thread % kWarp;
      if (lane < first || lane >= first + group) continue;
      for (std::uintptr_t word = r->address / 4; word <= (r->address + r->bytes - 1) / 4; ++word) {
        banks[word % 32].insert(word);
      }
    }
    if (banks.empty()) continue;
    std::size_t passes = 0;
    for (const auto& [bank, words] : banks) passes = std::max(passes, words.size());
    count.cost += passes;
    ++count.ideal;
  }
}

void add_global(AccessCount& count, const std::vector<const Record*>& lanes) {
  std::set<std::uintptr_t> sectors, bytes;
  for (const Record* r : lanes) {
    for (std::uintptr_t b = r->address; b < r->address + r->bytes; ++b) bytes.insert(b);
    for (std::uintptr_t s = r->address / 32; s <= (r->address + r->bytes - 1) / 32; ++s) sectors.insert(s);
  }
  count.cost += sectors.size();
  count.ideal += (bytes.size() + 31) / 32;
}

}  // namespace

bool counting() {
  return on;
}

void log(const Instruction& instruction, const void* kernel, std::uint16_t thread, const void* address,
         std::size_t bytes, bool shared, bool write) {
  if (bytes > 16) return;
  records.push_back({instruction, kernel, reinterpret_cast<std::uintptr_t>(address), 0, thread,
                     static_cast<std::uint8_t>(bytes), shared, write});
  if (records.size() >= std::size_t{1} << 22) flush_log();
}

void flush_log() {
  std::stable_sort(records.begin(), records.end(), [](const Record& a, const Record& b) {
    return std::tie(a.instruction, a.shared, a.thread) < std::tie(b.instruction, b.shared, b.thread);
  });
  for (std::size_t i = 1; i < records.size(); ++i) {
    const bool same = records[i].instruction == records[i - 1].instruction &&
                      records[i].shared == records[i - 1].shared &&
                      records[i].thread == records[i - 1].thread;
    records[i].occurrence = same ? records[i - 1].occurrence + 1 : 0;
  }
  const auto key = [](const Record& r) {
    return std::make_tuple(r.instruction, r.shared, r.thread / kWarp, r.occurrence);
  };
  std::stable_sort(records.begin(), records.end(),
                   [&](const Record& a, const Record& b) { return key(a) < key(b); });
  std::vector<const Record*> lanes;
  for (std::size_t i = 0; i < records.size(); ++i) {
    lanes.push_back(&records[i]);
    if (i + 1 < records.size() && key(records[i + 1]) == key(records[i])) continue;
    const Record& record = records[i];
    AccessCount& count =
        counts[{record.kernel, record.instruction, record.shared, record.write, record.bytes}];
    count.width = record.bytes;
    count.shared = records[i].shared;
    count.write = records[i].write;
    ++count.requests;
    for (const Record* r : lanes) count.bytes += r->bytes;
    count.shared ? add_shared(count, lanes) : add_global(count, lanes);
    lanes.clear();
  }
  records.clear();
}

}  // namespace trace

void count_accesses(bool on) {
  if (on) trace::counts.clear();
  trace::records.clear();
  trace::on = on;
}

namespace {

AccessCount named(const trace::Key& key, AccessCount count) {
  count.kernel = kernel_name(std::get<const void*>(key));
  return count;
}

// Where an instruction is, in words that are quick to find.
std::string address_of(const trace::Instruction& instruction) {
  if (instruction.file != nullptr) return fmt::format("{}:{}", instruction.file, instruction.line);
  const char* const call = static_cast<const char*>(instruction.pc) - 1;  // pc: what it returns to
  Dl_info program{};
  if (dladdr(call, &program) == 0) return "";
  return fmt::format("{:#x}", call - static_cast<const char*>(program.dli_fbase));
}

void print(std::FILE* file, const std::string& at, const AccessCount& c) {
  const std::string line = fmt::format(
      R"({{"kernel": "{}", "at": "{}", "shared": {}, "write": {}, "width": {}, "requests": {}, "bytes": {}, "cost": {}, "ideal": {}}})",
      c.kernel, at, c.shared, c.write, c.width, c.requests, c.bytes, c.cost, c.ideal);
  std::fprintf(file, "%s\n", line.c_str());
}

// Written when the program ends.
struct Report {
  ~Report() {
    const char* const path = std::getenv("ISOBIT_SIMT_COUNTS");
    if (path == nullptr) return;
    trace::flush_log();
    std::FILE* const file = std::fopen(path, "w");
    if (file == nullptr) {
      std::perror(path);
      return;
    }
    for (const auto& [key, count] : trace::counts)
      print(file, address_of(std::get<trace::Instruction>(key)), named(key, count));
    std::fclose(file);
  }
} report;

}  // namespace

std::vector<AccessCount> access_counts() {
  std::map<std::tuple<std::string, std::string, bool, bool, int>, AccessCount> lines;
  for (const auto& [key, one] : trace::counts) {
    const AccessCount count = named(key, one);
    const std::string place = std::get<trace::Instruction>(key).place();
    AccessCount& line = lines[{count.kernel, place, count.shared, count.write, count.width}];
    line.kernel = count.kernel;
    line.place = place;
    line.width = count.width;
    line.shared = count.shared;
    line.write = count.write;
    line.requests += count.requests;
    line.bytes += count.bytes;
    line.cost += count.cost;
    line.ideal += count.ideal;
  }
  std::vector<AccessCount> result;
  for (auto& [key, line] : lines) result.push_back(std::move(line));
  std::sort(result.begin(), result.end(),
            [](const AccessCount& a, const AccessCount& b) { return a.cost > b.cost; });
  return result;
}

}  // namespace isobit::emulator
