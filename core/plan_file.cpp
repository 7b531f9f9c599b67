// Reading and writing the text of a plan. Whatever the bytes are, the result is the plan or an Error with the
// line.
#include "core/plan_file.h"

#include <fmt/format.h>
#include <isobit/arithmetic.h>
#include <isobit/error.h>

#include <charconv>
#include <cmath>

#include "core/io/file.h"

namespace isobit::plans {
namespace {

constexpr std::string_view kFirstLine = "isobit plan 1";
constexpr std::size_t kMostShown = 80;  ///< characters of a wrong line that an error shows

// "text: <what is wrong>" of line `number`.
class LineReader {
 public:
  LineReader(std::string_view text, std::string name) : text_(text), name_(std::move(name)) {}

  bool next(std::string_view* line) {
    if (text_.empty()) return false;
    const std::size_t end = text_.find('\n');
    *line = text_.substr(0, end);
    if (!line->empty() && line->back() == '\r') line->remove_suffix(1);
    text_ = end == std::string_view::npos ? std::string_view() : text_.substr(end + 1);
    line_ = *line;
    ++number_;
    return true;
  }

  [[noreturn]] void wrong(std::string_view expected) const {
    std::string shown;
    for (const char c : line_.substr(0, kMostShown)) shown += c >= ' ' && c <= '~' ? c : '?';
    fail("plan", "{}, line {}: got '{}{}', expected {}", name_, number_, shown,
         line_.size() > kMostShown ? "..." : "", expected);
  }

 private:
  std::string_view text_, line_;
  std::string name_;
  std::size_t number_ = 0;
};

// The part before `mark`, which is taken off `text`; false when there is no mark.
bool take(std::string_view* text, std::string_view mark, std::string_view* part) {
  const std::size_t at = text->find(mark);
  if (at == std::string_view::npos || at == 0) return false;
  *part = text->substr(0, at);
  text->remove_prefix(at + mark.size());
  return true;
}

bool is_name(std::string_view text) {
  if (text.empty()) return false;
  for (const char c : text)
    if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-')) return false;
  return true;
}

std::vector<PlanLine::Timing> timings_of(std::string_view text, const LineReader& reader) {
  constexpr std::string_view kExpected = "'<algorithm> <microseconds>', separated by ', ', behind ' | '";
  std::vector<PlanLine::Timing> timings;
  for (bool more = true; more;) {
    std::string_view one;
    more = take(&text, ", ", &one);
    if (!more) one = text;
    std::string_view name;
    PlanLine::Timing timing;
    if (!take(&one, " ", &name) || !is_name(name)) reader.wrong(kExpected);
    const auto parsed = std::from_chars(one.data(), one.data() + one.size(), timing.microseconds);
    if (parsed.ec != std::errc() || parsed.ptr != one.data() + one.size() ||
        !std::isfinite(timing.microseconds) || timing.microseconds < 0)
      reader.wrong(kExpected);
    timing.algorithm = name;
    timings.push_back(std::move(timing));
  }
  return timings;
}

}  // namespace

Lines parse(std::string_view text, const std::string& name) {
  LineReader reader(text, name);
  std::string_view line;
  if (!reader.next(&line) || line != kFirstLine) reader.wrong(fmt::format("'{}'", kFirstLine));
  Lines lines;
  std::string device;
  while (reader.next(&line)) {
    if (line.empty() || line.front() == '#') continue;
    if (line.front() == '[') {
      if (line.size() < 3 || line.back() != ']') reader.wrong("a device in brackets");
      device = line.substr(1, line.size() - 2);
      continue;
    }
    if (device.empty()) reader.wrong("a device in brackets before the first problem");
    std::string_view math, kernel, problem;
    if (!take(&line, " ", &math) || !take(&line, " ", &kernel) || !is_name(kernel) ||
        !take(&line, " | ", &problem))
      reader.wrong("'<arithmetic> <kernel> <problem> | <algorithm> <microseconds>'");
    bool known = false;
    for (const Math m : {Math::exact, Math::fast, Math::fast_f16, Math::fast_bf16})
      known = known || name_of(m) == math;
    if (!known) reader.wrong("exact, fast, fast-f16 or fast-bf16 first");
    const bool is_new =
        lines
            .emplace(Key(device, std::string(math), std::string(kernel), std::string(problem)),
                     timings_of(line, reader))
            .second;
    if (!is_new) reader.wrong("each problem once");
  }
  return lines;
}

std::string format(const Lines& lines) {
  std::string text = fmt::format("{}\n", kFirstLine);
  const std::string* device = nullptr;
  for (const auto& [key, timings] : lines) {
    const auto& [of_device, math, kernel, problem] = key;
    if (device == nullptr || *device != of_device) text += fmt::format("\n[{}]\n", of_device);
    device = &of_device;
    text += fmt::format("{} {} {} |", math, kernel, problem);
    const char* before = " ";
    for (const PlanLine::Timing& timing : timings) {
      text += fmt::format("{}{} {:.1f}", before, timing.algorithm, timing.microseconds);
      before = ", ";
    }
    text += '\n';
  }
  return text;
}

Lines read(const std::string& path, bool may_be_missing) {
  if (may_be_missing && !io::file_exists(path)) return {};
  const std::vector<std::uint8_t> bytes = io::read_file("plan", path);
  return parse({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, fmt::format("'{}'", path));
}

}  // namespace isobit::plans

namespace isobit {

std::vector<PlanLine> read_plan(const std::string& path) {
  std::vector<PlanLine> list;
  for (auto& [key, timings] : plans::read(path, false)) {
    const auto& [device, math, kernel, problem] = key;
    list.push_back({device, math, kernel, problem, timings});
  }
  return list;
}

std::string to_text(std::vector<PlanLine> list) {
  plans::Lines lines;
  for (PlanLine& line : list)
    lines[{std::move(line.device), std::move(line.math), std::move(line.kernel), std::move(line.problem)}] =
        std::move(line.timings);
  return plans::format(lines);
}

}  // namespace isobit
