#include "benchmarks/support.h"

#include <fcntl.h>
#include <isobit/error.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <sstream>

namespace benchmarks {

namespace {

double seconds_of(clockid_t clock) {
  timespec t{};
  clock_gettime(clock, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

// The peer keeps freed memory, as our pool does: handing it back to the system on every step would cost it a
// factor.
std::vector<std::string> peer_environment() {
  std::vector<std::string> variables{"MALLOC_MMAP_THRESHOLD_=4294967296", "MALLOC_TRIM_THRESHOLD_=8589934592",
                                     "MALLOC_TOP_PAD_=268435456", "PYTHONDONTWRITEBYTECODE=1"};
  for (char** variable = environ; *variable != nullptr; ++variable) {
    if (std::strncmp(*variable, "MALLOC_", 7) != 0) variables.emplace_back(*variable);
  }
  return variables;
}

}  // namespace

double wall_seconds() {
  return seconds_of(CLOCK_MONOTONIC);
}
double thread_seconds() {
  return seconds_of(CLOCK_THREAD_CPUTIME_ID);
}
double process_seconds() {
  return seconds_of(CLOCK_PROCESS_CPUTIME_ID);
}

Spread spread(std::vector<double> values) {
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  const double median = values.size() % 2 == 1 ? values[middle] : 0.5 * (values[middle - 1] + values[middle]);
  return {median, values.front(), values.back()};
}

Peer::Peer(std::string_view script) {
  const char* chosen = std::getenv("ISOBIT_PYTHON");
  const std::string python = chosen != nullptr && *chosen != '\0' ? chosen : "python3";
  const std::string path = std::string(source_folder()) + "/" + std::string(script);
  int in[2], out[2];
  if (pipe2(in, O_CLOEXEC) != 0) {
    why_ = "no pipe could be made";
    return;
  }
  if (pipe2(out, O_CLOEXEC) != 0) {
    close(in[0]);
    close(in[1]);
    why_ = "no pipe could be made";
    return;
  }
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in[0], 0);
  posix_spawn_file_actions_adddup2(&actions, out[1], 1);
  std::vector<std::string> environment = peer_environment();
  std::vector<char*> variables;
  for (std::string& variable : environment) variables.push_back(variable.data());
  variables.push_back(nullptr);
  std::string arguments[] = {python, path};
  char* argv[] = {arguments[0].data(), arguments[1].data(), nullptr};
  const int error = posix_spawnp(&process_, python.c_str(), &actions, nullptr, argv, variables.data());
  posix_spawn_file_actions_destroy(&actions);
  close(in[0]);
  close(out[1]);
  to_ = in[1];
  from_ = out[0];
  if (error != 0) {
    process_ = -1;
    why_ = fmt::format("'{}' could not be started ({}); ISOBIT_PYTHON names a Python", python,
                       std::strerror(error));
    stop();
    return;
  }
  signal(SIGPIPE, SIG_IGN);
  std::string line;
  if (read_line(line) && line.starts_with("ready ")) {
    name_ = line.substr(6);
    return;
  }
  why_ = fmt::format("{} ('{}'); ISOBIT_PYTHON names another Python",
                     line.empty() ? "the peer did not answer" : line, python);
  stop();
}

Peer::~Peer() {
  stop();
}

void Peer::stop() {
  if (to_ >= 0) close(to_);
  if (from_ >= 0) close(from_);
  to_ = from_ = -1;
  // The end of its input ends it.
  if (process_ > 0) waitpid(process_, nullptr, 0);
  process_ = -1;
}

bool Peer::read_line(std::string& line) {
  for (;;) {
    const std::size_t end = pending_.find('\n');
    if (end != std::string::npos) {
      line = pending_.substr(0, end);
      pending_.erase(0, end + 1);
      return true;
    }
    char buffer[4096];
    const ssize_t count = read(from_, buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    pending_.append(buffer, static_cast<std::size_t>(count));
  }
}

std::string Peer::ask(std::string_view line) {
  std::string text(line);
  text += '\n';
  std::string answer;
  if (write(to_, text.data(), text.size()) != static_cast<ssize_t>(text.size()) || !read_line(answer)) {
    isobit::fail("peer", "{} died at '{}'", name_, line);
  }
  return answer;
}

std::vector<double> Peer::ask_numbers(std::string_view line) {
  const std::string answer = ask(line);
  std::istringstream words(answer);
  std::vector<double> numbers;
  for (double number = 0; words >> number;) numbers.push_back(number);
  if (!words.eof()) isobit::fail("peer", "{} answered '{}' to '{}', expected numbers", name_, answer, line);
  return numbers;
}

TemporaryFile::TemporaryFile(const std::vector<float>& values) {
  const char* folder = std::getenv("TMPDIR");
  path_ = std::string(folder != nullptr ? folder : "/tmp") + "/isobit-benchmark-XXXXXX";
  const int file = mkstemp(path_.data());
  if (file < 0) isobit::fail("benchmark", "no temporary file {}: {}", path_, std::strerror(errno));
  const char* bytes = reinterpret_cast<const char*>(values.data());
  std::size_t left = values.size() * sizeof(float);
  while (left > 0) {
    const ssize_t count = write(file, bytes, left);
    if (count <= 0) {
      close(file);
      unlink(path_.c_str());
      isobit::fail("benchmark", "{} could not be written: {}", path_, std::strerror(errno));
    }
    bytes += count;
    left -= static_cast<std::size_t>(count);
  }
  close(file);
}

TemporaryFile::~TemporaryFile() {
  unlink(path_.c_str());
}

bool has_flag(int argc, char** argv, std::string_view name) {
  return std::any_of(argv + 1, argv + argc, [&](const char* a) { return name == a; });
}

int int_option(int argc, char** argv, std::string_view name, int fallback) {
  for (int i = 1; i + 1 < argc; ++i) {
    if (name != argv[i]) continue;
    int value = 0;
    const char* end = argv[i + 1] + std::strlen(argv[i + 1]);
    if (std::from_chars(argv[i + 1], end, value).ptr != end || value < 1)
      isobit::fail("benchmark", "{} {}: expected a positive number", name, argv[i + 1]);
    return value;
  }
  return fallback;
}

}  // namespace benchmarks
