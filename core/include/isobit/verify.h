// Whether devices keep the bit contract: every kernel on every device, by every algorithm, in every way that
// may change no bit, held against the definition (the CPU's algorithm "reference"), bit by bit.
//
//   const verify::Report report = verify::run({.devices = {Device::cuda()}, .full = true});
//   fmt::print("{} equal, {} different\n", report.equal, report.different);
#pragma once
#include <isobit/device.h>
#include <isobit/random.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace isobit::verify {

/// Told after every kernel call that was looked at.
struct Progress {
  std::int64_t problems = 0, all_problems = 0;
  std::int64_t equal = 0, different = 0;
  double seconds = 0;
  std::string problem;  ///< what was run last
};

struct Options {
  std::vector<Device> devices;  ///< empty: all there are
  /// A file of convolutions (docs/verify.md): only those run. Empty: every kernel, with the convolutions that
  /// come with isobit.
  std::string shapes;
  Seed seed{1};  ///< of the random inputs
  /// Every algorithm in every way, every dtype of every problem. Else each algorithm in one way, chosen by
  /// the problem, and a part of the problems.
  bool full = false;
  std::string only;                  ///< if not empty: only problems whose name contains it
  std::vector<std::string> kernels;  ///< if not empty: only these kernels of the seam
  std::function<void(const Progress&)> progress = {};
  std::function<bool()> stop = {};  ///< asked before every problem: true ends the run
  /// If set: only problems to whose names it says yes.
  std::function<bool(const std::string&)> choose = {};
};

/// A comparison that failed.
struct Difference {
  std::string problem;  ///< "conv_forward f32 tail.txt:12 mb1ic3..."
  std::string device, algorithm, variant;
  std::string error;          ///< if not empty: what went wrong instead of a wrong value
  int output = 0;             ///< which result of the kernel
  std::int64_t index = 0;     ///< the first element that differs
  std::int64_t count = 0;     ///< how many differ
  std::int64_t numel = 0;     ///< of how many
  std::string got, expected;  ///< decimal and bits: "1.5 (0x3fc00000)"
  std::string command;        ///< repeats it
  std::string to_string() const;
};

/// Comparisons of one algorithm.
struct Tally {
  std::string device, kernel, algorithm;
  std::int64_t equal = 0, different = 0;
};

/// Problems that an algorithm did not serve, with its reason.
struct Skip {
  std::string device, kernel, algorithm, reason;
  std::int64_t problems = 0;
};

struct Report {
  std::vector<std::string> devices;
  std::int64_t problems = 0;  ///< kernel, dtype and operands
  std::int64_t equal = 0, different = 0;
  /// Problems that nothing on some device served but the definition itself, if even that.
  std::int64_t unserved = 0;
  bool stopped = false;  ///< Options::stop said so
  double seconds = 0;
  std::vector<Difference> differences;  ///< the first of each algorithm, 100 in all at most
  std::vector<Tally> tallies;
  std::vector<Skip> skips;
  std::int64_t cases() const { return equal + different; }
  /// All bits of everything that was asked for agree, every device served every problem, and something was
  /// compared on every device.
  bool ok() const;
};

/// Throws Error when an option is wrong: an unreadable or malformed shape file, an unknown kernel, a device
/// named twice, a filter that leaves nothing.
Report run(const Options& options);

/// For Options::choose: about one of `parts` parts of the problems, the `part`-th from 1 on, always the same.
/// Every problem is in one of them.
std::function<bool(const std::string&)> part_of(int part, int parts);

}  // namespace isobit::verify
