// isobit verify: holds every kernel of every device against the definition, bit by bit.
#include <fmt/format.h>
#include <isobit/error.h>
#include <isobit/verify.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <memory>
#include <thread>

#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/onnx_command.h"
#include "cli/progress.h"
#include "cli/verify_fast.h"
#include "cli/verify_parts.h"

namespace isobit::cli {
namespace {

struct VerifyArguments {
  std::string devices, shapes, seed = "1", only, onnx, part, math = "exact";
  int jobs = 0;  ///< 0: as many as suit
  bool quick = false, full = false, json = false, with_onnx = false, part_given = false;
  bool as_process = false;  ///< one of --jobs: only the JSON is wanted
};

std::vector<Device> parse_devices(const std::string& list) {
  std::vector<Device> parsed;
  if (list.empty()) return parsed;
  for (std::size_t at = 0; at <= list.size();) {
    const std::size_t end = std::min(list.find(',', at), list.size());
    parsed.push_back(Device::parse(list.substr(at, end - at)));
    at = end + 1;
  }
  return parsed;
}

Seed parse_seed(const std::string& text) {
  Seed seed;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, seed.value);
  if (error != std::errc() || stop != end) fail("verify", "--seed is '{}', expected a whole number", text);
  return seed;
}

/// One line that is redrawn on a terminal; a line now and then elsewhere.
class Progress {
 public:
  void show(const verify::Progress& p) {
    if (p.seconds < next_ && p.problems != p.all_problems) return;
    next_ = p.seconds + (terminal_ ? 0.1 : 10);
    const double left =
        p.seconds / static_cast<double>(p.problems) * static_cast<double>(p.all_problems - p.problems);
    const std::string line = fmt::format("{:>3}%  {} equal, {} different, {} left",
                                         p.problems * 100 / std::max<std::int64_t>(p.all_problems, 1),
                                         p.equal, p.different, duration(left));
    if (terminal_)
      fmt::print(stderr, "\r\033[K{}  {}", line, p.problem.substr(0, 40));
    else
      fmt::print(stderr, "{}\n", line);
    std::fflush(stderr);
  }
  void clear() const {
    if (terminal_) fmt::print(stderr, "\r\033[K");
  }

