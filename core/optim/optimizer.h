// The common body of all optimizers: groups of parameters, their states, the counters.
#pragma once
#include <isobit/optim.h>

#include <memory>
#include <string>
#include <vector>

#include "core/backend.h"

namespace isobit::optim {

/// A parameter and its states; an unused state is undefined.
struct Slot {
  Tensor parameter, state1, state2;
};
struct GroupBody {
  OptimizerHyper hyper;  ///< as given: lr without the factor, corrections of the latest step
  std::vector<Slot> slots;
  /// beta1^step, beta2^step by repeated multiplication (adam, adamw).
  double power1 = 1, power2 = 1;
};
struct OptimizerBody {
  OptimizerKind kind = OptimizerKind::sgd;
  std::vector<GroupBody> groups;
  double factor = 1;
  std::int64_t steps = 0;

  const char* name() const;
  bool has_powers() const { return kind == OptimizerKind::adam || kind == OptimizerKind::adamw; }
  GroupBody& group(std::size_t i);
  /// Counts a step: the corrections of every group are those of it.
  void advance();
  /// The numbers of the step in force, as the device gets them.
  OptimizerHyper numbers(const GroupBody& group) const;
};

/// One group as the constructors of the optimizers give it.
struct GroupSpec {
  std::vector<Tensor> parameters;
  OptimizerHyper hyper;
  bool state1 = false, state2 = false;
};
/// Checks the numbers and the parameters and makes the states, zeros. Throws Error naming option and value,
/// or the parameter.
std::unique_ptr<OptimizerBody> make_body(OptimizerKind kind, const std::vector<GroupSpec>& groups);

}  // namespace isobit::optim
