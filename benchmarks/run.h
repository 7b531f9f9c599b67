// A run of a benchmark: problems one after the other, a row each, then what they say together.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "benchmarks/measure.h"

namespace isobit::bench {

/// What every benchmark of the program is told.
struct RunOptions {
  Settings settings;
  std::string peers;  ///< "onednn,torch": see peer_command
  std::string only;   ///< if not empty: only rows with this text in their name
  std::string plot;   ///< if not empty: a picture of the rows goes to this PNG file
  bool json = false;  ///< the last line of standard output is one object; the rest goes to standard error
  std::function<bool()> stop = {};  ///< asked before every row: true ends the run
};

/// Problems that share tensors, made when their turn comes and gone after it.
using Group = std::function<std::vector<Problem>()>;

/// Where the arithmetic that is asked for has no speed here (fast mode on a processor without AMX, or on the
/// model of it): says so in place of a measurement, and that it did.
bool report_not_measured(const std::string& bench, const RunOptions& options);

/// Measures all, prints them, and returns the exit code: 0 when every result was verified, else 1. With a
/// forced algorithm, problems that it refuses are left out and named; throws the first Error when it refuses
/// all.
int run(const std::string& bench, const RunOptions& options, bool memory, const std::vector<Group>& groups);

}  // namespace isobit::bench
