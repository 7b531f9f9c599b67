// Test cases as ONNX publishes them: a folder each, with model.onnx and test_data_set_N/input_K.pb and
// output_K.pb.
#pragma once
#include <isobit/device.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace isobit::cli::onnx {

struct Failure {
  std::string name, device, message;
};
struct Skip {
  std::string name, reason;
};

struct Report {
  std::int64_t passed = 0;        ///< on every device
  std::int64_t other = 0;         ///< cases of operators that isobit is not about
  std::vector<Failure> failures;  ///< one a case
  std::vector<Skip> skips;
  std::map<std::string, std::int64_t> operators;  ///< cases that passed, by operator
  double seconds = 0;
  bool stopped = false;

  std::int64_t failed() const { return static_cast<std::int64_t>(failures.size()); }
  /// Nothing failed and something ran.
  bool ok() const { return failures.empty() && passed > 0 && !stopped; }
};

struct Options {
  std::string folder;           ///< where cases are looked for, at any depth
  std::vector<Device> devices;  ///< a case passes when it does on each, by the same bits
  std::string only;             ///< cases with this text in their name
  std::function<bool()> stop;   ///< asked between cases
};

/// Throws Error when there is no such folder, or no case in it. A file that is damaged is a failure of its
/// case.
Report run(const Options& options);

}  // namespace isobit::cli::onnx
