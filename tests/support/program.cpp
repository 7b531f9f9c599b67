#include "tests/support/program.h"

#include <isobit/error.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

namespace isobit::test {
namespace {

std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

void redirect(const std::string& path, int to) {
  const int file = ::open(path.c_str(), O_CREAT | O_TRUNC | O_WRONLY, 0600);
  if (file < 0 || ::dup2(file, to) < 0) ::_exit(126);
  ::close(file);
}

}  // namespace

std::string ProgramResult::last_line() const {
  const std::size_t end = out.find_last_not_of('\n');
  if (end == std::string::npos) return "";
  const std::size_t newline = out.rfind('\n', end);
  const std::size_t begin = newline == std::string::npos ? 0 : newline + 1;
  return out.substr(begin, end + 1 - begin);
}

Program::Program(const std::vector<std::string>& command, const std::vector<std::string>& environment) {
  std::string pattern = (std::filesystem::temp_directory_path() / "isobit-program-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) fail("test", "cannot make a temporary folder '{}'", pattern);
  folder_ = pattern;
  std::vector<char*> arguments;
  for (const std::string& a : command) arguments.push_back(const_cast<char*>(a.c_str()));
  arguments.push_back(nullptr);
  pid_ = ::fork();
  if (pid_ < 0) fail("test", "cannot start {}", command.front());
  if (pid_ == 0) {
    redirect(folder_ + "/out", STDOUT_FILENO);
    redirect(folder_ + "/err", STDERR_FILENO);
    for (const std::string& entry : environment) ::putenv(const_cast<char*>(entry.c_str()));
    ::execv(arguments[0], arguments.data());
    ::_exit(127);
  }
}

Program::~Program() {
  if (!reaped_) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, &status_, 0);
  }
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

void Program::signal(int number) {
  if (running()) ::kill(pid_, number);
}

bool Program::running() {
  if (!reaped_) reaped_ = ::waitpid(pid_, &status_, WNOHANG) == pid_;
  return !reaped_;
}

bool Program::wait_for(const std::string& text, double seconds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  while (contents(folder_ + "/err").find(text) == std::string::npos) {
    if (!running() || std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

ProgramResult Program::wait() {
  if (!reaped_) {
    ::waitpid(pid_, &status_, 0);
    reaped_ = true;
  }
  const int code = WIFEXITED(status_) ? WEXITSTATUS(status_) : 128 + WTERMSIG(status_);
  return {code, contents(folder_ + "/out"), contents(folder_ + "/err")};
}

ProgramResult run_program(const std::vector<std::string>& command,
                          const std::vector<std::string>& environment) {
  Program program(command, environment);
  return program.wait();
}

}  // namespace isobit::test
