// The training loop: epochs of batches, parts of a batch, schedule, evaluation, checkpoints that resume to
// the same bits.
//
//   train::Trainer trainer(models::lenet(), {.epochs = 3}, data::fashion_mnist());
//   const train::Outcome outcome = trainer.run();
//   fmt::print("{:.2%} {}\n", outcome.evaluation->accuracy, digest(trainer.net()));
#pragma once
#include <isobit/batches.h>
#include <isobit/nn_evaluate.h>
#include <isobit/nn_module.h>
#include <isobit/optim.h>
#include <isobit/train_checkpoint.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace isobit::train {

/// After every step.
struct Progress {
  Position at;
  std::int64_t batches = 0;      ///< of an epoch
  std::int64_t total_steps = 0;  ///< of the whole run
  double loss = 0;               ///< of this batch
  double mean_loss = 0;          ///< of this run's batches of the epoch so far
  double lr = 0;
  double loss_scale = 1;     ///< of the next step
  std::int64_t skipped = 0;  ///< steps left out since the very beginning, for gradients that were not finite
  std::int64_t samples = 0;  ///< trained on in this run
  double seconds = 0;        ///< spent on training in this run
  double samples_per_second() const { return seconds > 0 ? static_cast<double>(samples) / seconds : 0; }
};

struct Hooks {
  std::function<void(const Progress&)> step = {};
  /// After every epoch: with the evaluation when there is a test set.
  std::function<void(const Progress&, const nn::Evaluation*)> epoch = {};
  /// Samples of the test set that are done.
  std::function<void(std::int64_t done, std::int64_t all)> evaluating = {};
  /// Asked before every batch and while evaluating: true ends the run where it stands.
  std::function<bool()> stop = {};
};

struct RunOptions {
  std::int64_t micro_batch = 0;  ///< compute each batch in parts of this (isobit/parts.h); 0: whole
  std::int64_t steps = 0;        ///< stop when so many steps are done since the very beginning; 0: at the end
  /// Records each step as a graph and replays it (isobit/nn_graphed.h): the same bits, less work for the
  /// host. Not with parts of batches, nor with clip_norm or loss_scale, for which the host looks at
  /// gradients. A loss that is not finite is then found after its step instead of before.
  bool graph = false;
};

struct Outcome {
  bool finished = false;                     ///< all epochs are done
  bool interrupted = false;                  ///< Hooks::stop said so
  std::optional<nn::Evaluation> evaluation;  ///< of the final weights; none when interrupted
  Progress progress;
};

class Trainer {
 public:
  /// Builds `net` for the data's samples with options.seed, and an optimizer for it. Throws Error when an
  /// option or the data is wrong.
  Trainer(nn::Layer net, Options options, data::TrainTest data, Device device = {}, std::string model = "");
  /// Goes on where the checkpoint stands: `net` is a fresh model of the checkpoint's name. Throws Error when
  /// the checkpoint's weights, samples, shape or classes are not those of net and data.
  static Trainer resume(nn::Layer net, const Checkpoint& checkpoint, data::TrainTest data,
                        Device device = {});
  Trainer(Trainer&&) noexcept;
  Trainer& operator=(Trainer&&) noexcept;
  ~Trainer();

  Outcome run(const RunOptions& run = {}, const Hooks& hooks = {});
  /// The state to go on from; the tensors share storage with the network.
  Checkpoint checkpoint() const;

  const nn::Layer& net() const;
  const Options& options() const;
  Position at() const;
  std::int64_t batches() const;      ///< of an epoch
  std::int64_t total_steps() const;  ///< of the whole run

 private:
  struct Body;
  std::unique_ptr<Body> body_;
};

}  // namespace isobit::train
