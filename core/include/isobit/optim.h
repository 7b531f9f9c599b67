// Optimizers: SGD and its relatives. All parameters of a group step through one kernel call of the device;
// the formulas, roundings included, stand at OptimizerHyper in core/backend.h and in docs/sgd.md.
//
//   optim::SGD sgd(net.parameters(), {.lr = 0.05, .momentum = 0.9});
//   loss.backward();
//   sgd.step();                                  // takes the gradients: they are cleared
#pragma once
#include <isobit/nn_module.h>
#include <isobit/optim_clip.h>
#include <isobit/optim_loss_scale.h>
#include <isobit/optim_schedule.h>
#include <isobit/tensor.h>

#include <memory>
#include <string>
#include <vector>

namespace isobit::optim {

/// Learning rates, weight decays and eps must be finite and not negative, momentum in [0, 1), betas in [0,
/// 1): Error naming the option and its value otherwise.
struct SGDOptions {
  double lr = 0.01;
  double momentum = 0;
  bool nesterov = false;  ///< needs momentum > 0
  double weight_decay = 0;
};
struct AdamOptions {
  double lr = 1e-3;
  double beta1 = 0.9, beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0;
};
struct AdamWOptions {
  double lr = 1e-3;
  double beta1 = 0.9, beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0.01;  ///< decoupled: w * (1 - lr * weight_decay)
};
struct RMSpropOptions {
  double lr = 0.01;
  double alpha = 0.99;  ///< share of the old mean square
  double eps = 1e-8;
  double momentum = 0;
  double weight_decay = 0;
};

/// Parameters that step with options of their own.
template <class Options>
struct Group {
  std::vector<Tensor> parameters;
  Options options;
};

struct OptimizerBody;

class Optimizer {
 public:
  virtual ~Optimizer();
  Optimizer(Optimizer&&) noexcept;
  Optimizer& operator=(Optimizer&&) noexcept;

  /// One step on every parameter, then clears the gradients. A parameter whose requires_grad was switched off
  /// stands still. Throws Error, and has changed nothing, when a parameter has no gradient or one of another
  /// shape, dtype or device.
  void step();
  void zero_grad();

  /// The group's rate as given, and the factor of a schedule on top of it: a step uses lr * factor.
  double lr(std::size_t group = 0) const;
  void set_lr(double lr);                     ///< of all groups
  void set_lr(std::size_t group, double lr);  ///< of one
  double lr_factor() const;
  void set_lr_factor(double factor);

  std::string kind() const;  ///< "sgd", "adam", "adamw", "rmsprop"
  std::int64_t steps() const;
  std::size_t groups() const;
  /// All parameters, group by group.
  std::vector<Tensor> parameters() const;

  /// Moments and counters, for resuming: "0.3.state1" is the first state of parameter 3 of group 0,
  /// "0.powers" Adam's beta1^step and beta2^step (f64, kept by repeated multiplication), "steps", "0.lr".
  /// Copies nothing.
  nn::StateDict state_dict() const;
  /// Throws Error naming every missing, unexpected and misshapen entry, and then nothing has changed.
  void load_state_dict(const nn::StateDict& state);

 protected:
  explicit Optimizer(std::unique_ptr<OptimizerBody> body);
  std::shared_ptr<OptimizerBody> body_;  ///< shared with graphs that were recorded of a step
};

class SGD : public Optimizer {
 public:
  SGD(std::vector<Tensor> parameters, SGDOptions options);
  explicit SGD(std::vector<Group<SGDOptions>> groups);
};
/// Kingma and Ba 2015; weight decay is added to the gradient.
class Adam : public Optimizer {
 public:
  explicit Adam(std::vector<Tensor> parameters, AdamOptions options = {});
  explicit Adam(std::vector<Group<AdamOptions>> groups);
};
/// Loshchilov and Hutter 2019.
class AdamW : public Optimizer {
 public:
  explicit AdamW(std::vector<Tensor> parameters, AdamWOptions options = {});
  explicit AdamW(std::vector<Group<AdamWOptions>> groups);
};
class RMSprop : public Optimizer {
 public:
  explicit RMSprop(std::vector<Tensor> parameters, RMSpropOptions options = {});
  explicit RMSprop(std::vector<Group<RMSpropOptions>> groups);
};

}  // namespace isobit::optim
