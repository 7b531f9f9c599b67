// The inside of ContributionCapture: what recording and the engine ask of the capture in force on this
// thread.
#pragma once
#include <isobit/autograd.h>

#include <unordered_set>
#include <vector>

#include "core/autograd/node.h"

namespace isobit {

/// One contribution, kept apart: where it would have gone, and when (the node that brought it).
struct Contribution {
  Edge target;
  std::uint64_t sequence = 0;
  Tensor value;
};

struct CaptureBody {
  std::unordered_set<const TensorImpl*> parameters;
  std::vector<Tensor> keep;  // the parameters, alive
  std::vector<Contribution> contributions;
};

/// True when backward has to stop in front of this edge and keep the contribution apart.
bool capture_stops(const Edge& edge);
void capture_keep(Contribution contribution);
/// True when a capture is in force and an op with these inputs combines nothing but parameters. An op that
/// widens (a broadcast over the batch) does not count: its gradient sums over samples.
bool capture_marks(std::span<const Tensor> inputs, const Tensor& output);

}  // namespace isobit
