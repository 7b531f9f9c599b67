// Peers: other libraries, each in a process of its own, driven over a pipe by a line of JSON for a line of
// JSON (docs/benchmarks.md has the protocol), so that both sides can take turns within one run.
#pragma once
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include <sys/types.h>

namespace isobit::bench {

class Peer {
 public:
  /// Starts `command` for `threads` threads; its first line must be {"ready": "PyTorch 2.15.0"}. When it
  /// cannot be had, available() is false and why() says in a sentence what is missing.
  Peer(std::string label, const std::vector<std::string>& command, int threads);
  ~Peer();
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  bool available() const { return process_ > 0; }
  const std::string& label() const { return label_; }  ///< "torch"
  const std::string& name() const { return name_; }    ///< "PyTorch 2.15.0"
  const std::string& why() const { return why_; }

  /// Sends a line and waits for the answer, an object. Throws Error when the peer has died (it is not
  /// available afterwards), answers nonsense, or answers {"error": "..."}.
  nlohmann::json ask(const nlohmann::json& question);

 private:
  bool read_line(std::string& line);
  void stop();
  pid_t process_ = -1;
  int to_ = -1, from_ = -1;
  std::string pending_, label_, name_, why_;
};

/// The command of a peer by its name: "torch", "onednn", "openblas", "plain", or the path of a program that
/// speaks the protocol. Throws Error for other names; `why` receives what is missing when this build has no
/// such peer (the command is then empty).
std::vector<std::string> peer_command(const std::string& name, std::string& why);

/// Where this build keeps the shape files and the peers' scripts.
std::string source_folder();

}  // namespace isobit::bench
