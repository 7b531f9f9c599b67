// isobit bench: how long a convolution or a step of training takes on a device, by the device's own clock,
// beside the proof that the answer has the CPU's bits.
#include <fmt/format.h>
#include <isobit/models.h>
#include <isobit/ops.h>
#include <isobit/optim.h>
#include <isobit/timer.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "benchmarks/conv.h"
#include "cli/commands.h"
#include "cli/interrupt.h"

namespace isobit::cli {
namespace {

struct BenchArguments {
  std::string device = "cpu", dtype = "f32", padding = "same", mode = "constant", model = "lenet", shapes,
              directions = "fwd,bwd_d,bwd_w";
  std::int64_t batch = 32, channels = 64, size = 28, filters = 64, kernel = 3, stride = 1, groups = 1,
               steps = 10;
  int repeat = 10;
  bool json = false;
  bench::RunOptions run;
};

struct Times {
  double median = 0, best = 0, worst = 0;
};

// The first run warms up: memory, code that is loaded at the first launch.
template <class Body>
Times measure(Device device, int repeat, const Body& body) {
  Timer timer(device);
  std::vector<double> seconds;
  for (int i = 0; i <= repeat; ++i) {
    timer.start();
    body();
    timer.stop();
    if (i > 0) seconds.push_back(timer.seconds());
  }
  std::sort(seconds.begin(), seconds.end());
  return {seconds[seconds.size() / 2], seconds.front(), seconds.back()};
}

DType dtype_named(const std::string& name) {
  for (const DType dtype : {DType::f32, DType::f64, DType::f16, DType::bf16})
    if (name == name_of(dtype)) return dtype;
  fail("bench", "there is no dtype \"{}\" for convolutions; f32, f64, f16 or bf16", name);
}

int finish(const BenchArguments& a, nlohmann::ordered_json result, bool equal) {
  if (a.json) fmt::print("{}\n", result.dump());
  if (!equal)
    fmt::print(stderr, "isobit: the bits of {} are not the CPU's: its times mean nothing\n", a.device);
  return equal ? 0 : 1;
}

// The convolution that the options describe, as a line of a shape file.
std::string line_of(const BenchArguments& a) {
  if (a.channels % a.groups != 0)
    fail("bench", "{} channels do not divide into {} groups", a.channels, a.groups);
  if (a.padding != "same" && a.padding != "valid")
    fail("bench", "padding \"{}\", expected same or valid", a.padding);
  std::string line = fmt::format("mb{}g{}ic{}ih{}oc{}kh{}sh{}", a.batch, a.groups, a.channels, a.size,
                                 a.filters, a.kernel, a.stride);
  if (a.padding == "same") {  // out = ceil(in / stride), the odd pixel after
    const std::int64_t out = (a.size + a.stride - 1) / a.stride;
    const std::int64_t all = std::max<std::int64_t>((out - 1) * a.stride + a.kernel - a.size, 0);
    line += fmt::format("ph{}phr{}", all / 2, all - all / 2);
  }
  return a.mode == "constant" ? line : line + "@" + a.mode;
}

int bench_conv(BenchArguments a) {
  a.run.settings.device = Device::parse(a.device);
  const DType dtype = dtype_named(a.dtype);
  const std::vector<bench::ConvCase> cases =
      a.shapes.empty() ? std::vector{bench::parse_case(line_of(a), "bench")} : bench::read_cases(a.shapes);
  a.run.json = a.json;
  a.run.settings.rounds = a.repeat;
  const InterruptGuard guard;
  a.run.stop = [] { return InterruptGuard::requested(); };
  return bench::run_conv(a.run, cases, bench::parse_directions(a.directions), dtype);
}

struct TrainingRun {
  Times step;
  std::string digest;
};

TrainingRun train_steps(const BenchArguments& a, Device device) {
  const Shape image{28, 28, 1};
  const Tensor images =
      random_uniform({a.batch, image[0], image[1], image[2]}, random_key(Seed{7}, "images")).to(device);
  std::vector<std::int64_t> kinds(static_cast<std::size_t>(a.batch));
  for (std::size_t i = 0; i < kinds.size(); ++i) kinds[i] = static_cast<std::int64_t>(i % 10);
  const Tensor labels = from_vector(kinds, {a.batch}).to(device);
  nn::Sequential net = models::make(a.model, 10);
  net.build(image, device, Seed{1});
  optim::SGD sgd(net.parameters(), {.lr = 0.05, .momentum = 0.9});
  const Times times = measure(device, static_cast<int>(a.steps), [&] {
    const Tensor loss = cross_entropy(net(images), labels);
    sgd.zero_grad();
    loss.backward();
    sgd.step();
  });
  return {times, nn::digest(net)};
}

int bench_train(const BenchArguments& a) {
  const Device device = Device::parse(a.device);
  const TrainingRun there = train_steps(a, device);
  const TrainingRun here = device == Device::cpu() ? there : train_steps(a, Device::cpu());
  const bool equal = there.digest == here.digest;
  const double rate = static_cast<double>(a.batch) / there.step.median;
  if (!a.json) {
    fmt::print("{} batch {} on {}: {:.3f} ms a step ({:.3f} to {:.3f}, {} steps), {:.0f} samples/s\n",
               a.model, a.batch, device, there.step.median * 1e3, there.step.best * 1e3,
               there.step.worst * 1e3, a.steps, rate);
    if (!(device == Device::cpu()))
      fmt::print("on the CPU: {:.3f} ms a step; digests {}\n", here.step.median * 1e3,
                 equal ? "equal" : "DIFFERENT");
    fmt::print("{}\n", there.digest);
  }
  return finish(a,
                {{"bench", "train"},
                 {"model", a.model},
                 {"device", device.name()},
                 {"milliseconds", there.step.median * 1e3},
                 {"best", there.step.best * 1e3},
                 {"worst", there.step.worst * 1e3},
                 {"samples_per_second", rate},
                 {"cpu_milliseconds", here.step.median * 1e3},
                 {"digest", there.digest},
                 {"equal", equal}},
                equal);
}

}  // namespace

void add_bench(CLI::App& app, Run& chosen) {
  auto a = std::make_shared<BenchArguments>();
  a->run.settings.threads = threads();
  CLI::App* command = app.add_subcommand("bench", "Time a convolution or a step of training on a device");
  command->require_subcommand(1);
  const CLI::Range counts(std::int64_t{1}, std::int64_t{1} << 20);
  const auto common = [a](CLI::App* sub) {
    sub->add_option("--device", a->device, "cpu, cuda, cuda:1, simt")->capture_default_str();
    sub->add_flag("--json", a->json, "Print one JSON object");
  };
  CLI::App* conv =
      command->add_subcommand("conv", "The three kernels of one convolution, in milliseconds and GFLOP/s");
  common(conv);
  conv->add_option("--dtype", a->dtype, "f32, f64, f16 or bf16")->capture_default_str();
  conv->add_option("--batch", a->batch, "Samples")->check(counts)->capture_default_str();
  conv->add_option("--channels", a->channels, "Channels of the input")->check(counts)->capture_default_str();
  conv->add_option("--size", a->size, "Height and width of the input")->check(counts)->capture_default_str();
  conv->add_option("--filters", a->filters, "Channels of the output")->check(counts)->capture_default_str();
  conv->add_option("--kernel", a->kernel, "Height and width of the filter")
      ->check(counts)
      ->capture_default_str();
  conv->add_option("--stride", a->stride, "Of both axes")->check(counts)->capture_default_str();
  conv->add_option("--padding", a->padding, "same or valid")->capture_default_str();
  conv->add_option("--mode", a->mode,
                   "What the padding holds: constant, reflect, symmetric, replicate, circular")
      ->capture_default_str();
  conv->add_option("--groups", a->groups, "Groups of channels")->check(counts)->capture_default_str();
  conv->add_option("--repeat", a->repeat, "Timed turns of each side")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  conv->add_option("--shapes", a->shapes,
                   "Instead of one convolution those of a file: a path, or anchor or sweep, which come with "
                   "isobit");
  conv->add_option("--only", a->run.only, "Of the file, those with this text in their name");
  conv->add_option("--dir", a->directions, "Which of the three kernels")->capture_default_str();
  conv->add_option("--threads", a->run.settings.threads, "Of ours and of the peers [all processors]")
      ->check(CLI::Range(1, 1024));
  conv->add_option("--algorithm", a->run.settings.algorithm,
                   "Only this one; problems that it refuses are left out");
  conv->add_option("--peers", a->run.peers,
                   "Who is measured beside us, in turns: torch, onednn, or the path of a program; separated "
                   "by commas");
  conv->add_flag("--cached", a->run.settings.cached, "Also with weights that do not change between calls");
  conv->footer(
      "Of each kernel: the median time of a call and the spread of the turns, the share of the peak and of "
      "the\n"
      "bandwidth that this process measures first, and the ratio to the best peer (its time / ours). One "
      "thread\n"
      "is timed by processor time, more by the wall. Weights count as changed before each call. Drawn parts "
      "of\n"
      "every result are held against the definition, bit by bit, and the peers' results against ours\n"
      "(docs/benchmarks.md).\n"
      "\n"
      "Examples:\n"
      "  isobit bench conv --device cuda --batch 64 --channels 128 --size 28 --filters 128\n"
      "  isobit bench conv --shapes anchor --threads 1 --peers onednn,torch --json\n"
      "  isobit bench conv --shapes anchor --only '3x3 64' --dir fwd --algorithm implicit_gemm\n"
      "Exit code 1 when a result is not the definition's.");
  conv->callback([&chosen, a] { chosen = [a] { return bench_conv(*a); }; });

  CLI::App* train = command->add_subcommand("train", "Steps of training on made-up images of 28 x 28");
  common(train);
  train->add_option("--model", a->model, "lenet, vgg-small, resnet-small")->capture_default_str();
  train->add_option("--batch", a->batch, "Samples a step")->check(counts)->capture_default_str();
  train->add_option("--steps", a->steps, "Timed steps, after one that warms up")
      ->check(counts)
      ->capture_default_str();
  train->footer(
      "Examples:\n"
      "  isobit bench train --device cuda --batch 128\n"
      "Trains the same on the CPU; exit code 1 when the digests of the weights differ.");
  train->callback([&chosen, a] { chosen = [a] { return bench_train(*a); }; });
  command->footer("Examples:\n  isobit bench conv --device cuda\n  isobit bench train --device cuda");
}

}  // namespace isobit::cli
