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

#include "cli/commands.h"

namespace isobit::cli {
namespace {

struct BenchArguments {
  std::string device = "cpu", dtype = "f32", padding = "same", mode = "constant", model = "lenet";
  std::int64_t batch = 32, channels = 64, size = 28, filters = 64, kernel = 3, stride = 1, groups = 1,
               steps = 10;
  int repeat = 10;
  bool json = false;
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

PadMode mode_named(const std::string& name) {
  for (int i = 0; i < kPadModes; ++i)
    if (name == name_of(static_cast<PadMode>(i))) return static_cast<PadMode>(i);
  fail("bench", "there is no padding mode \"{}\"; constant, reflect, symmetric, replicate or circular", name);
}

Tensor numbers(const Shape& shape, DType dtype, const char* stream) {
  return random_normal(shape, random_key(Seed{7}, stream)).to(dtype);
}

int finish(const BenchArguments& a, nlohmann::ordered_json result, bool equal) {
  if (a.json) fmt::print("{}\n", result.dump());
  if (!equal)
    fmt::print(stderr, "isobit: the bits of {} are not the CPU's: its times mean nothing\n", a.device);
  return equal ? 0 : 1;
}

int bench_conv(const BenchArguments& a) {
  const Device device = Device::parse(a.device);
  const DType dtype = dtype_named(a.dtype);
  if (a.groups < 1 || a.channels % a.groups != 0)
    fail("bench", "{} channels do not divide into {} groups", a.channels, a.groups);
  if (a.padding != "same" && a.padding != "valid")
    fail("bench", "padding \"{}\", expected same or valid", a.padding);
  const ConvOptions options{.stride = a.stride,
                            .padding = a.padding == "same" ? Same : Valid,
                            .groups = a.groups,
                            .mode = mode_named(a.mode)};
  const Tensor x = numbers({a.batch, a.size, a.size, a.channels}, dtype, "x");
  const Tensor w = numbers({a.kernel, a.kernel, a.channels / a.groups, a.filters}, dtype, "w");
  const Tensor y = conv(x, w, {}, options);
  const Tensor dy = numbers(y.shape(), dtype, "dy");
  const Tensor there_x = x.to(device), there_w = w.to(device), there_dy = dy.to(device);
  // A multiply-add counts as two; every output has kernel * kernel * channels / groups of them.
  const std::int64_t terms = w.numel() / a.filters;  // of an output
  const double flops = 2.0 * static_cast<double>(y.numel()) * static_cast<double>(terms);

  bool all_equal = true;
  nlohmann::ordered_json results = nlohmann::ordered_json::array();
  const auto direction = [&](const char* name, const auto& on_cpu, const auto& there) {
    Tensor result;
    const Times t = measure(device, a.repeat, [&] { result = there(); });
    const bool equal = result.digest() == on_cpu().digest();
    all_equal = all_equal && equal;
    if (!a.json)
      fmt::print("{:<16} {:>10.3f} ms  ({:.3f} to {:.3f}, {} runs) {:>10.1f} GFLOP/s  bits of the CPU: {}\n",
                 name, t.median * 1e3, t.best * 1e3, t.worst * 1e3, a.repeat, flops / t.median / 1e9,
                 equal ? "yes" : "NO");
    results.push_back({{"kernel", name},
                       {"milliseconds", t.median * 1e3},
                       {"best", t.best * 1e3},
                       {"worst", t.worst * 1e3},
                       {"gflops", flops / t.median / 1e9},
                       {"equal", equal}});
  };
  if (!a.json)
    fmt::print("conv x{} w{} {} on {}, stride {}, padding {} {}, groups {}\n", x.shape(), w.shape(), dtype,
               device, a.stride, a.padding, a.mode, a.groups);
  direction(
      "forward", [&] { return y; }, [&] { return conv(there_x, there_w, {}, options); });
  direction(
      "backward input", [&] { return conv_backward_input(dy, w, x.shape(), options); },
      [&] { return conv_backward_input(there_dy, there_w, x.shape(), options); });
  direction(
      "backward filter", [&] { return conv_backward_filter(x, dy, w.shape(), options); },
      [&] { return conv_backward_filter(there_x, there_dy, w.shape(), options); });
  return finish(a, {{"bench", "conv"}, {"device", device.name()}, {"dtype", a.dtype}, {"results", results}},
                all_equal);
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
  conv->add_option("--repeat", a->repeat, "Timed runs")->check(CLI::Range(1, 100000))->capture_default_str();
  conv->footer(
      "Examples:\n"
      "  isobit bench conv --device cuda --batch 64 --channels 128 --size 28 --filters 128\n"
      "Exit code 1 when the bits are not the CPU's.");
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
