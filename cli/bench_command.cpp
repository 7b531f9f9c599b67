// isobit bench: how long kernels, ops and steps of training take, beside the proof that the answer is right,
// and beside other libraries (benchmarks/, docs/benchmarks.md).
#include <fmt/format.h>
#include <isobit/device.h>
#include <isobit/dtype.h>
#include <isobit/error.h>
#include <isobit/plan.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "benchmarks/conv.h"
#include "benchmarks/matmul.h"
#include "benchmarks/memory.h"
#include "benchmarks/overhead.h"
#include "benchmarks/train.h"
#include "cli/commands.h"
#include "cli/interrupt.h"

namespace isobit::cli {
namespace {

struct BenchArguments {
  std::string device = "cpu", dtype = "f32", padding = "same", math = "exact", mode = "constant",
              model = "lenet", cache = "warm", shapes, plan, directions = "fwd,bwd_d,bwd_w",
              sizes = "256,512,1024,2048";
  std::int64_t batch = 32, channels = 64, size = 28, filters = 64, kernel = 3, stride = 1, groups = 1,
               elements = 0;
  bench::RunOptions run;
};

DType dtype_named(const std::string& name) {
  for (const DType dtype : {DType::f32, DType::f64, DType::f16, DType::bf16})
    if (name == name_of(dtype)) return dtype;
  fail("bench", "there is no dtype \"{}\" to measure; f32, f64, f16 or bf16", name);
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

int bench_conv(const BenchArguments& a) {
  const DType dtype = dtype_named(a.dtype);
  const std::vector<bench::ConvCase> cases =
      a.shapes.empty() ? std::vector{bench::parse_case(line_of(a), "bench")} : bench::read_cases(a.shapes);
  return bench::run_conv(a.run, cases, bench::parse_directions(a.directions), dtype);
}

// Everything that all of them take. `options` of the run are complete when the subcommand runs.
void declare_common(CLI::App& sub, const std::shared_ptr<BenchArguments>& a) {
  bench::RunOptions& run = a->run;
  sub.add_option("--device", a->device, "cpu, cuda, cuda:1, simt")->capture_default_str();
  sub.add_option("--threads", run.settings.threads, "Of ours and of the peers [all processors]")
      ->check(CLI::Range(1, 1024));
  sub.add_option("--peers", run.peers,
                 "Who is measured beside us, in turns: torch, onednn, openblas, plain (our own loops), or "
                 "the path of a program; on GPUs cudnn, cublaslt; separated by commas");
  sub.add_option("--math", a->math, "exact, fast, fast-f16 or fast-bf16 (docs/fast-mode.md)")
      ->capture_default_str();
  sub.add_option("--plan", a->plan,
                 "Choose algorithms by this file; what it lacks is timed and added (isobit plan)");
  sub.add_flag("--json", run.json, "End with a line of JSON");
}

// And what those take that print a table.
void declare_table(CLI::App& sub, const std::shared_ptr<BenchArguments>& a) {
  declare_common(sub, a);
  bench::RunOptions& run = a->run;
  sub.add_option("--only", run.only, "Only rows with this text in their name");
  sub.add_option("--repeat", run.settings.rounds, "Timed turns of each side")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  sub.add_option("--cache", a->cache,
                 "warm: as the calls before leave it; cold: a GPU's second-level cache is overwritten before "
                 "each call, outside of the time")
      ->check(CLI::IsMember({"warm", "cold"}))
      ->capture_default_str();
  sub.add_option("--plot", run.plot, "A picture of the rows, as a PNG file");
}

void declare_choice(CLI::App& sub, const std::shared_ptr<BenchArguments>& a) {
  sub.add_option("--dtype", a->dtype, "f32, f64, f16 or bf16")->capture_default_str();
  sub.add_option("--algorithm", a->run.settings.algorithm,
                 "Only this one (isobit verify --json lists them); problems that it refuses are left out");
}

}  // namespace

void add_bench(CLI::App& app, Run& chosen) {
  auto a = std::make_shared<BenchArguments>();
  a->run.settings.threads = threads();
  a->run.settings.rounds = 10;
  CLI::App* command = app.add_subcommand(
      "bench", "Time kernels, ops and training, beside verified results and other libraries");
  command->require_subcommand(1);
  const CLI::Range counts(std::int64_t{1}, std::int64_t{1} << 20);
  // Runs `body` with what the command line said.
  const auto on_call = [a, &chosen](CLI::App* sub, int (*body)(const BenchArguments&)) {
    sub->callback([a, &chosen, body] {
      chosen = [a, body] {
        const InterruptGuard guard;
        a->run.settings.device = Device::parse(a->device);
        a->run.settings.math = parse_math(a->math);
        a->run.settings.cold = a->cache == "cold";
        a->run.stop = [] { return InterruptGuard::requested(); };
        std::optional<PlanScope> plan;
        if (!a->plan.empty()) plan.emplace(a->plan, PlanUse::time);
        return body(*a);
      };
    });
  };

  CLI::App* conv = command->add_subcommand("conv", "The three kernels of convolutions");
  declare_table(*conv, a);
  declare_choice(*conv, a);
  conv->add_option("--shapes", a->shapes,
                   "Convolutions of a file: a path, or anchor or sweep, which come with isobit; else the one "
                   "that the options below say");
  conv->add_option("--dir", a->directions, "Which of the three kernels")->capture_default_str();
  conv->add_flag("--cached", a->run.settings.cached, "Also with weights that do not change between calls");
  const auto one = [&](const char* name, std::int64_t& value, const char* help) {
    conv->add_option(name, value, help)->check(counts)->capture_default_str()->group("One convolution");
  };
  one("--batch", a->batch, "Samples");
  one("--channels", a->channels, "Channels of the input");
  one("--size", a->size, "Height and width of the input");
  one("--filters", a->filters, "Channels of the output");
  one("--kernel", a->kernel, "Height and width of the filter");
  one("--stride", a->stride, "Of both axes");
  one("--groups", a->groups, "Groups of channels");
  conv->add_option("--padding", a->padding, "same or valid")->capture_default_str()->group("One convolution");
  conv->add_option("--mode", a->mode,
                   "What the padding holds: constant, reflect, symmetric, replicate, circular")
      ->capture_default_str()
      ->group("One convolution");
  conv->footer(
      "Of each kernel: the median time of a call and the spread of the turns, the share of the peak and of "
      "the\n"
      "bandwidth that this process measures, and the ratio to the best peer (its time / ours). One thread "
      "is\n"
      "timed by processor time, more by the wall. Weights count as changed before each call. Drawn parts of\n"
      "every result are held against the definition, bit by bit, and the peers' results against ours\n"
      "(docs/benchmarks.md).\n"
      "\n"
      "Examples:\n"
      "  isobit bench conv --device cuda --batch 64 --channels 128 --size 28 --filters 128\n"
      "  isobit bench conv --device cuda --shapes anchor --cache cold --peers cudnn\n"
      "  isobit bench conv --shapes anchor --threads 1 --peers onednn,torch --json\n"
      "  isobit bench conv --shapes anchor --only '3x3 64' --dir fwd --algorithm implicit_gemm\n"
      "  isobit bench conv --shapes sweep --dir fwd --plot sweep.png\n"
      "Exit code 1 when a result is not the definition's.");
  on_call(conv, bench_conv);

  const auto add_memory = [&](const char* name, const char* help, int (*body)(const BenchArguments&)) {
    CLI::App* sub = command->add_subcommand(name, help);
    declare_table(*sub, a);
    declare_choice(*sub, a);
    sub->add_option("--dir", a->directions, "fwd, bwd_d: the op, its gradient")->capture_default_str();
    sub->add_option("--elements", a->elements, "Of a tensor, about [twice the largest cache]")
        ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 32));
    sub->footer(fmt::format(
        "Each op on tensors that no cache holds: GB/s of what it must read and write at least, and the share "
        "of\n"
        "the bandwidth that this process measures. Every element of the first result is held against the\n"
        "definition.\n"
        "\n"
        "Examples:\n"
        "  isobit bench {} --threads 1 --peers torch\n"
        "Exit code 1 when a result is not the definition's.",
        name));
    on_call(sub, body);
  };
  add_memory("pool", "Pooling and its gradients", [](const BenchArguments& b) {
    return bench::run_memory(b.run, bench::MemoryFamily::pools, b.elements, b.directions,
                             dtype_named(b.dtype));
  });
  add_memory("memory", "Element-wise ops, reductions, softmax, norms, optimizers",
             [](const BenchArguments& b) {
               return bench::run_memory(b.run, bench::MemoryFamily::others, b.elements, b.directions,
                                        dtype_named(b.dtype));
             });

