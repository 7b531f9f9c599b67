// BatchNormalization, InstanceNormalization, GroupNormalization, LayerNormalization, LRN.
#include <isobit/ops_image.h>

#include "cli/onnx/layout.h"

namespace isobit::cli::onnx {
namespace {

constexpr double usual_epsilon = 1e-5;

NormOptions norm_options(Call& call) {
  NormOptions options;
  options.eps = call.real("epsilon", usual_epsilon);
  return options;
}

std::vector<Tensor> batch_norm_node(Call& call) {
  const Tensor x = floating(call, 0), gamma = floating(call, 1), beta = floating(call, 2),
               mean = floating(call, 3), variance = floating(call, 4);
  const NormOptions options = norm_options(call);
  const double momentum = call.real("momentum", 0.9);
  call.ignore({"is_test", "consumed_inputs"});
  if (call.version() < 9 && call.integer("spatial", 1) == 0) call.lacks("statistics per position");
  const bool training = call.version() >= 14 && call.integer("training_mode", 0) != 0;
  const Tensor rows = channels_last(call, x);
  if (!training) return {channels_first(batch_norm_inference(rows, gamma, beta, mean, variance, options))};
  const BatchNormResult result = batch_norm(rows, gamma, beta, options);
  const auto running = [&](const Tensor& old, const Tensor& batch) {
    return mul_scalar(old, momentum) + mul_scalar(batch, 1 - momentum);
  };
  return {channels_first(result.y), running(mean, result.mean), running(variance, result.variance)};
}

std::vector<Tensor> instance_norm_node(Call& call) {
  const Tensor x = floating(call, 0), gamma = floating(call, 1), beta = floating(call, 2);
  call.ignore({"consumed_inputs"});
  const Tensor rows = channels_last(call, x);
  return {channels_first(instance_norm(rows, gamma, beta, norm_options(call)))};
}

/// Until operator set 20 gamma and beta are one for each group, from then on one for each channel.
Tensor per_channel(Call& call, const Tensor& t, std::int64_t groups, std::int64_t channels) {
  if (call.version() >= 21) return t;
  if (t.rank() != 1 || t.shape(0) != groups)
    call.wrong("scale or bias is {} for {} groups", t.shape(), groups);
  return broadcast_to(t.reshape({groups, 1}), Shape{groups, channels / groups}).reshape({-1});
}

std::vector<Tensor> group_norm_node(Call& call) {
  const Tensor x = floating(call, 0), gamma = floating(call, 1), beta = floating(call, 2);
  const std::int64_t groups = call.integer("num_groups", 0);
  if (call.integer("stash_type", 1) != 1) call.lacks("stash_type other than FLOAT");
  const Tensor rows = channels_last(call, x);
  const std::int64_t channels = x.shape(1);
  if (groups < 1 || channels % groups != 0) call.wrong("{} groups of {} channels", groups, channels);
  return {channels_first(group_norm(rows, groups, per_channel(call, gamma, groups, channels),
                                    per_channel(call, beta, groups, channels), norm_options(call)))};
}

/// isobit normalises the last axis: those from `axis` on are made one.
std::vector<Tensor> layer_norm_node(Call& call) {
  const Tensor x = floating(call, 0), gamma = floating(call, 1), beta = call.optional_input(2);
  const int axis = axis_in(call, call.integer("axis", -1), x.rank());
  if (call.integer("stash_type", 1) != 1) call.lacks("stash_type other than FLOAT");
  const NormOptions options = norm_options(call);
  const Shape outer = x.shape().sub(0, axis), inner = x.shape().sub(axis, x.rank());
  const Tensor rows = x.reshape({outer.numel(), inner.numel()});
  const auto flat = [&](const Tensor& t) {
    return t.defined() ? broadcast_to(t, inner).reshape({inner.numel()}) : t;
  };
  std::vector<Tensor> results{layer_norm(rows, flat(gamma), flat(beta), options).reshape(x.shape())};
  if (call.wants_output(1) || call.wants_output(2)) {
    Shape kept = x.shape();
    for (int i = axis; i < x.rank(); ++i) kept = kept.with(i, 1);
    const Tensor centre = mean(rows, {1}, true);
    const Tensor variance = mean(square(rows - centre), {1}, true);
    results.push_back(centre.reshape(kept));
    results.push_back(reciprocal(sqrt(add_scalar(variance, options.eps))).reshape(kept));
  }
  return results;
}

std::vector<Tensor> lrn_node(Call& call) {
  const Tensor x = floating(call, 0);
  LocalResponseOptions options;
  options.alpha = call.real("alpha", 1e-4);
  options.beta = call.real("beta", 0.75);
  options.bias = call.real("bias", 1);
  const std::int64_t size = call.integer("size", 0);
  return {channels_first(local_response_norm(channels_last(call, x), size, options))};
}

}  // namespace

std::span<const Operator> norm_operators() {
  static constexpr Operator all[] = {{"BatchNormalization", batch_norm_node},
                                     {"InstanceNormalization", instance_norm_node},
                                     {"GroupNormalization", group_norm_node},
                                     {"LayerNormalization", layer_norm_node},
                                     {"LRN", lrn_node}};
  return all;
}

}  // namespace isobit::cli::onnx
