// Restoring named tensors, all or nothing: networks and optimizers share it.
#pragma once
#include <isobit/nn_module.h>

namespace isobit::nn {

/// Copies `given` into `have` by name. Throws Error(op) that names every missing, unexpected, repeated and
/// misshapen entry, and then nothing has changed.
void copy_state(const char* op, const StateDict& have, const StateDict& given);

}  // namespace isobit::nn
