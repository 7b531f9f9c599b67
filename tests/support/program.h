// Runs a program as a user does and keeps what it says.
#pragma once
#include <string>
#include <vector>

#include <sys/types.h>

namespace isobit::test {

struct ProgramResult {
  int code = -1;  ///< exit code; 128 + signal when a signal ended it
  std::string out, err;
  /// The last line of `out` that is not empty.
  std::string last_line() const;
};

/// A child process with its output in files. The destructor kills and reaps it when it still runs.
class Program {
 public:
  /// `environment`: "NAME=value" entries that replace or extend this process's.
  explicit Program(const std::vector<std::string>& command, const std::vector<std::string>& environment = {});
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  void signal(int number);
  /// Waits until stderr holds `text`; false when the program ends or `seconds` pass before.
  bool wait_for(const std::string& text, double seconds);
  ProgramResult wait();

 private:
  bool running();
  pid_t pid_ = -1;
  int status_ = -1;
  bool reaped_ = false;
  std::string folder_;
};

ProgramResult run_program(const std::vector<std::string>& command,
                          const std::vector<std::string>& environment = {});

}  // namespace isobit::test