  CLI::App* matmul = command->add_subcommand("matmul", "Matrix products");
  declare_table(*matmul, a);
  declare_choice(*matmul, a);
  matmul
      ->add_option("--sizes", a->sizes, "512, or m x n x k as 64x1000x4096; :nt, :tn, :tt: stored transposed")
      ->capture_default_str();
  matmul->footer(
      "Examples:\n"
      "  isobit bench matmul --threads 1 --peers openblas,torch\n"
      "  isobit bench matmul --sizes 64x512x3136,1024:nt --dtype f64\n"
      "Exit code 1 when a result is not the definition's.");
  on_call(matmul, [](const BenchArguments& b) {
    return bench::run_matmul(b.run, bench::parse_matmuls(b.sizes), dtype_named(b.dtype));
  });

  CLI::App* train = command->add_subcommand("train", "Steps of training on made-up images");
  declare_common(*train, a);
  train->add_option("--model", a->model, "lenet (28 x 28 x 1), vgg-small, resnet-small (32 x 32 x 3)")
      ->capture_default_str();
  train->add_option("--batch", a->batch, "Samples a step")->check(counts)->capture_default_str();
  train->add_option("--steps", a->run.settings.rounds, "Timed turns, of a step or, with peers, some")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  train->footer(
      "Examples:\n"
      "  isobit bench train --device cuda --batch 128\n"
      "  isobit bench train --batch 64 --threads 1 --peers torch --json\n"
      "Trains the same with other numbers of threads and on the CPU; exit code 1 when the digests of the "
      "weights\n"
      "differ.");
  on_call(train, [](const BenchArguments& b) { return bench::run_train(b.run, b.model, b.batch); });

  CLI::App* overhead = command->add_subcommand("overhead", "What the call of a tiny op costs");
  declare_table(*overhead, a);
  overhead->footer("Examples:\n  isobit bench overhead --threads 1 --peers torch,onednn");
  on_call(overhead, [](const BenchArguments& b) { return bench::run_overhead(b.run); });
  command->footer(
      "Examples:\n"
      "  isobit bench conv --device cuda\n"
      "  isobit bench conv --shapes anchor --threads 1 --peers onednn,torch\n"
      "  isobit bench train --device cuda\n"
      "Each explains itself: isobit bench conv --help");
}

}  // namespace isobit::cli
