// The training loop. Everything random is keyed by (seed, purpose, epoch or step), so a run that stops at any
// batch and goes on from its checkpoint ends in the same bits.
#include <isobit/arithmetic.h>
#include <isobit/ops.h>
#include <isobit/parts.h>
#include <isobit/data.h>
#include <isobit/nn_graphed.h>
#include <isobit/saved_model.h>
#include <isobit/train.h>

#include <chrono>
#include <cmath>

#include "core/train/options.h"

namespace isobit::train {

struct Trainer::Body {
  nn::Layer net;
  Options options;
  data::TrainTest data;
  Device device;
  std::string model;
  data::Normalise normalise;
  Position at;
  std::unique_ptr<optim::Optimizer> optimizer;
  std::optional<optim::LossScale> loss_scale;
  std::int64_t batches = 0;

  data::Batches epoch(std::int64_t number, std::int64_t first) const {
    data::BatchOptions order;
    order.augment = options.augment;
    order.normalise = normalise;
    order.epoch = number;
    order.first_batch = first;
    return data::Batches(data.train, options.batch, options.seed, device, order);
  }
  std::int64_t total_steps() const { return batches * options.epochs; }
  Tensor loss(const Tensor& images, const Tensor& labels) const {
    return cross_entropy(net(images), labels, {options.label_smoothing});
  }
  /// The loss, and gradients of loss_scale times as much.
  double backward(const data::Batch& batch, std::int64_t micro_batch, const std::vector<Tensor>& parameters);
  /// A step of the optimizer by those gradients, if they are finite.
  void step(const std::vector<Tensor>& parameters);
  nn::Graphed graphed() const;
  nn::Evaluation evaluate(const Hooks& hooks) const;
};

namespace {

using Clock = std::chrono::steady_clock;

// Leaves an evaluation that Hooks::stop ended.
struct Stopped {};

bool asked_to_stop(const Hooks& hooks) {
  return hooks.stop && hooks.stop();
}

void check_micro_batch(std::int64_t micro_batch, std::int64_t batch) {
  if (micro_batch == 0 || micro_batch >= batch) return;
  if (micro_batch < 16 || (micro_batch & (micro_batch - 1)) != 0)
    fail("train",
         "micro-batch is {}: parts of a batch are a power of two and at least 16 samples (16, 32, 64, ...), "
         "only then do they give the bits of the whole batch",
         micro_batch);
}

}  // namespace

Trainer::Trainer(nn::Layer net, Options options, data::TrainTest data, Device device, std::string model)
    : body_(std::make_unique<Body>()) {
  options.check();
  if (options.limit > 0) data.train = data.train.take(options.limit);
  data.train.check();
  if (data.train.size() == 0) fail("train", "the training set {} is empty", data.train.name);
  if (data.test.images.defined() && data.test.image_shape() != data.train.image_shape())
    fail("train", "training images are {}, test images {}", data.train.image_shape(),
         data.test.image_shape());
  Body& b = *body_;
  b.net = std::move(net);
  b.options = options;
  b.data = std::move(data);
  b.device = device;
  b.model = std::move(model);
  b.normalise = data::channel_statistics(b.data.train);
  b.net.build(b.data.train.image_shape(), device, options.seed);
  b.optimizer = make_optimizer(options, b.net.parameters());
  b.loss_scale = make_loss_scale(options);
  b.batches = b.epoch(0, 0).count();
}

Trainer Trainer::resume(nn::Layer net, const Checkpoint& c, data::TrainTest data, Device device) {
  Trainer trainer(std::move(net), c.options, std::move(data), device, c.model);
  Body& b = *trainer.body_;
  const data::Dataset& set = b.data.train;
  if (set.image_shape() != c.input)
    fail("resume", "the checkpoint was trained on images {}, the data holds {}", c.input, set.image_shape());
  if (set.size() != c.samples)
    fail("resume",
         "the checkpoint was trained on {} samples, the data holds {}: give the same data and limit",
         c.samples, set.size());
  if (set.classes != c.classes)
    fail("resume", "the checkpoint's {} classes are not the {} classes of {}", c.classes.size(),
         set.classes.size(), set.name);
  if (b.normalise.mean != c.normalise.mean || b.normalise.deviation != c.normalise.deviation)
    fail("resume", "the training images are not those of the checkpoint: their mean or deviation differs");
  if (c.at.batch > b.batches || c.at.step != c.at.epoch * b.batches + c.at.batch)
    fail("resume", "the checkpoint's position (epoch {}, batch {}, step {}) does not fit {} batches an epoch",
         c.at.epoch, c.at.batch, c.at.step, b.batches);
  b.net.load_state_dict(c.weights);
  b.optimizer->load_state_dict(c.optimizer);
  if (b.loss_scale) b.loss_scale->set_state(c.loss_scale);
  b.at = c.at;
  return trainer;
}

Trainer::~Trainer() = default;
Trainer::Trainer(Trainer&&) noexcept = default;
Trainer& Trainer::operator=(Trainer&&) noexcept = default;

double Trainer::Body::backward(const data::Batch& batch, std::int64_t micro_batch,
                               const std::vector<Tensor>& parameters) {
  const auto scaled = [&](const Tensor& l) { return loss_scale ? loss_scale->scaled(l) : l; };
  const std::int64_t whole = batch.size();
  if (micro_batch == 0 || micro_batch >= whole) {
    const Tensor l = loss(batch.images, batch.labels);
    scaled(l).backward();
    return l.item();
  }
  const std::vector<Part> parts = split_batch(whole, micro_batch);
  const Tensor sum = backward_in_parts(parts, parameters, [&](const Part& part) {
    const std::int64_t end = part.first + part.length;
    return scaled(loss(batch.images.slice(part.first, end), batch.labels.slice(part.first, end)));
  });
  return sum.item() / (loss_scale ? loss_scale->scale() : 1);
}

void Trainer::Body::step(const std::vector<Tensor>& parameters) {
  if (loss_scale && !loss_scale->unscale(parameters)) return;
  if (options.clip_norm > 0) optim::clip_norm(parameters, options.clip_norm);
  optimizer->step();
}

nn::Graphed Trainer::Body::graphed() const {
  return {device, [this](const std::vector<Tensor>& batch) {
            const Tensor l = loss(batch[0], batch[1]);
            l.backward();
            optimizer->step();
            return std::vector{l};
          }};
}

nn::Evaluation Trainer::Body::evaluate(const Hooks& hooks) const {
  nn::EvaluateOptions how;
  how.normalise = normalise;
  const std::int64_t all = data.test.size();
  how.progress = [&](std::int64_t done) {
    if (hooks.evaluating) hooks.evaluating(done, all);
    if (asked_to_stop(hooks)) throw Stopped();
  };
  return nn::evaluate(net, data.test, how);
}

Outcome Trainer::run(const RunOptions& run, const Hooks& hooks) {
  Body& b = *body_;
  const MathScope arithmetic(parse_math(b.options.math));
  check_micro_batch(run.micro_batch, b.options.batch);
  if (run.graph && run.micro_batch != 0)
    fail("train", "a graph of a step and batches in parts of {} cannot both be had", run.micro_batch);
  if (run.graph && b.options.clip_norm > 0)
    fail("train",
         "a graph of a step cannot clip gradients by norm (clip_norm is {}): the host computes the factor",
         b.options.clip_norm);
  if (run.graph && b.loss_scale)
    fail("train", "a graph of a step cannot scale the loss (loss-scale is {}): the host looks for overflows",
         b.options.loss_scale);
  if (run.steps < 0) fail("train", "steps is {}, it must not be negative", run.steps);
  const optim::Schedule schedule = make_schedule(b.options, b.total_steps());
  const std::vector<Tensor> parameters = b.net.parameters();
  nn::Graphed graphed = b.graphed();
  Outcome outcome;
  Progress& p = outcome.progress;
  p.batches = b.batches;
  p.total_steps = b.total_steps();
  b.net.train();
  b.net.set_step(static_cast<std::uint64_t>(b.at.step));
  const auto out_of_steps = [&] { return run.steps > 0 && b.at.step >= run.steps; };
  try {
    while (b.at.epoch < b.options.epochs && !out_of_steps()) {
      double loss_sum = 0;
      std::int64_t seen = 0;
      Clock::time_point before = Clock::now();
      for (const data::Batch& batch : b.epoch(b.at.epoch, b.at.batch)) {
        if (asked_to_stop(hooks)) throw Stopped();
        b.optimizer->set_lr_factor(schedule(b.at.step));
        p.loss = run.graph ? graphed({batch.images, batch.labels})[0].item()
                           : b.backward(batch, run.micro_batch, parameters);
        if (!std::isfinite(p.loss))
          fail("train",
               "the loss is {} at step {} (lr {}): the run has diverged, lower lr or clip the gradients",
               p.loss, b.at.step, b.optimizer->lr() * b.optimizer->lr_factor());
        if (!run.graph) b.step(parameters);
        ++b.at.batch;
        ++b.at.step;
        loss_sum += p.loss * static_cast<double>(batch.size());
        seen += batch.size();
        const Clock::time_point now = Clock::now();
        p.seconds += std::chrono::duration<double>(now - before).count();
        before = now;
        p.samples += batch.size();
        p.at = b.at;
        p.lr = b.optimizer->lr() * b.optimizer->lr_factor();
        if (b.loss_scale) {
          p.loss_scale = b.loss_scale->scale();
          p.skipped = b.loss_scale->state().skipped;
        }
        p.mean_loss = loss_sum / static_cast<double>(seen);
        if (hooks.step) hooks.step(p);
        if (out_of_steps()) break;
      }
      if (b.at.batch < b.batches) break;  // out of steps within the epoch
      ++b.at.epoch;
      b.at.batch = 0;
      p.at = b.at;
      outcome.evaluation.reset();
      if (b.data.test.images.defined()) outcome.evaluation = b.evaluate(hooks);
      if (hooks.epoch) hooks.epoch(p, outcome.evaluation ? &*outcome.evaluation : nullptr);
      b.net.set_step(static_cast<std::uint64_t>(b.at.step));
    }
    p.at = b.at;
    outcome.finished = b.at.epoch >= b.options.epochs;
    const bool current = outcome.evaluation && b.at.batch == 0;
    if (b.data.test.images.defined() && !current) outcome.evaluation = b.evaluate(hooks);
  } catch (const Stopped&) {
    outcome.interrupted = true;
    outcome.evaluation.reset();
  }
  p.at = b.at;
  return outcome;
}

Checkpoint Trainer::checkpoint() const {
  const Body& b = *body_;
  Checkpoint c;
  c.model = b.model;
  c.input = b.data.train.image_shape();
  c.classes = b.data.train.classes;
  c.normalise = b.normalise;
  if (nn::describable(b.net)) c.network = nn::model_text(b.net, {b.model, c.classes, c.normalise});
  c.options = b.options;
  c.at = b.at;
  c.samples = b.data.train.size();
  c.weights = b.net.state_dict();
  c.optimizer = b.optimizer->state_dict();
  if (b.loss_scale) c.loss_scale = b.loss_scale->state();
  return c;
}

const nn::Layer& Trainer::net() const {
  return body_->net;
}
const Options& Trainer::options() const {
  return body_->options;
}
Position Trainer::at() const {
  return body_->at;
}
std::int64_t Trainer::batches() const {
  return body_->batches;
}
std::int64_t Trainer::total_steps() const {
  return body_->total_steps();
}

}  // namespace isobit::train