 private:
  bool terminal_ = isatty(STDERR_FILENO) != 0;
  double next_ = 0;
};

/// A row for each kernel, a column for each device: how many comparisons.
void print_table(std::FILE* to, const verify::Report& report) {
  std::vector<std::string> kernels;
  for (const verify::Tally& t : report.tallies)
    if (std::find(kernels.begin(), kernels.end(), t.kernel) == kernels.end()) kernels.push_back(t.kernel);
  std::sort(kernels.begin(), kernels.end());
  fmt::print(to, "{:<28}", "kernel");
  for (const std::string& device : report.devices) fmt::print(to, "  {:>24}", device);
  fmt::print(to, "\n");
  for (const std::string& kernel : kernels) {
    fmt::print(to, "{:<28}", kernel);
    for (const std::string& device : report.devices) {
      std::int64_t equal = 0, different = 0;
      for (const verify::Tally& t : report.tallies)
        if (t.kernel == kernel && t.device == device) equal += t.equal, different += t.different;
      const std::string text = different > 0 ? fmt::format("{} equal, {} DIFFERENT", equal, different)
                                             : fmt::format("{} equal", equal);
      fmt::print(to, "  {:>24}", text);
    }
    fmt::print(to, "\n");
  }
}

void print_text(std::FILE* to, const verify::Report& report) {
  print_table(to, report);
  if (!report.skips.empty()) fmt::print(to, "\nnot served:\n");
  for (const verify::Skip& s : report.skips)
    fmt::print(to, "  {} {} by {}: {} problem{}: {}\n", s.device, s.kernel, s.algorithm, s.problems,
               s.problems == 1 ? "" : "s", s.reason);
  if (!report.differences.empty()) fmt::print(to, "\ndifferent, the first of each algorithm:\n");
  for (const verify::Difference& d : report.differences) fmt::print(to, "{}\n", d.to_string());
  fmt::print(to, "\n{} comparisons of {} problems on {} in {}: {} equal, {} different{}\n", report.cases(),
             report.problems, fmt::join(report.devices, ", "), duration(report.seconds), report.equal,
             report.different, report.stopped ? "; interrupted" : "");
  if (report.unserved != 0)
    fmt::print(to, "{} problems were served by no algorithm of a device: see above, algorithm any\n",
               report.unserved);
  else if (!report.ok() && report.different == 0 && !report.stopped)
    fmt::print(to, "a device was named on which nothing could be compared\n");
}

/// The part named by "2/3".
std::pair<int, int> parse_part(const std::string& text) {
  std::pair<int, int> part{};
  const char* end = text.data() + text.size();
  const auto [slash, error] = std::from_chars(text.data(), end, part.first);
  const bool more = error == std::errc() && slash != end && *slash == '/';
  const auto [stop, error_of] = std::from_chars(more ? slash + 1 : end, end, part.second);
  if (!more || error_of != std::errc() || stop != end || part.first < 1 || part.first > part.second)
    fail("verify", "--part is '{}', expected i/n with 1 <= i <= n, as in 2/3", text);
  return part;
}

/// As many processes as there are processors where all devices compute on them.
int default_jobs(const VerifyArguments& a, const std::vector<Device>& devices) {
  if (!a.full || !a.only.empty() || !a.shapes.empty() || a.part_given || devices.empty()) return 1;
  for (const Device device : devices)
    if (device != Device::cpu() && device != Device::simt()) return 1;
  return std::clamp(static_cast<int>(std::thread::hardware_concurrency()), 1, 16);
}

int verify_command(const VerifyArguments& a) {
  if (a.with_onnx) return verify_onnx({a.onnx, parse_devices(a.devices), a.only, a.json});
  InterruptGuard guard;
  Progress progress;
  verify::Options options;
  options.devices = parse_devices(a.devices);
  options.shapes = a.shapes;
  options.seed = parse_seed(a.seed);
  options.full = a.full;
  options.only = a.only;
  if (!a.as_process) options.progress = [&](const verify::Progress& p) { progress.show(p); };
  options.stop = [] { return InterruptGuard::requested(); };
  if (a.part_given) {
    const auto [part, parts] = parse_part(a.part);
    options.choose = verify::part_of(part, parts);
  }
  if (a.math != "exact") return verify_fast(options, a.math, a.json, [&] { progress.clear(); });
  const int jobs = a.jobs > 0 ? a.jobs : default_jobs(a, options.devices);
  const verify::Report report = jobs > 1 ? run_in_processes(options, jobs) : verify::run(options);
  progress.clear();
  if (!a.as_process) print_text(a.json ? stderr : stdout, report);
  if (a.json)
    fmt::print("{}\n",
               to_json(report).dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
  if (report.stopped && report.different == 0) return 130;
  return report.ok() ? 0 : 1;
}

}  // namespace

void add_verify(CLI::App& app, Run& chosen) {
  auto a = std::make_shared<VerifyArguments>();
  CLI::App* command = app.add_subcommand("verify", "Check that devices give the same bits, kernel by kernel");
  command->footer(
      "Every kernel runs on every device by each of its algorithms and is held against the definition, the\n"
      "CPU's plain loops. Exit code 0: all bits agree. 1: they do not, or the usage is wrong; what differs "
      "is\n"
      "named with its place, both values, and the command that repeats it.\n"
      "\n"
      "Examples:\n"
      "  isobit verify                              all devices there are, a minute or two\n"
      "  isobit verify --full --devices cpu,cuda    all algorithms in all ways, all types of every problem\n"
      "  isobit verify --only conv_forward          what has that in its name\n"
      "  isobit verify --full --part 1/4            the first quarter: three other machines take the rest\n"
      "  isobit verify --shapes mine.txt --json     the convolutions of a file (docs/verify.md)\n"
      "  isobit verify --math fast --devices cuda   fast mode: every error as a share of its bound\n"
      "  isobit verify --onnx --devices cpu,simt    ONNX's own test cases, of Debian's libonnx-testdata");
  command->add_option("--devices", a->devices,
                      "Which, separated by commas (isobit devices); all if not given");
  CLI::Option* shapes = command->add_option("--shapes", a->shapes, "A file of convolutions: run only those");
  CLI::Option* seed = command->add_option("--seed", a->seed, "Of the random inputs")->capture_default_str();
  command->add_option("--only", a->only, "Only problems with this text in their name");
  CLI::Option* quick = command->add_flag("--quick", a->quick,
                                         "A part of the problems, each algorithm in one way: the default");
  CLI::Option* full =
      command->add_flag("--full", a->full, "All problems in all types, each algorithm in every way")
          ->excludes(quick);
  CLI::Option* onnx = command
                          ->add_option("--onnx", a->onnx,
                                       "Instead, the test cases of ONNX in this folder (on the CPU, unless "
                                       "--devices names others); the packaged ones if none is named")
                          ->expected(0, 1)
                          ->type_name("[DIR]");
  for (CLI::Option* other : {shapes, seed, quick, full}) onnx->excludes(other);
  command
      ->add_option(
          "--math", a->math,
          "fast, or fast-tf32, fast-f16, fast-bf16: instead, whether the algorithms of fast mode keep "
          "their bound (docs/fast-mode.md)")
      ->check(CLI::IsMember({"exact", "fast", "fast-tf32", "fast-f16", "fast-bf16"}))
      ->excludes(onnx);
  CLI::Option* part =
      command->add_option("--part", a->part, "Only the i-th of n parts of the problems: to share them out")
          ->type_name("I/N")
          ->excludes(onnx);
  command
      ->add_option("--jobs", a->jobs,
                   "In so many processes at once; for a full run on cpu and simt as many as there are "
                   "processors, else 1")
      ->check(CLI::Range(1, 256))
      ->excludes(onnx)
      ->excludes(part);
  command->add_flag("--as-process", a->as_process, "One of --jobs")->group("");
  command->add_flag("--json", a->json, "End with a line of JSON");
  command->callback([&chosen, a, onnx, part] {
    a->with_onnx = onnx->count() > 0;
    a->part_given = part->count() > 0;
    chosen = [a] { return verify_command(*a); };
  });
}

}  // namespace isobit::cli
