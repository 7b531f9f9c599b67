// The backward pass.
#pragma once
#include <isobit/autograd.h>

#include <vector>

#include "core/autograd/capture.h"
#include "core/autograd/node.h"

namespace isobit {

struct Engine {
  /// What a pass starts from: contributions that are delivered when the pass comes below their sequence
  /// number.
  static std::vector<Contribution> seeds(std::span<const Tensor> outputs, std::span<const Tensor> seeds,
                                         const char* op);

  struct Result {
    std::vector<std::pair<Tensor, Tensor>>
        leaves;                  ///< leaf, complete gradient, in the order of first arrival
    std::vector<Tensor> wanted;  ///< gradients of the asked nodes or leaves, undefined where none came
  };
  /// Runs the graph. `wanted`: edges whose complete gradients are returned.
  static Result run(std::vector<Contribution> start, std::span<const Edge> wanted, bool create_graph,
                    bool keep_graph);
  /// Adds complete gradients to the leaves' grad(); nothing can fail halfway.
  static void commit(std::vector<std::pair<Tensor, Tensor>> leaves);
};

}  // namespace isobit
