// Activations, softmax, norms, losses.
#include "tests/differential/case.h"

namespace isobit::differential {
namespace {

Tensor run_activation(const Case& c) {
  const Tensor& x = c.tensor("x");
  switch (c.activation()) {
    case Activate::none:
      return x.clone();
    case Activate::relu:
      return relu(x);
    case Activate::leaky_relu:
      return leaky_relu(x, 0.125);  // as in common.py
    case Activate::silu:
      return silu(x);
    case Activate::sigmoid:
      return sigmoid(x);
    case Activate::tanh:
      return tanh(x);
    case Activate::gelu:
      return gelu(x);
  }
  return {};
}

Tensor run_softmax(const Case& c) {
  return softmax(c.tensor("x"));
}
Tensor run_log_softmax(const Case& c) {
  return log_softmax(c.tensor("x"));
}

NormOptions norm_options(const Case& c) {
  return {.eps = c.number("eps")};
}
Tensor run_batch_norm(const Case& c) {
  return batch_norm(c.tensor("x"), c.optional("gamma"), c.optional("beta"), norm_options(c)).y;
}
Tensor run_batch_norm_inference(const Case& c) {
  return batch_norm_inference(c.tensor("x"), c.optional("gamma"), c.optional("beta"), c.tensor("mean"),
                              c.tensor("variance"), norm_options(c));
}
Tensor run_layer_norm(const Case& c) {
  return layer_norm(c.tensor("x"), c.optional("gamma"), c.optional("beta"), norm_options(c));
}
Tensor run_group_norm(const Case& c) {
  return group_norm(c.tensor("x"), c.integer("groups"), c.optional("gamma"), c.optional("beta"),
                    norm_options(c));
}
Tensor run_local_response_norm(const Case& c) {
  return local_response_norm(
      c.tensor("x"), c.integer("size"),
      {.alpha = c.number("alpha"), .beta = c.number("exponent"), .bias = c.number("shift")});
}

Tensor run_cross_entropy(const Case& c) {
  return cross_entropy(c.tensor("x"), c.tensor("labels"), {.label_smoothing = c.number("smoothing")});
}
Tensor run_cross_entropy_probabilities(const Case& c) {
  return cross_entropy(c.tensor("x"), c.tensor("target"), {.label_smoothing = c.number("smoothing")});
}
Tensor run_mse(const Case& c) {
  return mse(c.tensor("x"), c.tensor("target"));
}

}  // namespace

void add_rows(Functions& table) {
  table["activation"] = run_activation;
  table["softmax"] = run_softmax;
  table["log_softmax"] = run_log_softmax;
  table["batch_norm"] = run_batch_norm;
  table["batch_norm_inference"] = run_batch_norm_inference;
  table["layer_norm"] = run_layer_norm;
  table["group_norm"] = run_group_norm;
  table["local_response_norm"] = run_local_response_norm;
  table["cross_entropy"] = run_cross_entropy;
  table["cross_entropy_probabilities"] = run_cross_entropy_probabilities;
  table["mse"] = run_mse;
}

}  // namespace isobit::differential
