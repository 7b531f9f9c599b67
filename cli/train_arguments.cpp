#include "cli/train_arguments.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <isobit/models.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <limits>

namespace isobit::cli {
namespace {

constexpr const char* kRun = "The run (they decide the digest)";
constexpr const char* kWhere = "Where and how (they change no bit of the answer)";

// Refuses what does not fit T: the parser would take the nearest number that does.
template <class T>
CLI::Option* add_number(CLI::App& command, const std::string& name, T& value, const std::string& help) {
  const CLI::Validator whole(
      [](std::string& text) {
        T value{};
        const char* end = text.data() + text.size();
        const auto [stop, error] = std::from_chars(text.data(), end, value);
        if (error == std::errc() && stop == end) return std::string();
        return fmt::format("'{}' is not a whole number between {} and {}", text,
                           std::numeric_limits<T>::min(), std::numeric_limits<T>::max());
      },
      "");
  return command.add_option(name, value, help)->check(whole);
}

}  // namespace

void declare(CLI::App& command, TrainArguments& a) {
  train::Options& o = a.options;
  // Given twice, the last counts: a script's options can be followed by one's own.
  command.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  const auto run = [&](CLI::Option* option) { return option->group(kRun)->capture_default_str(); };
  const auto where = [&](CLI::Option* option) { return option->group(kWhere); };
  run(command.add_option("--model", a.model, "lenet, vgg-small or resnet-small"));
  run(add_number(command, "--epochs", o.epochs, "Passes over the training set"));
  run(add_number(command, "--batch", o.batch, "Samples a step"));
  run(add_number(command, "--limit", o.limit, "Train on the first N samples only; 0: on all"));
  run(command.add_option("--optimizer", o.optimizer, "sgd, adam, adamw or rmsprop"));
  command.add_option("--lr", o.lr, "Learning rate [0.05 for sgd, else 0.001]")->group(kRun);
  command.add_option("--momentum", o.momentum, "Of sgd and rmsprop [0.9 for sgd, else 0]")->group(kRun);
  command.add_flag("--nesterov", o.nesterov, "Nesterov's momentum (sgd)")->group(kRun);
  run(command.add_option("--weight-decay", o.weight_decay, "Pull of the weights towards 0"));
  run(command.add_option("--schedule", o.schedule,
                         "Of the learning rate: constant, step, cosine or one-cycle"));
  run(add_number(command, "--warm-up", o.warm_up, "Steps in which the rate rises first"));
  run(command.add_option("--clip-norm", o.clip_norm, "Largest norm of the gradients; 0: any"));
  run(command.add_option("--label-smoothing", o.label_smoothing, "Share of the target given to all classes"));
  run(add_number(command, "--crop", o.augment.crop_pad, "Augment: pad by N pixels and crop at random"));
  run(add_number(command, "--shift", o.augment.shift, "Augment: move by up to N pixels"));
  command.add_flag("--flip", o.augment.flip, "Augment: mirror every second time")->group(kRun);
  run(command.add_option("--math", o.math, "exact, fast, fast-f16 or fast-bf16 (docs/fast-mode.md)"));
  run(command.add_option("--loss-scale", o.loss_scale,
                         "Factor of the gradients while they are computed: dynamic, or a power of two"));
  run(add_number(command, "--seed", o.seed.value, "Of weights, order and all other draws"));

  where(command.add_option(
      "--data", a.data,
      "Folder with the four IDX files of (Fashion-)MNIST, plain or .gz, CIFAR's binary files, or "
      "folders train and test of pictures [Debian's dataset-fashion-mnist]"));
  where(add_number(command, "--micro-batch", a.run.micro_batch,
                   "Compute each batch in parts of N (16, 32, 64, ...): less memory, the same bits"));
  where(add_number(command, "--steps", a.run.steps, "Stop after N steps; --resume goes on from there"));
  where(command.add_option("--device", a.device, "Where to compute (isobit devices)")->capture_default_str());
  where(command.add_flag(
      "--graph", a.run.graph,
      "Record a step as a graph and replay it: less work for the host of a GPU, the same bits"));
  where(add_number(command, "--threads", a.threads, "Threads of the CPU [all]"));
  where(command.add_option("--plan", a.plan,
                           "Choose algorithms by this file; what it lacks is timed and added (isobit plan)"));
  where(command.add_option("--out", a.out,
                           "Write the trained model here, also after each epoch and on Ctrl-C"));
  where(command.add_option("--resume", a.resume, "Go on from this file; the run's options come from it"));
  where(command.add_flag("--json", a.json, "Print one JSON object as the last line of the output"));
  command.footer(
      "The digest is the SHA-256 of the trained weights. It is the same for any number of threads, any "
      "instruction\n"
      "set, any --micro-batch (models with batch norm excepted), with --graph and without, and for a run "
      "that was interrupted and "
      "resumed.\n"
      "\n"
      "Examples:\n"
      "  isobit train --out lenet.safetensors                       LeNet on Fashion-MNIST, 3 epochs\n"
      "  isobit train --model resnet-small --epochs 6 --shift 2 --flip\n"
      "  isobit train --optimizer adamw --lr 0.002 --schedule one-cycle --epochs 5\n"
      "  isobit train --data ~/mnist --limit 10000 --epochs 1 --json\n"
      "  isobit train --resume lenet.safetensors --out lenet.safetensors   after Ctrl-C: the same digest in "
      "the end\n"
      "  isobit train --steps 50 --threads 1                        compare the digest with --threads 2\n"
      "\n"
      "Exit code: 0 done, 1 wrong usage or data, 130 interrupted by Ctrl-C.");
}

void settle(const CLI::App& command, TrainArguments& a) {
  train::Options& o = a.options;
  const auto given = [&](const char* name) { return command.count(name) > 0; };
  if (!given("--lr")) o.lr = train::default_lr(o.optimizer);
  if (!given("--momentum")) o.momentum = o.optimizer == "sgd" ? 0.9 : 0;
  o.check();
  for (const CLI::Option* option : command.get_options())
    if (option->get_group() == kRun && option->count() > 0)
      a.given += (a.given.empty() ? "" : ", ") + option->get_name();
  if (given("--micro-batch") && a.run.micro_batch < 1)
    fail("train", "--micro-batch is {}, it must be at least 16 (a power of two)", a.run.micro_batch);
  if (given("--steps") && a.run.steps < 1) fail("train", "--steps is {}, it must be at least 1", a.run.steps);
  if (given("--threads")) set_threads(a.threads);
  models::make(a.model);  // refuses an unknown name, lists the known ones
  Device::parse(a.device);
  if (given("--out")) check_writable("--out", a.out);
  if (given("--plan")) check_writable("--plan", a.plan);
}

void check_writable(const char* option, const std::string& path) {
  namespace fs = std::filesystem;
  const auto refuse = [&](const std::string& why) {
    fail("train", "{} {}: {}; give a file that can be written, nothing was trained", option, path, why);
  };
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (fs::is_directory(status)) refuse("is a folder");
  if (fs::exists(status) && !fs::is_regular_file(status)) refuse("is not a regular file");
  // The file is written beside its place and renamed, so the folder is what must take a new file.
  fs::path target = path;
  if (fs::is_symlink(fs::symlink_status(path, error)) && fs::exists(status))
    target = fs::canonical(path, error);
  const fs::path folder = target.has_parent_path() ? target.parent_path() : fs::path(".");
  if (!fs::is_directory(folder, error)) refuse("there is no folder " + folder.string());
  const std::string probe = target.string() + fmt::format(".check{}", getpid());
  const int file = open(probe.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0666);
  if (file < 0) refuse(std::strerror(errno));
  close(file);
  unlink(probe.c_str());
}

}  // namespace isobit::cli
