// How well a classifier does: accuracy, mean loss, confusion matrix.
#pragma once
#include <isobit/batches.h>
#include <isobit/nn_module.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace isobit::nn {

/// Counts of (true class, predicted class).
class Confusion {
 public:
  explicit Confusion(std::vector<std::string> classes);
  /// Throws Error on a class outside.
  void add(std::int64_t truth, std::int64_t predicted, std::int64_t count = 1);
  std::int64_t count(std::int64_t truth, std::int64_t predicted) const;
  std::int64_t total() const;
  std::int64_t correct() const;
  /// correct / total; 0 when empty.
  double accuracy() const;
  /// Of all samples of a class the share that was recognised; 0 for a class without samples.
  double recall(std::int64_t c) const;
  const std::vector<std::string>& classes() const { return classes_; }
  /// A table: a line per true class, a column per predicted class (by number), and the class's recall.
  std::string to_string() const;

 private:
  std::vector<std::string> classes_;
  std::vector<std::int64_t> counts_;
};

struct Evaluation {
  double accuracy = 0;
  double loss = 0;  ///< mean cross entropy; f64 sum in the order of the batches
  std::int64_t samples = 0;
  Confusion confusion;
};

struct EvaluateOptions {
  std::int64_t batch = 256;
  data::Normalise normalise = {};                        ///< the one of training
  std::function<void(std::int64_t done)> progress = {};  ///< called after each batch
};

/// Runs `net` over the dataset, in order, in evaluation mode (restored afterwards), recording nothing. The
/// output must be logits [n, classes]: Error otherwise, or when the dataset is empty.
Evaluation evaluate(const Layer& net, const data::Dataset& dataset, const EvaluateOptions& options = {});
double accuracy(const Layer& net, const data::Dataset& dataset, const EvaluateOptions& options = {});

}  // namespace isobit::nn

namespace isobit {
using nn::accuracy;
}
