// Evaluation mode for a while; every module gets its own mode back.
#pragma once
#include <utility>
#include <vector>

#include "core/nn/builder.h"

namespace isobit::nn {

class EvaluationMode {
 public:
  explicit EvaluationMode(const Layer& net) {
    Builder::for_each(net.module(), [&](Module& m) { modes_.emplace_back(&m, m.training()); });
    net.eval();
  }
  ~EvaluationMode() {
    for (auto [m, training] : modes_) Builder::set_training(*m, training);
  }
  EvaluationMode(const EvaluationMode&) = delete;
  EvaluationMode& operator=(const EvaluationMode&) = delete;

 private:
  std::vector<std::pair<Module*, bool>> modes_;
};

}  // namespace isobit::nn
