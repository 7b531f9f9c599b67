// isobit train: from data to a trained model, with everything that a run tells on the way.
#include <fmt/format.h>
#include <isobit/arithmetic.h>
#include <isobit/data.h>
#include <isobit/models.h>
#include <isobit/plan.h>
#include <isobit/train.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/progress.h"
#include "cli/train_arguments.h"

namespace isobit::cli {
namespace {

using train::Outcome;
using train::Trainer;

std::unique_ptr<Trainer> begin(const TrainArguments& a, Device device) {
  if (a.resume.empty()) {
    data::TrainTest sets = a.data.empty() ? data::fashion_mnist() : data::load(a.data);
    const nn::Sequential net = models::make(a.model, static_cast<std::int64_t>(sets.train.classes.size()));
    return std::make_unique<Trainer>(net, a.options, std::move(sets), device, a.model);
  }
  train::Checkpoint checkpoint = train::load(a.resume);
  if (!a.given.empty())
    fail("resume", "{} cannot be given with --resume: the run's options come from {} (model {}, {} epochs)",
         a.given, a.resume, checkpoint.model, checkpoint.options.epochs);
  data::TrainTest sets = a.data.empty() ? data::fashion_mnist() : data::load(a.data);
  const nn::Sequential net =
      models::make(checkpoint.model, static_cast<std::int64_t>(sets.train.classes.size()));
  auto trainer = std::make_unique<Trainer>(Trainer::resume(net, checkpoint, std::move(sets), device));
  fmt::print(stderr, "resuming {} at step {} of {} (epoch {} of {}, batch {} of {})\n", a.resume,
             checkpoint.at.step, trainer->total_steps(),
             std::min(checkpoint.at.epoch + 1, checkpoint.options.epochs), checkpoint.options.epochs,
             checkpoint.at.batch, trainer->batches());
  return trainer;
}

void introduce(const TrainArguments& a, const Trainer& trainer, const std::string& model) {
  const train::Options& o = trainer.options();
  const MathScope arithmetic(parse_math(o.math));
  fmt::print(stderr, "{}", trainer.net().summary());
  fmt::print(stderr, "{} on {}, {} threads; {} lr {}, {}, batch {}", model, a.device, threads(), o.optimizer,
             o.lr, o.schedule, o.batch);
  if (a.run.micro_batch > 0 && a.run.micro_batch < o.batch)
    fmt::print(stderr, " in parts of {}", a.run.micro_batch);
  fmt::print(stderr, ", seed {}; arithmetic {}", o.seed.value, describe(parse_math(o.math)));
  if (o.loss_scale != "1") fmt::print(stderr, ", loss scale {}", o.loss_scale);
  fmt::print(stderr, "\n");
  if (a.run.micro_batch > 0 && a.run.micro_batch < o.batch && !trainer.net().named_buffers().empty())
    fmt::print(
        stderr,
        "note: {} has batch norm, which sees each part by itself: the digest is another one than with whole "
        "batches\n",
        model);
}

std::string resume_hint(const TrainArguments& a) {
  std::string hint = fmt::format("isobit train --resume {0} --out {0}", a.out);
  if (!a.data.empty()) hint += " --data " + a.data;
  return hint;
}

int interrupted(const TrainArguments& a, const Trainer& trainer) {
  const train::Position at = trainer.at();
  fmt::print(stderr, "isobit: interrupted after step {} (epoch {}, batch {} of {})\n", at.step, at.epoch + 1,
             at.batch, trainer.batches());
  if (a.out.empty()) {
    fmt::print(stderr, "nothing was saved: with --out FILE an interrupted run can be resumed\n");
  } else {
    train::save(a.out, trainer.checkpoint());
    fmt::print(stderr, "saved to {}; go on, to the same digest, with\n  {}\n", a.out, resume_hint(a));
  }
  return 130;
}

void print_json(const TrainArguments& a, const Trainer& trainer, const std::string& model,
                const Outcome& outcome, const std::string& digest) {
  const train::Options& o = trainer.options();
  const train::Progress& p = outcome.progress;
  nlohmann::ordered_json confusion = nlohmann::ordered_json::array();
  const nn::Confusion& counts = outcome.evaluation->confusion;
  const auto classes = static_cast<std::int64_t>(counts.classes().size());
  for (std::int64_t t = 0; t < classes; ++t) {
    std::vector<std::int64_t> row;
    for (std::int64_t c = 0; c < classes; ++c) row.push_back(counts.count(t, c));
    confusion.push_back(row);
  }
  nlohmann::ordered_json result{{"accuracy", outcome.evaluation->accuracy},
                                {"loss", outcome.evaluation->loss},
                                {"train_loss", p.mean_loss},
                                {"digest", digest},
                                {"samples_per_second", p.samples_per_second()},
                                {"seconds", p.seconds},
                                {"epochs", o.epochs},
                                {"step", p.at.step},
                                {"total_steps", p.total_steps},
                                {"finished", outcome.finished},
                                {"model", model},
                                {"optimizer", o.optimizer},
                                {"lr", o.lr},
                                {"batch", o.batch},
                                {"micro_batch", a.run.micro_batch},
                                {"graph", a.run.graph},
                                {"seed", o.seed.value},
                                {"math", o.math},
                                {"loss_scale", p.loss_scale},
                                {"skipped_steps", p.skipped},
                                {"device", a.device},
                                {"threads", threads()},
                                {"classes", counts.classes()},
                                {"confusion", confusion}};
  if (!a.out.empty()) result["out"] = a.out;
  fmt::print("{}\n", result.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
  std::fflush(stdout);
}

int train_command(const TrainArguments& a) {
  InterruptGuard guard;
  const Device device = Device::parse(a.device);
  std::optional<PlanScope> plan;
  if (!a.plan.empty()) plan.emplace(a.plan, PlanUse::time);
  const std::unique_ptr<Trainer> trainer = begin(a, device);
  const std::string model = trainer->checkpoint().model;
  introduce(a, *trainer, model);

  const std::int64_t last =
      a.run.steps > 0 ? std::min(a.run.steps, trainer->total_steps()) : trainer->total_steps();
  ProgressView view(trainer->options().epochs, trainer->at().step, last);
  train::Hooks hooks;
  hooks.step = [&](const train::Progress& p) { view.step(p); };
  hooks.epoch = [&](const train::Progress& p, const nn::Evaluation* evaluation) {
    view.epoch(p, evaluation);
    if (!a.out.empty()) train::save(a.out, trainer->checkpoint());
  };
  hooks.evaluating = [&](std::int64_t done, std::int64_t all) { view.evaluating(done, all); };
  hooks.stop = [] { return InterruptGuard::requested(); };
  const Outcome outcome = trainer->run(a.run, hooks);
  view.clear();
  if (outcome.interrupted) return interrupted(a, *trainer);
  if (!a.out.empty()) train::save(a.out, trainer->checkpoint());

  const std::string digest = nn::digest(trainer->net());
  std::FILE* to = a.json ? stderr : stdout;
  fmt::print(to, "\n{}", outcome.evaluation->confusion.to_string());
  fmt::print(to, "\naccuracy {:.2f}% of {} test images, loss {:.4f}, {:.0f} samples/s\n",
             100 * outcome.evaluation->accuracy, outcome.evaluation->samples, outcome.evaluation->loss,
             outcome.progress.samples_per_second());
  if (trainer->options().loss_scale != "1")
    fmt::print(to, "loss scale {}, {} steps left out for gradients that were not finite\n",
               outcome.progress.loss_scale, outcome.progress.skipped);
  if (!a.out.empty()) fmt::print(to, "saved {}\n", a.out);
  if (!outcome.finished && !a.out.empty())
    fmt::print(to, "stopped after {} of {} steps; go on with\n  {}\n", trainer->at().step,
               trainer->total_steps(), resume_hint(a));
  fmt::print(to, "digest {}\n", digest);
  if (a.json) print_json(a, *trainer, model, outcome, digest);
  return 0;
}

}  // namespace

void add_train(CLI::App& app, Run& chosen) {
  auto a = std::make_shared<TrainArguments>();
  CLI::App* command = app.add_subcommand("train", "Train a network on labelled images");
  declare(*command, *a);
  command->callback([&chosen, a, command] {
    chosen = [a, command] {
      settle(*command, *a);
      return train_command(*a);
    };
  });
}

}  // namespace isobit::cli
