// Checkpoints: everything that a training run needs to go on, and a trained model to be used, in one
// safetensors file. The weights lie under their paths ("0.weight"), the optimizer's state under
// "optimizer.", the rest in the metadata, so that other tools can read the weights.
#pragma once
#include <isobit/batches.h>
#include <isobit/nn_module.h>
#include <isobit/optim_loss_scale.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace isobit::train {

/// All that decides the outcome of a run besides data and model. The device, the number of threads and the
/// size of the parts are no part of it: they change no bit (parts: of a network without BatchNorm).
struct Options {
  std::int64_t epochs = 3;
  std::int64_t batch = 64;
  std::string optimizer = "sgd";  ///< "sgd", "adam", "adamw", "rmsprop"
  double lr = 0.05;               ///< see default_lr
  double momentum = 0.9;          ///< sgd, rmsprop
  bool nesterov = false;          ///< sgd
  double weight_decay = 0;
  std::string schedule = "cosine";  ///< "constant", "step" (tenth at 1/2 and 3/4), "cosine", "one-cycle"
  std::int64_t warm_up = 0;         ///< steps, before the schedule
  double clip_norm = 0;             ///< 0: gradients are not clipped
  double label_smoothing = 0;
  data::Augment augment = {};
  Seed seed = {1};
  std::int64_t limit = 0;      ///< the first so many training samples; 0: all
  std::string math = "exact";  ///< "exact", "fast", "fast-f16", "fast-bf16" (isobit/arithmetic.h)
  /// "dynamic", or a power of two that stays (isobit/optim_loss_scale.h); "1": gradients are not looked at.
  std::string loss_scale = "1";

  /// Throws Error naming the option, its value and what is allowed.
  void check() const;
};
/// 0.05 for sgd, 0.001 for the others. Throws Error that lists the optimizers.
double default_lr(const std::string& optimizer);

/// Where a run stands: `batch` batches of epoch `epoch` are done, `step` in all.
struct Position {
  std::int64_t epoch = 0, batch = 0, step = 0;
};

struct Checkpoint {
  std::string model;    ///< a name of isobit/models.h, or the user's own
  std::string network;  ///< nn::model_text, for nn::load_model; empty where a layer cannot say what it is
  Shape input;          ///< of one sample
  std::vector<std::string> classes;
  data::Normalise normalise;
  Options options;
  Position at;
  std::int64_t samples = 0;  ///< of the training set: another set would give another run
  nn::StateDict weights, optimizer;
  optim::LossScale::State loss_scale;
};

/// Written beside and renamed (io::write_safetensors): whatever happens, `path` holds the old file or the new
/// one.
void save(const std::string& path, const Checkpoint& checkpoint);
/// Throws Error that names the file and what is wrong with it.
Checkpoint load(const std::string& path);
/// The same from memory; `name` stands for the file in messages.
Checkpoint decode(std::span<const std::uint8_t> bytes, std::string_view name);

}  // namespace isobit::train
