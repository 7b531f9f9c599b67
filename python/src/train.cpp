// Training runs: evaluation, the trainer with its checkpoints, models.
#include <isobit/models.h>
#include <isobit/nn_evaluate.h>
#include <isobit/train.h>

#include "layer.h"
#include "module.h"

namespace isobit::python {
namespace {

void bind_evaluation(nb::module_& m) {
  using nn::Confusion;
  nb::class_<Confusion>(m, "Confusion", "Counts of (true class, predicted class).")
      .def(nb::init<std::vector<std::string>>(), "classes"_a)
      .def("add", &Confusion::add, "truth"_a, "predicted"_a, "count"_a = 1)
      .def("count", &Confusion::count, "truth"_a, "predicted"_a)
      .def("total", &Confusion::total)
      .def("correct", &Confusion::correct)
      .def("accuracy", &Confusion::accuracy, "correct / total; 0 when empty.")
      .def("recall", &Confusion::recall, "c"_a, "Of all samples of a class the share that was recognised.")
      .def_prop_ro("classes", &Confusion::classes)
      .def("__str__", &Confusion::to_string);
  nb::class_<nn::Evaluation>(m, "Evaluation")
      .def_ro("accuracy", &nn::Evaluation::accuracy)
      .def_ro("loss", &nn::Evaluation::loss, "mean cross entropy; f64 sum in the order of the batches")
      .def_ro("samples", &nn::Evaluation::samples)
      .def_ro("confusion", &nn::Evaluation::confusion)
      .def("__repr__", [](const nn::Evaluation& e) {
        return fmt::format("Evaluation(accuracy={}, loss={}, samples={})", e.accuracy, e.loss, e.samples);
      });
  m.def(
      "evaluate",
      [](LayerArg net, const data::Dataset& dataset, IntArg batch, NormaliseArg normalise,
         nb::handle progress) {
        const nn::Layer layer = net("net");
        nn::EvaluateOptions options{batch("batch"), normalise("normalise"), {}};
        options.progress = [progress](std::int64_t done) {
          nb::gil_scoped_acquire locked;
          if (PyErr_CheckSignals() != 0) throw nb::python_error();
          if (!progress.is_none()) progress(done);
        };
        return unlocked([&] { return nn::evaluate(layer, dataset, options); });
      },
      "net"_a, "dataset"_a, "batch"_a = 256, "normalise"_a = nb::none(), "progress"_a = nb::none(),
      "Runs `net` over the dataset, in order, in evaluation mode (restored afterwards), recording nothing. "
      "The output "
      "must be logits [n, classes]. progress(done) is called after each batch.");
}

using train::Checkpoint;
using train::Options;
using train::Outcome;
using train::Progress;
using train::Trainer;

void bind_options(nb::module_& m) {
  nb::class_<Options>(
      m, "Options",
      "All that decides the outcome of a run besides data and model. The device, the number of threads "
      "and the size of the parts are no part of it: they change no bit.")
      .def(
          "__init__",
          [](Options* self, IntArg epochs, IntArg batch, std::string optimizer, std::optional<double> lr,
             double momentum, bool nesterov, double weight_decay, std::string schedule, IntArg warm_up,
             double clip_norm, double label_smoothing, AugmentArg augment, SeedArg seed, IntArg limit,
             std::string math, std::string loss_scale) {
            const double rate = lr ? *lr : train::default_lr(optimizer);
            Options o{epochs("epochs"),   batch("batch"), std::move(optimizer), rate,
                      momentum,           nesterov,       weight_decay,         std::move(schedule),
                      warm_up("warm_up"), clip_norm,      label_smoothing,      augment("augment"),
                      seed("seed"),       limit("limit"), std::move(math),      std::move(loss_scale)};
            o.check();
            new (self) Options(std::move(o));
          },
          "epochs"_a = 3, "batch"_a = 64, "optimizer"_a = "sgd", "lr"_a = nb::none(), "momentum"_a = 0.9,
          "nesterov"_a = false, "weight_decay"_a = 0.0, "schedule"_a = "cosine", "warm_up"_a = 0,
          "clip_norm"_a = 0.0, "label_smoothing"_a = 0.0, "augment"_a = nb::none(), "seed"_a = 1,
          "limit"_a = 0, "math"_a = "exact", "loss_scale"_a = "1",
          "optimizer: \"sgd\", \"adam\", \"adamw\", \"rmsprop\"; lr: 0.05 for sgd, 0.001 for the others "
          "unless given; "
          "schedule: \"constant\", \"step\", \"cosine\", \"one-cycle\"; warm_up: steps before the schedule; "
          "clip_norm 0: "
          "gradients are not clipped; limit: the first so many training samples, 0: all; math: \"exact\", "
          "\"fast\", "
          "\"fast-f16\", \"fast-bf16\"; loss_scale: \"dynamic\", or a power of two as text.")
      .def_ro("epochs", &Options::epochs)
      .def_ro("batch", &Options::batch)
      .def_ro("optimizer", &Options::optimizer)
      .def_ro("lr", &Options::lr)
      .def_ro("momentum", &Options::momentum)
      .def_ro("nesterov", &Options::nesterov)
      .def_ro("weight_decay", &Options::weight_decay)
      .def_ro("schedule", &Options::schedule)
      .def_ro("warm_up", &Options::warm_up)
      .def_ro("clip_norm", &Options::clip_norm)
      .def_ro("label_smoothing", &Options::label_smoothing)
      .def_ro("augment", &Options::augment)
      .def_prop_ro("seed", [](const Options& o) { return o.seed.value; })
      .def_ro("limit", &Options::limit)
      .def_ro("math", &Options::math)
      .def_ro("loss_scale", &Options::loss_scale);
  nb::class_<train::Position>(m, "Position", "`batch` batches of epoch `epoch` are done, `step` in all.")
      .def_ro("epoch", &train::Position::epoch)
      .def_ro("batch", &train::Position::batch)
      .def_ro("step", &train::Position::step)
      .def("__repr__", [](const train::Position& p) {
        return fmt::format("Position(epoch={}, batch={}, step={})", p.epoch, p.batch, p.step);
      });
  nb::class_<Progress>(m, "Progress", "After every step.")
      .def_ro("at", &Progress::at)
      .def_ro("batches", &Progress::batches, "of an epoch")
      .def_ro("total_steps", &Progress::total_steps, "of the whole run")
      .def_ro("loss", &Progress::loss, "of this batch")
      .def_ro("mean_loss", &Progress::mean_loss, "of this run's batches of the epoch so far")
      .def_ro("lr", &Progress::lr)
      .def_ro("loss_scale", &Progress::loss_scale, "of the next step")
      .def_ro("skipped", &Progress::skipped,
              "steps left out since the very beginning, for gradients that were not finite")
      .def_ro("samples", &Progress::samples, "trained on in this run")
      .def_ro("seconds", &Progress::seconds)
      .def("samples_per_second", &Progress::samples_per_second);
  nb::class_<Outcome>(m, "Outcome")
      .def_ro("finished", &Outcome::finished, "all epochs are done")
      .def_ro("interrupted", &Outcome::interrupted, "stop said so")
      .def_ro("evaluation", &Outcome::evaluation, "of the final weights; None when interrupted")
      .def_ro("progress", &Outcome::progress);
}

void bind_checkpoint(nb::module_& m) {
  nb::class_<Checkpoint>(m, "Checkpoint", "All that a run needs to go on, and a trained model to be used.")
      .def_ro("model", &Checkpoint::model)
      .def_prop_ro("input", [](const Checkpoint& c) { return to_tuple(c.input); })
      .def_ro("classes", &Checkpoint::classes)
      .def_ro("normalise", &Checkpoint::normalise)
      .def_ro("options", &Checkpoint::options)
      .def_ro("at", &Checkpoint::at)
      .def_ro("samples", &Checkpoint::samples)
      .def_prop_ro("weights", [](const Checkpoint& c) { return to_dict(c.weights); })
      .def_prop_ro("optimizer", [](const Checkpoint& c) { return to_dict(c.optimizer); });
  m.def(
      "save", [](const std::string& path, const Checkpoint& c) { unlocked([&] { train::save(path, c); }); },
      "path"_a, "checkpoint"_a,
      "One safetensors file, written beside and renamed: `path` holds the old file or the new one.");
  m.def(
      "load", [](const std::string& path) { return unlocked([&] { return train::load(path); }); }, "path"_a);
}

/// The hooks of a run. Ctrl-C is looked for before every batch: the run ends where it stands, and what the
/// signal's handler raised (KeyboardInterrupt) is raised when the trainer is in order again.
struct RunHooks {
  nb::handle step, epoch, evaluating, stop;
  std::optional<nb::python_error> raised;

