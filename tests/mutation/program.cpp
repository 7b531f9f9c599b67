// The program that tests/mutation/mutate links with its copy of the kernels, in which ISOBIT_MUTANT is alive.
//
//   program [--full] PROBLEMS    runs the problems whose names stand in the file, a line each, on simt; ends
//                                with the first that is not right. Exit code 0: none; 1: that one is told
//   program [--full] --reach PROBLEMS   runs all others and prints a line for each: its name, the
//   microseconds
//                                of the processor that it took, and which places of mutants it came by
//
// Problems are those of verify::run, and with "fast " before their names those of verify::run_fast, which the
// bound of fast mode judges.
#include <isobit/error.h>
#include <isobit/verify.h>
#include <isobit/verify_fast.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>
#include <string>
#include <unordered_set>

#include "tests/mutation/mutant.h"

namespace isobit_mutant {
namespace {
int from_environment() {
  const char* const text = std::getenv("ISOBIT_MUTANT");
  return text == nullptr ? -1 : std::atoi(text);
}
}  // namespace
int active = from_environment();
unsigned char reached[kMost];
int chosen() {
  return active;
}
}  // namespace isobit_mutant

namespace isobit {
namespace {

std::unordered_set<std::string> lines_of(const char* path) {
  std::unordered_set<std::string> lines;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) lines.insert(line);
  return lines;
}

constexpr const char* kArithmetics[] = {"", "fast "};  // before a problem's name

int reach(bool full, const char* path) {
  const std::unordered_set<std::string> known = lines_of(path);
  for (const std::string arithmetic : kArithmetics) {
    bool any = false, right = true;
    verify::Options options;
    options.devices = {Device::simt()};
    options.full = full;
    options.choose = [&](const std::string& name) {
      const bool is_new = known.count(arithmetic + name) == 0;
      any = any || is_new;
      return is_new;
    };
    std::clock_t begin = std::clock();
    options.stop = [&] {
      std::memset(isobit_mutant::reached, 0, sizeof isobit_mutant::reached);
      begin = std::clock();
      return false;
    };
    options.progress = [&](const verify::Progress& p) {
      const double spent = 1e6 * static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
      std::printf("%s%s\t%.0f\t", arithmetic.c_str(), p.problem.c_str(), spent);
      for (int id = 0; id < isobit_mutant::kMost; ++id)
        if (isobit_mutant::reached[id] != 0) std::printf("%d ", id);
      std::printf("\n");
      std::fflush(stdout);
      right = right && p.different == 0;
    };
    try {
      if (arithmetic.empty())
        verify::run(options);
      else
        verify::run_fast(options);
    } catch (const Error&) {
      if (any) throw;  // else all are known
    }
    if (!right) return 1;
  }
  return 0;
}

int judge(bool full, const char* path) {
  const std::unordered_set<std::string> names = lines_of(path);
  for (const std::string arithmetic : kArithmetics) {
    const bool fast = !arithmetic.empty();
    bool wrong = false;
    verify::Options options;
    options.devices = {Device::simt()};
    options.full = full;
    options.choose = [&](const std::string& name) { return names.count(arithmetic + name) != 0; };
    options.progress = [&](const verify::Progress& p) { wrong = wrong || p.different != 0; };
    options.stop = [&] { return wrong; };
    const auto of_fast = [](const std::string& name) { return name.starts_with("fast "); };
    if (!std::any_of(names.begin(), names.end(), [&](const auto& name) { return of_fast(name) == fast; }))
      continue;
    const auto differences = fast ? verify::run_fast(options).failures : verify::run(options).differences;
    for (const verify::Difference& d : differences) std::printf("%s\n", d.to_string().c_str());
    if (!differences.empty()) return 1;
  }
  return 0;
}

}  // namespace
}  // namespace isobit

int main(int count, char** arguments) {
  try {
    bool full = false, all = false;
    const char* path = nullptr;
    for (int i = 1; i < count; ++i) {
      const std::string argument = arguments[i];
      if (argument == "--full")
        full = true;
      else if (argument == "--reach")
        all = true;
      else
        path = arguments[i];
    }
    if (path == nullptr) {
      std::fprintf(stderr, "program [--full] [--reach] PROBLEMS\n");
      return 2;
    }
    return all ? isobit::reach(full, path) : isobit::judge(full, path);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
  }
}
