// SoftmaxCrossEntropyLoss and NegativeLogLikelihoodLoss. ONNX has the classes in axis 1, isobit in the last.
// The plain mean is isobit's cross_entropy; weights, ignored labels and other reductions are put together
// from log_softmax, one_hot, gather, select and sums.
#include "cli/onnx/layout.h"

namespace isobit::cli::onnx {
namespace {

/// What both losses have beside their scores.
struct Target {
  Tensor labels;   ///< i64 [n, ...], 0 where they are ignored
  Tensor counts;   ///< bool, which are not ignored; undefined when all count
  Tensor weights;  ///< [c], may be undefined
  std::string reduction;
};

Target target_of(Call& call, const Tensor& scores) {
  Target t;
  const Tensor labels = call.input(1);
  if (labels.dtype() != DType::i64 && labels.dtype() != DType::i32)
    call.wrong("the labels are {}, expected i64 or i32", labels.dtype());
  if (scores.rank() < 2 || labels.shape() != scores.shape().without(1))
    call.wrong("scores {} and labels {}, expected [n, c, ...] and [n, ...]", scores.shape(), labels.shape());
  t.labels = labels.to(DType::i64);
  t.reduction = call.text("reduction", "mean");
  if (t.reduction != "none" && t.reduction != "sum" && t.reduction != "mean")
    call.wrong("reduction is '{}', expected none, sum or mean", t.reduction);
  t.weights = call.optional_input(2);
  if (t.weights.defined() &&
      (t.weights.shape() != Shape{scores.shape(1)} || t.weights.dtype() != scores.dtype()))
    call.wrong("weights {} {} for scores {} {}", t.weights.dtype(), t.weights.shape(), scores.dtype(),
               scores.shape());
  if (call.has("ignore_index")) {
    const Tensor ignored = full(Shape{}, call.integer("ignore_index", 0), {DType::i64, call.device()});
    t.counts = ne(t.labels, ignored);
    t.labels = select(t.counts, t.labels, zeros_like(t.labels));
  }
  return t;
}

/// `rows`: logarithms of probabilities [n, ..., c].
Tensor weighed(const Tensor& rows, const Target& t) {
  const TensorOptions options{rows.dtype(), rows.device()};
  const std::int64_t classes = rows.shape(-1);
  const Tensor label = t.labels.reshape({-1}), row = rows.reshape({-1, classes});
  const Tensor chosen = one_hot(label, classes, 1, 0, rows.dtype());
  const Tensor zero = zeros(Shape{}, options);
  const Tensor picked = sum(select(gt(chosen, zero), row, zero), {1});
  Tensor weight = t.weights.defined() ? gather(t.weights, label) : ones_like(picked);
  Tensor loss = neg(picked) * weight;
  if (t.counts.defined()) {  // what is ignored gives 0, whatever its score
    const Tensor counts = t.counts.reshape({-1});
    weight = select(counts, weight, zero);
    loss = select(counts, loss, zero);
  }
  if (t.reduction == "none") return loss.reshape(t.labels.shape());
  return t.reduction == "sum" ? sum(loss) : sum(loss) / sum(weight);
}

std::vector<Tensor> cross_entropy_node(Call& call) {
  const Tensor logits = floating(call, 0);
  const Target target = target_of(call, logits);
  const Tensor rows = channels_last(call, logits);
  const bool plain = target.reduction == "mean" && !target.weights.defined() && !target.counts.defined();
  std::vector<Tensor> results;
  if (plain) results.push_back(cross_entropy(rows, target.labels));
  if (plain && !call.wants_output(1)) return results;
  const Tensor logs = log_softmax(rows);
  if (!plain) results.push_back(weighed(logs, target));
  results.push_back(channels_first(logs));
  return results;
}

std::vector<Tensor> nll_node(Call& call) {
  const Tensor logs = floating(call, 0);
  const Target target = target_of(call, logs);
  return {weighed(channels_last(call, logs), target)};
}

}  // namespace

std::span<const Operator> loss_operators() {
  static constexpr Operator all[] = {{"SoftmaxCrossEntropyLoss", cross_entropy_node},
                                     {"NegativeLogLikelihoodLoss", nll_node}};
  return all;
}

}  // namespace isobit::cli::onnx
