#include "benchmarks/shapes.h"

#include <isobit/error.h>

#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "benchmarks/peer.h"

namespace isobit::bench {
namespace {

constexpr std::string_view kTransposed = "transposed";

// A file that comes with isobit is named without folder and ending.
std::string find_file(const std::string& file) {
  if (file.find('/') == std::string::npos && !std::filesystem::exists(file)) {
    for (const std::string& end : {std::string(), std::string(".txt")}) {
      std::string path = source_folder() + "/shapes/" + file + end;
      if (std::filesystem::exists(path)) return path;
    }
  }
  return file;
}

[[noreturn]] void fail_unread(const std::string& file) {
  std::vector<std::string> own;
  std::error_code missing;  // an isobit whose folder of source is gone has none
  for (const auto& entry : std::filesystem::directory_iterator(source_folder() + "/shapes", missing))
    own.push_back(entry.path().stem().string());
  std::ranges::sort(own);
  fail("bench",
       "the shape file '{}' cannot be read: expected a file, or the name of one that comes with isobit ({})",
       file, own.empty() ? "none is here" : fmt::format("{}", fmt::join(own, ", ")));
}

}  // namespace

Shape ConvCase::y() const {
  const ConvOptions& o = problem.options;
  const auto& sides = std::get<1>(o.padding.value);
  std::vector<std::int64_t> extents{problem.x[0]};
  for (int i = 0; i + 2 < problem.x.rank(); ++i) {
    const auto a = static_cast<std::size_t>(i);
    const std::int64_t span = o.dilation.value[a] * (problem.w[i] - 1) + 1;
    extents.push_back((problem.x[i + 1] + sides[a].first + sides[a].second - span) / o.stride.value[a] + 1);
  }
  extents.push_back(problem.w[problem.w.rank() - 1]);
  return Shape(std::span<const std::int64_t>(extents));
}

double ConvCase::flops() const {
  const std::int64_t filters = problem.w[problem.w.rank() - 1];
  const std::int64_t terms = problem.w.numel() / filters;
  return 2.0 * static_cast<double>(y().numel()) * static_cast<double>(terms);
}

ConvCase parse_case(const std::string& line, const std::string& place) {
  ConvCase result;
  result.place = place;
  const auto first = std::min(line.find_first_not_of(" \t\r"), line.size());
  std::string rest = line.substr(first, line.find_last_not_of(" \t\r") + 1 - first);
  if (rest.starts_with(kTransposed)) {
    result.transposed = true;
    rest.erase(0, rest.find_first_not_of(" \t", kTransposed.size()));
  }
  try {
    result.problem = parse_conv_problem(rest);
  } catch (const Error& error) {
    const std::string_view text = error.what();
    fail(place, "{}", text.substr(error.op().size() + 2));  // without "shape: ", whose place is named here
  }
  if (result.problem.x.numel() == 0 || result.problem.w.numel() == 0)
    fail(place, "'{}': an extent is 0, there is nothing to time", rest);
  const auto name = rest.find("n\"");
  result.name = name == std::string::npos ? rest : rest.substr(name + 2, rest.size() - name - 3);
  return result;
}

std::vector<ConvCase> read_cases(const std::string& file) {
  const std::string path = find_file(file);
  std::ifstream in(path);
  if (!in) fail_unread(file);
  const std::string short_name = std::filesystem::path(path).filename().string();
  std::vector<ConvCase> cases;
  std::string line;
  for (int number = 1; std::getline(in, line); ++number) {
    line = line.substr(0, line.find('#'));
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    cases.push_back(parse_case(line, fmt::format("{}:{}", short_name, number)));
  }
  if (in.bad()) fail_unread(file);
  if (cases.empty()) fail("bench", "'{}' holds no shape", file);
  return cases;
}

}  // namespace isobit::bench
