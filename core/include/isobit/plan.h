// Plans: which algorithm serves a problem, found by timing on this machine and kept in a file that can be
// read, compared and shipped.
//
//   {
//     const PlanScope plan("resnet.plan", PlanUse::time);   // what the file lacks is timed at its first call
//     train(...);
//   }                                                       // written here
//   const PlanScope plan("resnet.plan");                    // later, or elsewhere: runs what it says
//
// ISOBIT_PLAN=resnet.plan in the environment is PlanUse::time for a whole process. Without a plan the first
// algorithm that does not refuse a problem serves it (isobit/algorithms.h).
//
// A plan holds convolutions, their gradients and matrix products. In exact arithmetic no plan changes a bit
// of any result. In fast mode (isobit/arithmetic.h) algorithms differ in the order of their sums, so timing
// anew may change results within their bound; with PlanUse::read the same plan gives the same bits on the
// same chip.
//
// The file is text, a line for each problem, sorted:
//
//   isobit plan 1
//
//   [cpu: AMD EPYC, avx512, 2 threads]
//   exact conv_forward mb1g1ic64oc8ih56... f32[200704] f32[4608] plain f32[25088] | over_space 41.2,
//   implicit_gemm 96.0
//
// In brackets what the timings were taken on: lines of other machines, instruction sets and numbers of
// threads are kept and not looked at. Then the arithmetic, the kernel, the problem with its element types and
// layout (tensors lie dense as n h w c; of a product the transpositions are named), and microseconds a call:
// the first algorithm of a line runs, so a line edited by hand is obeyed. Every algorithm repeats its own
// bits, in fast mode too; one that did not could not be listed.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace isobit {

enum class PlanUse : std::uint8_t {
  read,  ///< problems that the plan lacks are served as without it; the file is never written
  time   ///< they are timed and added; also those whose algorithm is gone or refuses
};

/// A line of a plan.
struct PlanLine {
  struct Timing {
    std::string algorithm;
    double microseconds = 0;
  };
  std::string device, math, kernel, problem;
  std::vector<Timing> timings;  ///< the first is the one that runs
};

namespace plans {
class Plan;
}

/// While alive, all threads choose by this plan; of nested ones the innermost counts.
class PlanScope {
 public:
  /// Reads the file; with PlanUse::time it may be missing. Throws Error that names the line of a file that is
  /// not a plan. While it lives, a call whose line names an algorithm that is not there or refuses throws
  /// Error with PlanUse::read.
  explicit PlanScope(std::string path, PlanUse use = PlanUse::read);
  /// As save(), but says on stderr when that fails.
  ~PlanScope();
  PlanScope(const PlanScope&) = delete;
  PlanScope& operator=(const PlanScope&) = delete;

  /// Writes the file if anything was timed since: lines that another process has added meanwhile stay. Whole
  /// or not at all; throws Error when it cannot be written.
  void save();
  /// All lines, sorted as in the file.
  std::vector<PlanLine> lines() const;
  /// Problems timed since the file was read.
  std::int64_t timed() const;

 private:
  std::shared_ptr<plans::Plan> plan_;
};

/// The lines of a plan. Throws Error that names the line that is wrong.
std::vector<PlanLine> read_plan(const std::string& path);
/// The text of a plan; lines are sorted, and of two for the same problem the later stands.
std::string to_text(std::vector<PlanLine> lines);

}  // namespace isobit
