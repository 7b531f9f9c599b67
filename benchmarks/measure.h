// What is measured and how: one problem at a time, ours and the peers' in turns, beside a verified result.
#pragma once
#include <isobit/arithmetic.h>
#include <isobit/device_limits.h>
#include <isobit/tensor.h>

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "benchmarks/operand.h"
#include "benchmarks/peer.h"
#include "benchmarks/statistics.h"

namespace isobit::bench {

/// How to measure; the same for all rows of a run.
struct Settings {
  Device device;
  int threads = 1;
  Math math = Math::exact;
  std::string algorithm;  ///< if not empty: forced for the problem's kernel
  /// Algorithms of the device that are peers: they run beside ours in this process, in `math`, or where that
  /// is exact in Math::fast.
  std::vector<std::string> rivals;
  bool cached = false;  ///< also with weights that do not change between calls
  /// Our calls (and rivals') find nothing in the device's second-level cache: it is overwritten before each,
  /// outside of the time. A GPU's alone.
  bool cold = false;
  int rounds = 7;              ///< turns of each side, at least 3 ...
  double turn_seconds = 0.02;  ///< how long a turn is at least
  double row_seconds = 8;      ///< ... but no more of them when a row takes longer than this
  /// One thread on the CPU is timed by processor time, else the wall counts (a device's own clock elsewhere).
  bool by_processor_time() const { return threads == 1 && device == Device::cpu(); }
};

/// What the machine can do at most, measured in this process with the same number of threads.
struct Machine {
  double peak_gflops = 0;    ///< f32 multiply-adds from registers; 0 where it is not known
  double bandwidth_gbs = 0;  ///< streams from memory to other memory
  double update_gbs = 0;     ///< streams that overwrite what they read
  /// Of a GPU, every unit that it has, f32 among them (isobit/device_limits.h); empty for the CPU.
  std::vector<DeviceLimits::Unit> units;
  std::int64_t cache_bytes = 0;  ///< of a GPU's second-level cache; 0: not known
  bool emulated = false;         ///< its times say nothing of a GPU
  /// Measures on the settings' device, and keeps the best that was seen: a busy machine is slower now than it
  /// was, or will be.
  void measure(const Settings& settings, int peak_rounds, int bandwidth_rounds);
  /// The unit whose peak shares are of: on a GPU that of the arithmetic ("tf32" of fast f32, "f64"), where it
  /// is known, else "f32".
  std::string unit_of(DType dtype, Math math) const;
  double peak_of(const std::string& unit) const;  ///< GFLOP/s; 0 where it is not known
};

/// What the definition says of a result.
struct Verdict {
  bool equal = false;         ///< or, of fast mode, within its bound
  std::int64_t elements = 0;  ///< that were compared, bit by bit
  double share = -1;          ///< of the bound that an element uses at most; below 0: bits were compared
};

/// One row: ours, and what peers are told.
struct Problem {
  std::string name, direction;
  std::int64_t batch = 0;
  DType dtype = DType::f32;
  double flops = 0;       ///< of a call; 0: only memory counts
  double bytes = 0;       ///< that a call reads and writes at least
  bool in_place = false;  ///< what it writes it has read
  /// Of the seam: the one that the time is of, and that a forced algorithm is for; empty: several alike.
  std::string kernel;
  std::function<Tensor()> call;      ///< ours
  std::function<void()> touch = {};  ///< marks the weights as changed; empty: no weights take part
  std::function<Verdict(const Tensor&)> verify;
  /// What a peer's result is held against, if not the result of a call.
  std::function<Tensor()> expected = {};
  std::vector<std::shared_ptr<Operand>> inputs;
  nlohmann::json question;  ///< to peers: the op and its parameters
};

/// What one peer makes of a problem.
struct PeerRow {
  std::string label, name;
  std::string why;                      ///< if not empty: no time, for this reason
  std::string variant, implementation;  ///< the fastest of those it has
  Spread seconds;
  double ratio = 0;  ///< its time / ours, median over the pairs
  double error = 0;  ///< relative_error of its result
  Spread cached_seconds;
  double cached_ratio = 0;
};

struct Row {
  std::string name, direction, algorithm;
  std::int64_t batch = 0;
  DType dtype = DType::f32;
  Math math = Math::exact;
  double flops = 0, bytes = 0;
  bool in_place = false;
  Spread seconds;
  int rounds = 0;
  double first_seconds = 0;      ///< wall time of the first call
  std::int64_t peak_memory = 0;  ///< bytes that a call needs beside its inputs
  Verdict verdict;
  std::vector<PeerRow> peers;
  Spread cached_seconds;   ///< weights unchanged; median 0: not measured
  Spread exact_seconds;    ///< of fast mode on the CPU: what exact arithmetic takes; median 0: not measured
  double exact_ratio = 0;  ///< that / ours, median over the pairs

  double gflops() const { return seconds.median > 0 ? flops / seconds.median * 1e-9 : 0; }
  double gbs() const { return seconds.median > 0 ? bytes / seconds.median * 1e-9 : 0; }
  /// Shares of what the machine can do; 0 where that is not known or nothing is computed.
  double percent_of_peak(const Machine& machine) const;
  double percent_of_bandwidth(const Machine& machine) const;
  /// The peer with the least time; null when none has one.
  const PeerRow* best() const;
  const PeerRow* best_cached() const;
};

/// Throws Error when our own side fails; what fails with a peer is said in its row.
Row measure(const Problem& problem, const Settings& settings,
            const std::vector<std::unique_ptr<Peer>>& peers);

/// Takes the names of Settings::rivals, cudnn and cublaslt, out of a comma-separated list of peers.
std::vector<std::string> take_rivals(std::string& list);

/// Starts the peers of a comma-separated list; says on stderr which are missing and why, and drops them.
std::vector<std::unique_ptr<Peer>> start_peers(const std::string& list, const Settings& settings);

}  // namespace isobit::bench
