// What the benchmarks share: clocks, statistics over rounds, and peers: other libraries that run in a process
// of their own, are driven over a pipe, and take turns with us round by round, so that both see the same
// machine.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

namespace benchmarks {

/// The folder of the peers' scripts.
const char* source_folder();

/// Seconds on a clock that never jumps; processor seconds of this thread, and of all threads of this process.
double wall_seconds();
double thread_seconds();
double process_seconds();

/// Middle, smallest and largest of some rounds.
struct Spread {
  double median = 0, low = 0, high = 0;
};
Spread spread(std::vector<double> values);

/// A peer: `python script`, that answers every line with a line. The interpreter is ISOBIT_PYTHON, else
/// python3.
class Peer {
 public:
  /// Starts it; its first line must be "ready NAME VERSION". When it cannot be had, available() is false and
  /// why() says in a sentence what is missing.
  explicit Peer(std::string_view script);
  ~Peer();
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  bool available() const { return process_ > 0; }
  const std::string& name() const { return name_; }
  const std::string& why() const { return why_; }
  /// Sends a line and waits for the answer; throws isobit::Error when the peer has died.
  std::string ask(std::string_view line);
  /// The numbers of an answer, separated by blanks.
  std::vector<double> ask_numbers(std::string_view line);

 private:
  bool read_line(std::string& line);
  void stop();
  pid_t process_ = -1;
  int to_ = -1, from_ = -1;
  std::string pending_, name_, why_;
};

/// A file in a fresh temporary folder that is gone with the object.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::vector<float>& values);
  ~TemporaryFile();
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// Whether the arguments hold --name; the value after --name, or fallback.
bool has_flag(int argc, char** argv, std::string_view name);
int int_option(int argc, char** argv, std::string_view name, int fallback);

}  // namespace benchmarks
