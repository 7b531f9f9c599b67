// What files of networks and checkpoints call their parts.
#pragma once

namespace isobit::nn {
/// Metadata: the network (nn::model_text).
inline constexpr const char* kModelKey = "isobit.network";
}  // namespace isobit::nn

namespace isobit::train {
/// Metadata: where the training run stands.
inline constexpr const char* kCheckpointKey = "isobit";
/// Of the names of the optimizer's tensors.
inline constexpr const char* kOptimizerPrefix = "optimizer.";
}  // namespace isobit::train
