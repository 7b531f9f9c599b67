// Accuracy, loss and confusion of a classifier over a dataset.
#include <isobit/autograd.h>
#include <isobit/nn_evaluate.h>
#include <isobit/ops.h>

#include <algorithm>

#include "core/nn/evaluation_mode.h"

namespace isobit::nn {

Confusion::Confusion(std::vector<std::string> classes)
    : classes_(std::move(classes)), counts_(classes_.size() * classes_.size()) {}

void Confusion::add(std::int64_t truth, std::int64_t predicted, std::int64_t count) {
  const auto n = static_cast<std::int64_t>(classes_.size());
  if (truth < 0 || truth >= n || predicted < 0 || predicted >= n)
    fail("confusion", "class {} taken for {}: there are {} classes", truth, predicted, n);
  counts_[static_cast<std::size_t>(truth * n + predicted)] += count;
}

std::int64_t Confusion::count(std::int64_t truth, std::int64_t predicted) const {
  const auto n = static_cast<std::int64_t>(classes_.size());
  if (truth < 0 || truth >= n || predicted < 0 || predicted >= n)
    fail("confusion", "class {} taken for {}: there are {} classes", truth, predicted, n);
  return counts_[static_cast<std::size_t>(truth * n + predicted)];
}

std::int64_t Confusion::total() const {
  std::int64_t sum = 0;
  for (std::int64_t c : counts_) sum += c;
  return sum;
}

std::int64_t Confusion::correct() const {
  std::int64_t sum = 0;
  for (std::size_t c = 0; c < classes_.size(); ++c) sum += counts_[c * classes_.size() + c];
  return sum;
}

double Confusion::accuracy() const {
  const std::int64_t all = total();
  return all ? static_cast<double>(correct()) / static_cast<double>(all) : 0;
}

double Confusion::recall(std::int64_t c) const {
  std::int64_t row = 0;
  for (std::size_t p = 0; p < classes_.size(); ++p) row += count(c, static_cast<std::int64_t>(p));
  return row ? static_cast<double>(count(c, c)) / static_cast<double>(row) : 0;
}

std::string Confusion::to_string() const {
  std::size_t name_width = 10, width = 2;
  for (const std::string& name : classes_) name_width = std::max(name_width, name.size());
  name_width = std::min<std::size_t>(name_width, 24);
  width = std::max(width, std::to_string(classes_.size()).size());
  for (std::int64_t c : counts_) width = std::max(width, std::to_string(c).size());
  std::string text = fmt::format("{:>{}}  {:<{}} │", "", 3, "true class", name_width);
  for (std::size_t c = 0; c < classes_.size(); ++c) text += fmt::format(" {:>{}}", c, width);
  text += " │ recognised\n";
  for (std::size_t c = 0; c < classes_.size(); ++c) {
    text += fmt::format("{:>3}  {:<{}.{}} │", c, classes_[c], name_width, name_width);
    for (std::size_t p = 0; p < classes_.size(); ++p) {
      const std::int64_t n = counts_[c * classes_.size() + p];
      text += fmt::format(" {:>{}}", n ? std::to_string(n) : "·", width);
    }
    text += fmt::format(" │ {:>9.1f}%\n", 100 * recall(static_cast<std::int64_t>(c)));
  }
  return text;
}

Evaluation evaluate(const Layer& net, const data::Dataset& dataset, const EvaluateOptions& options) {
  dataset.check();
  if (dataset.size() == 0) fail("evaluate", "the dataset {} is empty", dataset.name);
  const NetworkState& state = net.state();
  NoGrad no_grad;
  EvaluationMode mode(net);
  data::BatchOptions order;
  order.shuffle = false;
  order.normalise = options.normalise;
  order.dtype = state.dtype;
  Evaluation result{0, 0, 0, Confusion(dataset.classes)};
  const auto classes = static_cast<std::int64_t>(dataset.classes.size());
  double loss = 0;
  for (const data::Batch& batch : data::Batches(dataset, options.batch, Seed{}, state.device, order)) {
    const Tensor logits = net(batch.images);
    if (logits.rank() != 2 || logits.shape(0) != batch.size() || logits.shape(1) != classes)
      fail("evaluate", "{} gives {} for {} samples, expected logits [{},{}]", net.module().kind(),
           logits.shape(), batch.size(), batch.size(), classes);
    loss += cross_entropy(logits, batch.labels).item() * static_cast<double>(batch.size());
    const auto predicted = argmax(logits, {1}).to_vector<std::int64_t>();
    const auto truth = batch.labels.to_vector<std::int64_t>();
    for (std::size_t i = 0; i < truth.size(); ++i) result.confusion.add(truth[i], predicted[i]);
    result.samples += batch.size();
    if (options.progress) options.progress(result.samples);
  }
  result.loss = loss / static_cast<double>(result.samples);
  result.accuracy = result.confusion.accuracy();
  return result;
}

double accuracy(const Layer& net, const data::Dataset& dataset, const EvaluateOptions& options) {
  return evaluate(net, dataset, options).accuracy;
}

}  // namespace isobit::nn
