// From a run's options to its optimizer and schedule.
#pragma once
#include <isobit/optim.h>
#include <isobit/train_checkpoint.h>

#include <memory>
#include <optional>

namespace isobit::train {

std::unique_ptr<optim::Optimizer> make_optimizer(const Options& options, std::vector<Tensor> parameters);
/// None for "1". Throws Error that says what is expected.
std::optional<optim::LossScale> make_loss_scale(const Options& options);
optim::Schedule make_schedule(const Options& options, std::int64_t total_steps);

}  // namespace isobit::train
