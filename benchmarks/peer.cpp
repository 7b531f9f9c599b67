#include "benchmarks/peer.h"

#include <fcntl.h>
#include <isobit/error.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "benchmarks/paths.h"

namespace isobit::bench {
namespace {

// The peer keeps freed memory, as our pool does: handing it back to the system on every call would cost it a
// factor. It uses as many threads as we do. OpenBLAS's threads would go on spinning for some 30 ms after a
// turn of theirs, on the processors that ours needs by then; 2^20 cycles are longer than what lies between
// two calls.
std::vector<std::string> peer_environment(int threads) {
  std::vector<std::string> variables{"MALLOC_MMAP_THRESHOLD_=4294967296", "MALLOC_TRIM_THRESHOLD_=8589934592",
                                     "MALLOC_TOP_PAD_=268435456", "PYTHONDONTWRITEBYTECODE=1",
                                     "OPENBLAS_THREAD_TIMEOUT=20"};
  for (const char* name : {"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"})
    variables.push_back(fmt::format("{}={}", name, threads));
  const auto ours = [](std::string_view variable) {
    for (const std::string_view start : {"MALLOC_", "OMP_NUM_THREADS=", "OPENBLAS_NUM_THREADS=",
                                         "MKL_NUM_THREADS=", "OPENBLAS_THREAD_TIMEOUT="})
      if (variable.starts_with(start)) return true;
    return false;
  };
  for (char** variable = environ; *variable != nullptr; ++variable)
    if (!ours(*variable)) variables.emplace_back(*variable);
  return variables;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (std::string& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

}  // namespace

Peer::Peer(std::string label, const std::vector<std::string>& command, int threads)
    : label_(std::move(label)) {
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
  // A group of its own: Ctrl-C is for us, who end it in order.
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  std::vector<std::string> environment = peer_environment(threads), arguments = command;
  const int error = posix_spawnp(&process_, arguments[0].c_str(), &actions, &attributes,
                                 pointers(arguments).data(), pointers(environment).data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  close(in[0]);
  close(out[1]);
  to_ = in[1];
  from_ = out[0];
  if (error != 0) {
    process_ = -1;
    why_ = fmt::format("'{}' could not be started: {}", command[0], std::strerror(error));
    stop();
    return;
  }
  signal(SIGPIPE, SIG_IGN);  // a peer that died is an error of ask(), not our end
  std::string line;
  const bool answered = read_line(line);
  const nlohmann::json first = nlohmann::json::parse(line, nullptr, false);
  if (first.is_object() && first.contains("ready") && first["ready"].is_string()) {
    name_ = first["ready"];
    return;
  }
  if (first.is_object() && first.contains("missing") && first["missing"].is_string())
    why_ = first["missing"];
  else if (answered)
    why_ = fmt::format("'{}' began with '{}', expected an object with \"ready\"", command[0], line);
  else
    why_ = fmt::format("'{}' ended without a word", command[0]);
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

nlohmann::json Peer::ask(const nlohmann::json& question) {
  if (!available()) fail("peer", "{} is not there: {}", label_, why_);
  const std::string text = question.dump() + "\n";
  std::string answer;
  for (std::size_t sent = 0; sent < text.size();) {
    const ssize_t count = write(to_, text.data() + sent, text.size() - sent);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    sent += static_cast<std::size_t>(count);
  }
  if (!read_line(answer)) {
    why_ = fmt::format("it died at {}", question.dump());
    stop();
    fail("peer", "{} died at {}", label_, question.dump());
  }
  nlohmann::json result = nlohmann::json::parse(answer, nullptr, false);
  if (!result.is_object())
    fail("peer", "{} answered '{}' to {}, expected an object", label_, answer, question.dump());
  if (result.contains("error")) fail("peer", "{}: {}", label_, result["error"].dump());
  return result;
}

std::vector<std::string> peer_command(const std::string& name, std::string& why) {
  if (name.find('/') != std::string::npos) return {name};
  if (name == "torch") {
    const char* chosen = std::getenv("ISOBIT_PYTHON");
    const std::string python = chosen != nullptr && *chosen != '\0' ? chosen : "python3";
    return {python, source_folder() + "/peers/torch_peer.py"};
  }
  if (name != "onednn" && name != "openblas" && name != "plain")
    fail("bench", "there is no peer \"{}\": torch, onednn, openblas, plain, or the path of a program", name);
  const std::string program = name == "onednn"     ? onednn_peer_program()
                              : name == "openblas" ? openblas_peer_program()
                                                   : plain_peer_program();
  if (!program.empty()) return {program};
  why = fmt::format("this build has no peer for {}: {}", name,
                    name == "plain" ? "configure it with -DISOBIT_BENCHMARKS=ON"
                                    : "scripts/setup --peers installs what it needs, then build again");
  return {};
}

}  // namespace isobit::bench
