// BatchNorm, LayerNorm, GroupNorm, InstanceNorm, LocalResponseNorm: parameters and running statistics around
// the norms of isobit/ops.h.
#include <isobit/autograd.h>
#include <isobit/nn_layers.h>

#include "core/geometry.h"
#include "core/nn/layer_fields.h"

namespace isobit::nn {
namespace {

std::int64_t channels_of(const char* layer, const Shape& in) {
  if (in.rank() < 1) fail("nn", "{} needs samples [..., c], got {}", layer, in);
  return in[-1];
}

void need_eps(const char* layer, double eps) {
  if (!(eps >= 0) || eps - eps != 0) fail(layer, "eps is {}, it must be finite and not negative", eps);
}

Plan affine_plan(const char* layer, const Shape& in, bool affine) {
  const std::int64_t c = channels_of(layer, in);
  Plan plan;
  plan.output = in;
  if (affine)
    plan.parameters = {{"gamma", Shape{c}, ones(), {}, true}, {"beta", Shape{c}, zeros(), {}, true}};
  return plan;
}

class BatchNormModule final : public Module {
 public:
  explicit BatchNormModule(BatchNormOptions options) : options_(options) {
    need_eps("BatchNorm", options.eps);
    if (!(options.momentum >= 0 && options.momentum <= 1))
      fail("BatchNorm", "momentum is {}, expected a share in [0, 1]", options.momentum);
  }
  std::string kind() const override { return "BatchNorm"; }
  std::optional<OptionList> option_list() const override { return option_list_of(options_); }
  Plan plan(const Shape& in) const override {
    Plan plan = affine_plan("BatchNorm", in, options_.affine);
    const Shape c{in[-1]};
    plan.buffers = {{"running_mean", c, zeros(), {}, true}, {"running_variance", c, ones(), {}, true}};
    return plan;
  }
  std::optional<GivenNorm> given_norm() override {
    if (training() || !built()) return std::nullopt;
    return GivenNorm{gamma(), beta(), buffer(0), buffer(1), options_.eps};
  }
  Tensor forward(const Tensor& x) override {
    const Tensor gamma = this->gamma(), beta = this->beta();
    if (!training()) return batch_norm_inference(x, gamma, beta, buffer(0), buffer(1), {options_.eps});
    BatchNormResult result = batch_norm(x, gamma, beta, {options_.eps});
    NoGrad no_grad;
    record(buffer(0), result.mean);
    record(buffer(1), result.variance);
    return result.y;
  }

 private:
  Tensor gamma() const { return options_.affine ? parameter(0) : Tensor(); }
  Tensor beta() const { return options_.affine ? parameter(1) : Tensor(); }
  void record(Tensor& running, const Tensor& batch) const {
    running.copy_from(add(mul_scalar(running, 1 - options_.momentum), mul_scalar(batch, options_.momentum)));
  }
  BatchNormOptions options_;
};

class LayerNormModule final : public Module {
 public:
  explicit LayerNormModule(LayerNormOptions options) : options_(options) {
    need_eps("LayerNorm", options.eps);
  }
  std::string kind() const override { return "LayerNorm"; }
  std::optional<OptionList> option_list() const override { return option_list_of(options_); }
  Plan plan(const Shape& in) const override { return affine_plan("LayerNorm", in, options_.affine); }
  Tensor forward(const Tensor& x) override {
    return layer_norm(x, options_.affine ? parameter(0) : Tensor(), options_.affine ? parameter(1) : Tensor(),
                      {options_.eps});
  }

 private:
  LayerNormOptions options_;
};

class GroupNormModule final : public Module {
 public:
  GroupNormModule(std::int64_t groups, LayerNormOptions options) : groups_(groups), options_(options) {
    need_eps("GroupNorm", options.eps);
    if (groups < 1) fail("GroupNorm", "{} groups: there must be at least 1", groups);
  }
  std::string kind() const override { return "GroupNorm"; }
  std::optional<OptionList> option_list() const override {
    return option_list_of("groups", groups_, options_);
  }
  std::string describe() const override { return fmt::format("GroupNorm({})", groups_); }
  Plan plan(const Shape& in) const override {
    const std::int64_t c = channels_of("GroupNorm", in);
    if (c % groups_ != 0) fail("GroupNorm", "{} channels cannot be shared out to {} groups", c, groups_);
    return affine_plan("GroupNorm", in, options_.affine);
  }
  Tensor forward(const Tensor& x) override {
    return group_norm(x, groups_, options_.affine ? parameter(0) : Tensor(),
                      options_.affine ? parameter(1) : Tensor(), {options_.eps});
  }

 private:
  std::int64_t groups_;
  LayerNormOptions options_;
};

class InstanceNormModule final : public Module {
 public:
  explicit InstanceNormModule(LayerNormOptions options) : options_(options) {
    need_eps("InstanceNorm", options.eps);
  }
  std::string kind() const override { return "InstanceNorm"; }
  std::optional<OptionList> option_list() const override { return option_list_of(options_); }
  Plan plan(const Shape& in) const override {
    if (channels_of("InstanceNorm", in) < 1)
      fail("InstanceNorm", "samples {} have no channels, expected at least 1", in);
    return affine_plan("InstanceNorm", in, options_.affine);
  }
  Tensor forward(const Tensor& x) override {
    return instance_norm(x, options_.affine ? parameter(0) : Tensor(),
                         options_.affine ? parameter(1) : Tensor(), {options_.eps});
  }

 private:
  LayerNormOptions options_;
};

class LocalResponseNormModule final : public Module {
 public:
  LocalResponseNormModule(std::int64_t size, LocalResponseOptions options) : size_(size), options_(options) {
    make_local_response_geometry("LocalResponseNorm", Shape{1}, size,
                                 options);  // throws if they are not legal
  }
  std::string kind() const override { return "LocalResponseNorm"; }
  std::optional<OptionList> option_list() const override { return option_list_of("size", size_, options_); }
  std::string describe() const override { return fmt::format("LocalResponseNorm({})", size_); }
  Plan plan(const Shape& in) const override {
    if (channels_of("LocalResponseNorm", in) < 1)
      fail("LocalResponseNorm", "samples {} have no channels, expected at least 1", in);
    Plan plan;
    plan.output = in;
    return plan;
  }
  Tensor forward(const Tensor& x) override { return local_response_norm(x, size_, options_); }

 private:
  std::int64_t size_;
  LocalResponseOptions options_;
};

}  // namespace

BatchNorm::BatchNorm(BatchNormOptions options) : Layer(make<BatchNormModule>(options)) {}
LayerNorm::LayerNorm(LayerNormOptions options) : Layer(make<LayerNormModule>(options)) {}
GroupNorm::GroupNorm(std::int64_t groups, LayerNormOptions options)
    : Layer(make<GroupNormModule>(groups, options)) {}
InstanceNorm::InstanceNorm(LayerNormOptions options) : Layer(make<InstanceNormModule>(options)) {}
LocalResponseNorm::LocalResponseNorm(std::int64_t size, LocalResponseOptions options)
    : Layer(make<LocalResponseNormModule>(size, options)) {}

}  // namespace isobit::nn