  /// f() with the lock; what it raises ends the run.
  template <class F>
  void guarded(F&& f) {
    nb::gil_scoped_acquire locked;
    if (raised) return;
    try {
      f();
    } catch (nb::python_error& error) {
      raised.emplace(std::move(error));
    }
  }

  train::Hooks hooks() {
    train::Hooks h;
    if (!step.is_none()) h.step = [this](const Progress& p) { guarded([&] { step(p); }); };
    if (!epoch.is_none())
      h.epoch = [this](const Progress& p, const nn::Evaluation* e) {
        guarded([&] { epoch(p, e != nullptr ? nb::cast(*e) : nb::none()); });
      };
    if (!evaluating.is_none())
      h.evaluating = [this](std::int64_t done, std::int64_t all) { guarded([&] { evaluating(done, all); }); };
    h.stop = [this] {
      bool wanted = false;
      guarded([&] {
        if (PyErr_CheckSignals() != 0) throw nb::python_error();
        if (stop.is_none()) return;
        const int truth = PyObject_IsTrue(nb::object(stop()).ptr());
        if (truth < 0) throw nb::python_error();
        wanted = truth != 0;
      });
      return wanted || raised.has_value();
    };
    return h;
  }
};

Outcome run(Trainer& trainer, IntArg micro_batch, IntArg steps, nb::handle step, nb::handle epoch,
            nb::handle evaluating, nb::handle stop, bool graph) {
  const train::RunOptions options{micro_batch("micro_batch"), steps("steps"), graph};
  RunHooks hooks{step, epoch, evaluating, stop, {}};
  const train::Hooks h = hooks.hooks();
  Outcome outcome = unlocked([&] { return trainer.run(options, h); });
  if (hooks.raised) throw nb::python_error(std::move(*hooks.raised));
  return outcome;
}

/// The trainer gives the network normalised pixels: an Input that normalises again makes it learn badly, and
/// nothing would say so.
void warn_of_input(const nn::Layer& net) {
  const nn::Module* first = &net.module();
  while (!first->children().empty()) first = &first->children().front().layer.module();
  const std::optional<nn::OptionList> options = first->option_list();
  if (first->kind() != "Input" || !options) return;
  for (const nn::OptionList::value_type& option : *options) {
    const auto* number = std::get_if<double>(&option.second);
    if (number == nullptr || *number == (option.first == "deviation" ? 1 : 0)) continue;
    const std::string text = fmt::format(
        "the network begins with an Input of {} {}, and a Trainer's pixels have mean 0 and deviation 1 "
        "already: "
        "they are normalised twice",
        option.first, *number);
    if (PyErr_WarnEx(PyExc_UserWarning, text.c_str(), 1) != 0) throw nb::python_error();
  }
}

void bind_trainer(nb::module_& m) {
  nb::class_<Trainer>(
      m, "Trainer",
      "The training loop: epochs of batches, parts of a batch, schedule, evaluation, checkpoints that "
      "resume to the same bits.")
      .def(
          "__init__",
          [](Trainer* self, LayerArg net, const Options& options, const data::TrainTest& data,
             DeviceArg device, std::string model) {
            const nn::Layer layer = net("net");
            const Device d = device("device");
            warn_of_input(layer);
            unlocked([&] { new (self) Trainer(layer, options, data, d, std::move(model)); });
          },
          "net"_a, "options"_a, "data"_a, "device"_a = nb::none(), "model"_a = "",
          "Builds `net` for the data's samples with options.seed, and an optimizer for it. The network gets "
          "pixels "
          "from 0 to 1, less the training set's mean and divided by its deviation, channel by channel; a "
          "UserWarning where it begins with an Input that normalises them again.")
      .def_static(
          "resume",
          [](LayerArg net, const Checkpoint& checkpoint, const data::TrainTest& data, DeviceArg device) {
            const nn::Layer layer = net("net");
            const Device d = device("device");
            return unlocked([&] { return Trainer::resume(layer, checkpoint, data, d); });
          },
          "net"_a, "checkpoint"_a, "data"_a, "device"_a = nb::none(),
          "Goes on where the checkpoint stands: `net` is a fresh model of the checkpoint's name.")
      .def("run", &run, "micro_batch"_a = 0, "steps"_a = 0, "step"_a = nb::none(), "epoch"_a = nb::none(),
           "evaluating"_a = nb::none(), "stop"_a = nb::none(), "graph"_a = false,
           nb::sig("def run(self, micro_batch: int = 0, steps: int = 0, step: "
                   "collections.abc.Callable[[Progress], object] | None = None, epoch: "
                   "collections.abc.Callable[[Progress, _core.Evaluation | None], object] | None = None, "
                   "evaluating: collections.abc.Callable[[int, int], object] | None = None, stop: "
                   "collections.abc.Callable[[], bool] | None = None, graph: bool = False) -> Outcome"),
           "Trains to the end, or until so many steps are done since the very beginning. micro_batch: "
           "compute each batch "
           "in parts of this; 0: whole. Hooks: step(progress) after every step, epoch(progress, evaluation) "
           "after every "
           "epoch, evaluating(done, all), stop() before every batch: true ends the run where it stands. "
           "Ctrl-C ends it "
           "there as well, with KeyboardInterrupt: the trainer can go on, and gives checkpoints. graph: each "
           "step is "
           "recorded as a graph and replayed (nn.Graphed): the same bits, less work for the host.")
      .def("checkpoint", &Trainer::checkpoint,
           "The state to go on from; the tensors share storage with the network.")
      .def_prop_ro(
          "net", [](const Trainer& t) { return to_object(t.net()); }, nb::sig("def net(self) -> _core.Layer"))
      .def_prop_ro("options", &Trainer::options)
      .def_prop_ro("at", &Trainer::at)
      .def("batches", &Trainer::batches, "of an epoch")
      .def("total_steps", &Trainer::total_steps, "of the whole run");
}

}  // namespace

void bind_train(nb::module_& parent) {
  bind_evaluation(parent);
  nb::module_ m = parent.def_submodule("train", "Training runs and their checkpoints.");
  bind_options(m);
  bind_checkpoint(m);
  bind_trainer(m);
  m.def("default_lr", &train::default_lr, "optimizer"_a, "0.05 for sgd, 0.001 for the others.");
  nb::module_ library =
      parent.def_submodule("library_models", "The C++ library's models, to hold Python's against.");
  library.def(
      "make",
      [](const std::string& name, IntArg classes) -> nn::Layer {
        return models::make(name, classes("classes"));
      },
      "name"_a, "classes"_a = 10);
  library.def("names", [] {
    nb::list names;
    for (const std::string_view name : models::names()) names.append(nb::str(name.data(), name.size()));
    return names;
  });
}

}  // namespace isobit::python
