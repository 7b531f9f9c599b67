// The other processes are this program, asked for one part each and for nothing but JSON.
#include "cli/verify_parts.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <isobit/error.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <memory>
#include <vector>

namespace isobit::cli {
namespace {

using Json = nlohmann::ordered_json;

/// A part of the problems in a process of its own; killed if nobody waits for it.
class PartProcess {
 public:
  PartProcess(const verify::Options& options, int part, int parts)
      : name_(fmt::format("part {}/{}", part, parts)) {
    std::vector<std::string> words = {"isobit",
                                      "verify",
                                      "--json",
                                      "--as-process",
                                      options.full ? "--full" : "--quick",
                                      "--seed",
                                      fmt::format("{}", options.seed.value),
                                      "--part",
                                      fmt::format("{}/{}", part, parts)};
    const auto add = [&](const char* option, const std::string& value) {
      if (!value.empty()) words.insert(words.end(), {option, value});
    };
    std::vector<std::string> devices;
    for (const Device device : options.devices) devices.push_back(device.name());
    add("--devices", fmt::format("{}", fmt::join(devices, ",")));
    add("--shapes", options.shapes);
    add("--only", options.only);
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);

    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) fail("verify", "no pipe for {}: {}", name_, std::strerror(errno));
    const pid_t parent = ::getpid();
    pid_ = ::fork();
    if (pid_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGTERM);
      if (::getppid() == parent && ::dup2(ends[1], STDOUT_FILENO) >= 0)
        ::execv("/proc/self/exe", argv.data());
      ::_exit(127);
    }
    const int error = errno;
    ::close(ends[1]);
    if (pid_ < 0) {
      ::close(ends[0]);
      fail("verify", "no process for {}: {}; try --jobs 1", name_, std::strerror(error));
    }
    output_ = ends[0];
  }
  ~PartProcess() {
    ::close(output_);
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  PartProcess(const PartProcess&) = delete;
  PartProcess& operator=(const PartProcess&) = delete;

  /// Waits for the report.
  Json report() {
    std::string text;
    char buffer[1 << 14];
    for (;;) {
      const ssize_t count = ::read(output_, buffer, sizeof buffer);
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) break;
      text.append(buffer, static_cast<std::size_t>(count));
    }
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = 0;
    Json json = Json::parse(text, nullptr, false);
    if (WIFEXITED(status) && json.is_object()) return json;
    fail("verify", "{} ended by {} {} without a report; --jobs 1 runs everything in one process", name_,
         WIFEXITED(status) ? "exit code" : "signal",
         WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
  }

 private:
  std::string name_;
  pid_t pid_ = 0;
  int output_ = -1;
};

/// Adds what another process found.
void join(verify::Report& all, const Json& part) {
  all.problems += part.at("problems").get<std::int64_t>();
  all.equal += part.at("equal").get<std::int64_t>();
  all.different += part.at("different").get<std::int64_t>();
  all.unserved += part.at("unserved").get<std::int64_t>();
  all.stopped = all.stopped || part.at("interrupted").get<bool>();
  for (const Json& one : part.at("algorithms")) {
    const verify::Tally tally{one.at("device"), one.at("kernel"), one.at("algorithm"), one.at("equal"),
                              one.at("different")};
    const auto same = [&](const verify::Tally& t) {
      return t.device == tally.device && t.kernel == tally.kernel && t.algorithm == tally.algorithm;
    };
    const auto found = std::find_if(all.tallies.begin(), all.tallies.end(), same);
    if (found == all.tallies.end()) {
      all.tallies.push_back(tally);
    } else {
      found->equal += tally.equal;
      found->different += tally.different;
    }
  }
  for (const Json& one : part.at("skipped")) {
    const verify::Skip skip{one.at("device"), one.at("kernel"), one.at("algorithm"), one.at("reason"),
                            one.at("problems")};
    const auto same = [&](const verify::Skip& s) {
      return s.device == skip.device && s.kernel == skip.kernel && s.algorithm == skip.algorithm &&
             s.reason == skip.reason;
    };
    const auto found = std::find_if(all.skips.begin(), all.skips.end(), same);
    if (found == all.skips.end())
      all.skips.push_back(skip);
    else
      found->problems += skip.problems;
  }
  for (const Json& one : part.at("differences")) {
    verify::Difference d;
    d.problem = one.at("problem");
    d.device = one.at("device");
    d.algorithm = one.at("algorithm");
    d.variant = one.at("variant");
    d.command = one.at("command");
    if (one.contains("error")) {
      d.error = one.at("error");
    } else {
      d.output = one.at("output");
      d.index = one.at("index");
      d.count = one.at("count");
      d.numel = one.at("numel");
      d.got = one.at("got");
      d.expected = one.at("expected");
    }
    all.differences.push_back(std::move(d));
  }
}

}  // namespace

verify::Report run_in_processes(verify::Options options, int jobs) {
  const auto start = std::chrono::steady_clock::now();
  std::vector<std::unique_ptr<PartProcess>> others;
  for (int part = 2; part <= jobs; ++part)
    others.push_back(std::make_unique<PartProcess>(options, part, jobs));
  options.choose = verify::part_of(1, jobs);
  if (options.progress) {  // the parts are alike: as this one goes, so go the others
    options.progress = [show = options.progress, jobs](verify::Progress p) {
      for (std::int64_t* count : {&p.problems, &p.all_problems, &p.equal, &p.different}) *count *= jobs;
      show(p);
    };
  }
  verify::Report report = verify::run(options);
  for (const auto& other : others) join(report, other->report());
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return report;
}

Json to_json(const verify::Report& report) {
  Json skipped = Json::array(), differences = Json::array(), algorithms = Json::array();
  for (const verify::Skip& s : report.skips)
    skipped.push_back({{"device", s.device},
                       {"kernel", s.kernel},
                       {"algorithm", s.algorithm},
                       {"reason", s.reason},
                       {"problems", s.problems}});
  for (const verify::Difference& d : report.differences) {
    Json one{
        {"problem", d.problem}, {"device", d.device}, {"algorithm", d.algorithm}, {"variant", d.variant}};
    if (!d.error.empty())
      one["error"] = d.error;
    else
      one.update(Json{{"output", d.output},
                      {"index", d.index},
                      {"count", d.count},
                      {"numel", d.numel},
                      {"got", d.got},
                      {"expected", d.expected}});
    one["command"] = d.command;
    differences.push_back(std::move(one));
  }
  for (const verify::Tally& t : report.tallies)
    algorithms.push_back({{"device", t.device},
                          {"kernel", t.kernel},
                          {"algorithm", t.algorithm},
                          {"equal", t.equal},
                          {"different", t.different}});
  return {{"ok", report.ok()},           {"cases", report.cases()},
          {"equal", report.equal},       {"different", report.different},
          {"problems", report.problems}, {"unserved", report.unserved},
          {"skipped", skipped},          {"seconds", report.seconds},
          {"devices", report.devices},   {"interrupted", report.stopped},
          {"differences", differences},  {"algorithms", algorithms}};
}

}  // namespace isobit::cli
