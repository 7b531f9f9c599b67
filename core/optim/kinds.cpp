// The optimizers by name: how their options become the numbers of the seam.
#include "core/optim/optimizer.h"

namespace isobit::optim {
namespace {

GroupSpec spec(std::vector<Tensor> parameters, const SGDOptions& o) {
  OptimizerHyper h;
  h.lr = o.lr;
  h.momentum = o.momentum;
  h.nesterov = o.nesterov;
  h.weight_decay = o.weight_decay;
  return {std::move(parameters), h, o.momentum > 0, false};
}

template <class Options>  // AdamOptions, AdamWOptions
GroupSpec adam_spec(std::vector<Tensor> parameters, const Options& o) {
  OptimizerHyper h;
  h.lr = o.lr;
  h.beta1 = o.beta1;
  h.beta2 = o.beta2;
  h.eps = o.eps;
  h.weight_decay = o.weight_decay;
  return {std::move(parameters), h, true, true};
}
GroupSpec spec(std::vector<Tensor> parameters, const AdamOptions& o) {
  return adam_spec(std::move(parameters), o);
}
GroupSpec spec(std::vector<Tensor> parameters, const AdamWOptions& o) {
  return adam_spec(std::move(parameters), o);
}

GroupSpec spec(std::vector<Tensor> parameters, const RMSpropOptions& o) {
  OptimizerHyper h;
  h.lr = o.lr;
  h.beta2 = o.alpha;
  h.eps = o.eps;
  h.momentum = o.momentum;
  h.weight_decay = o.weight_decay;
  return {std::move(parameters), h, o.momentum > 0, true};
}

template <class Options>
std::vector<GroupSpec> specs(std::vector<Group<Options>> groups) {
  std::vector<GroupSpec> result;
  for (Group<Options>& group : groups) result.push_back(spec(std::move(group.parameters), group.options));
  return result;
}

}  // namespace

SGD::SGD(std::vector<Tensor> parameters, SGDOptions options)
    : Optimizer(make_body(OptimizerKind::sgd, {spec(std::move(parameters), options)})) {}
SGD::SGD(std::vector<Group<SGDOptions>> groups)
    : Optimizer(make_body(OptimizerKind::sgd, specs(std::move(groups)))) {}
Adam::Adam(std::vector<Tensor> parameters, AdamOptions options)
    : Optimizer(make_body(OptimizerKind::adam, {spec(std::move(parameters), options)})) {}
Adam::Adam(std::vector<Group<AdamOptions>> groups)
    : Optimizer(make_body(OptimizerKind::adam, specs(std::move(groups)))) {}
AdamW::AdamW(std::vector<Tensor> parameters, AdamWOptions options)
    : Optimizer(make_body(OptimizerKind::adamw, {spec(std::move(parameters), options)})) {}
AdamW::AdamW(std::vector<Group<AdamWOptions>> groups)
    : Optimizer(make_body(OptimizerKind::adamw, specs(std::move(groups)))) {}
RMSprop::RMSprop(std::vector<Tensor> parameters, RMSpropOptions options)
    : Optimizer(make_body(OptimizerKind::rmsprop, {spec(std::move(parameters), options)})) {}
RMSprop::RMSprop(std::vector<Group<RMSpropOptions>> groups)
    : Optimizer(make_body(OptimizerKind::rmsprop, specs(std::move(groups)))) {}

}  // namespace isobit::optim
