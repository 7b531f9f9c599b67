// bench train: steps of training of the ready-made networks.
#pragma once
#include <cstdint>
#include <string>

#include "benchmarks/run.h"

namespace isobit::bench {

/// Full steps (forward, loss, backward, SGD) of models::make(model) on made-up images, LeNet's 28 x 28 x 1,
/// the others' 32 x 32 x 3. A time counts when the weights after some steps have one digest for one thread
/// and for several, and on the CPU; a peer's when its losses over some steps from our weights are ours.
/// Returns the exit code. Throws Error for a model that there is not.
int run_train(const RunOptions& options, const std::string& model, std::int64_t batch);

}  // namespace isobit::bench
