// Runs problems and keeps the books: a family of problems (core/verify/families.h) opens one after another,
// gives operands and the call, and the suite runs it on all devices and compares.
#pragma once
#include <isobit/verify.h>

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "core/verify/array.h"

namespace isobit::verify {

/// A problem's operands on one device.
struct Operands {
  std::vector<ConstView> in;
  std::vector<View> out;
};
/// Calls the kernel.
using Call = std::function<void(Backend&, const Operands&)>;

class Suite;

/// One problem: a kernel, its operands, and what is asked of it.
class Case {
 public:
  /// Random elements of this problem's own.
  HostArray random(DType dtype, std::int64_t numel, Values values = Values::plain);
  Case& in(DType dtype, std::int64_t numel, Values values = Values::plain);
  Case& in(HostArray array);
  /// A poisoned result.
  Case& out(DType dtype, std::int64_t numel);
  /// An operand that the kernel changes.
  Case& out(HostArray array);
  /// Runs the definition, then every algorithm of every device, and compares.
  void run(const Call& call);

  const std::string& name() const { return name_; }
  /// A number that belongs to the problem: which bias, which activation.
  std::uint64_t hash() const { return hash_; }

 private:
  friend class Suite;
  friend class Round;
  Case(Suite& suite, std::string kernel, std::string name);
  Suite& suite_;
  std::string kernel_, name_;
  std::uint64_t hash_, arrays_ = 0;
  std::vector<HostArray> in_, out_;
};

class Suite {
 public:
  /// Takes the options as proven; `devices` is what they come to.
  Suite(const Options& options, std::vector<Device> devices);
  Suite(const Suite&) = delete;
  Suite& operator=(const Suite&) = delete;

  /// The next problem, if the options let it in; valid until the next call. `full_only` problems are left out
  /// of quick runs.
  Case* open(const char* kernel, DType dtype, const std::string& problem, bool full_only = false);
  bool full() const { return options_.full; }
  Seed seed() const { return options_.seed; }
  /// Problems are counted and none is run: to know what there is to do.
  void only_count(bool on) { only_count_ = on; }
  std::int64_t counted() const { return counted_; }

  Report take_report();

 private:
  friend class Case;
  friend class Round;
  struct Failures {
    int in_a_row = 0;
    bool given_up = false;
  };
  void tell(const Case& one);
  void add(Tally& tally, std::optional<Difference> difference);
  void skip(const std::string& device, const std::string& kernel, const std::string& algorithm,
            const std::string& reason);
  Tally& tally(const std::string& device, const std::string& kernel, const std::string& algorithm);
  std::string command(const Case& one, const std::string& device) const;

  Options options_;
  std::vector<Device> devices_;
  bool only_count_ = false;
  bool exactly_ =
      false;  // Options::only is the whole name of a problem: those of which it is a part are left out
  std::int64_t counted_ = 0, all_ = 0;
  std::optional<Case> case_;
  Report report_;
  std::map<std::tuple<std::string, std::string, std::string>, Tally> tallies_;
  std::map<std::tuple<std::string, std::string, std::string, std::string>, std::int64_t> skips_;
  std::map<int, Failures> failures_;  // by device
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace isobit::verify
