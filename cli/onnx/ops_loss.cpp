// SoftmaxCrossEntropyLoss and NegativeLogLikelihoodLoss. ONNX has the classes in axis 1, isobit in the last.
#include "cli/onnx/layout.h"

namespace isobit::cli::onnx {
namespace {

std::vector<Tensor> cross_entropy_node(Call& call) {
  const Tensor logits = floating(call, 0), target = call.input(1);
  const std::string reduction = call.text("reduction", "mean");
  if (reduction != "mean") call.lacks(fmt::format("reduction '{}'", reduction));
  if (call.has("ignore_index")) call.lacks("ignored labels");
  if (call.optional_input(2).defined()) call.lacks("weights of classes");
  const Tensor rows = channels_last(call, logits);
  std::vector<Tensor> results{cross_entropy(rows, target.to(DType::i64))};
  if (call.wants_output(1)) results.push_back(channels_first(log_softmax(rows)));
  return results;
}

std::vector<Tensor> nll_node(Call& call) {
  call.lacks("form yet");
}

}  // namespace

std::span<const Operator> loss_operators() {
  static constexpr Operator all[] = {{"SoftmaxCrossEntropyLoss", cross_entropy_node},
                                     {"NegativeLogLikelihoodLoss", nll_node}};
  return all;
}

}  // namespace isobit::cli::onnx
