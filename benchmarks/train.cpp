#include "benchmarks/train.h"

#include <fmt/format.h>
#include <isobit/autograd.h>
#include <isobit/models.h>
#include <isobit/ops.h>
#include <isobit/optim.h>
#include <isobit/verify_fast.h>

#include <cmath>
#include <limits>
#include <memory>
#include <vector>

#include "benchmarks/report.h"

namespace isobit::bench {
namespace {

constexpr std::int64_t kBatches = 4, kClasses = 10;
constexpr int kVerifiedSteps = 2, kLosses = 10;
constexpr double kRate = 0.02;

struct Batch {
  Tensor images, labels;
};

// Noise with a bright square whose place is the label: easy to learn, no file needed.
std::vector<Batch> make_batches(const Shape& image, std::int64_t batch) {
  std::vector<Batch> batches;
  for (std::int64_t i = 0; i < kBatches; ++i) {
    const Shape shape{batch, image[0], image[1], image[2]};
    auto pixels = random_uniform(shape, random_key(Seed{7}, "images", static_cast<std::uint64_t>(i)))
                      .to_vector<float>();
    std::vector<std::int64_t> labels;
    for (std::int64_t n = 0; n < batch; ++n) {
      const std::int64_t label = (n * 7 + i) % kClasses;
      labels.push_back(label);
      const std::int64_t top = 2 + 12 * (label / 5), left = 1 + 5 * (label % 5);
      for (std::int64_t h = top; h < top + 5; ++h)
        for (std::int64_t w = left; w < left + 5; ++w)
          for (std::int64_t c = 0; c < image[2]; ++c)
            pixels[static_cast<std::size_t>(((n * image[0] + h) * image[1] + w) * image[2] + c)] += 1.0f;
    }
    batches.push_back({from_vector(pixels, shape), from_vector(labels, {batch})});
  }
  return batches;
}

// The network, from the same seed each time, and its training.
class Training {
 public:
  Training(const std::string& model, const Shape& image, const std::vector<Batch>& batches, Device device)
      : net_(models::make(model, kClasses)), sgd_(make_sgd(net_, image, device)) {
    for (const Batch& batch : batches) batches_.push_back({batch.images.to(device), batch.labels.to(device)});
  }
  Tensor step() {
    const EnableGrad on;
    const Batch& batch = batches_[at_++ % batches_.size()];
    Tensor loss = cross_entropy(net_(batch.images), batch.labels);
    loss.backward();
    sgd_.step();
    return loss.detach();
  }
  /// The next `count` losses. Without dropout: what it drops is drawn otherwise elsewhere.
  Tensor losses(int count) {
    for (const nn::Child& child : net_)
      if (child.layer.module().kind() == "Dropout") child.layer.eval();
    std::vector<float> values;
    for (int i = 0; i < count; ++i) values.push_back(static_cast<float>(step().item()));
    return from_vector(values, {count});
  }
  std::string digest_after(int steps) {
    for (int i = 0; i < steps; ++i) step();
    return nn::digest(net_);
  }
  /// What `steps` steps change of each parameter, in f64 on the CPU.
  std::vector<Tensor> changes_after(int steps) {
    const auto values = [&] {
      std::vector<Tensor> all;
      for (const Tensor& p : net_.parameters())
        all.push_back(p.detach().to(Device::cpu()).to(DType::f64).clone());
      return all;
    };
    const NoGrad off;
    std::vector<Tensor> changes = values();
    for (int i = 0; i < steps; ++i) step();
    const std::vector<Tensor> after = values();
    for (std::size_t i = 0; i < changes.size(); ++i) changes[i] = after[i] - changes[i];
    return changes;
  }
  const nn::Sequential& net() const { return net_; }

 private:
  static optim::SGD make_sgd(const nn::Sequential& net, const Shape& image, Device device) {
    net.build(image, device, Seed{1});
    return {net.parameters(), {.lr = kRate}};
  }
  nn::Sequential net_;
  optim::SGD sgd_;
  std::vector<Batch> batches_;
  std::size_t at_ = 0;
};

// Of a step's three convolution kernels and matrix products; the first convolution has no gradient of its
// input.
double flops_of(const nn::Sequential& net, const Shape& image, std::int64_t batch) {
  const nn::Summary summary = net.summarize(image);
  std::int64_t first = 0;
  for (const nn::SummaryRow& row : summary.rows)
    if (first == 0) first = row.multiply_adds;
  return 2.0 * static_cast<double>(3 * summary.multiply_adds - first) * static_cast<double>(batch);
}

// Fast mode: how much of its bound the change of a parameter uses at most. Operands that are rounded to u
// give a product of matrices an error of about u times its norm; one parameter's change has come through at
// most 2 * layers + 1 products a step (forward, back, its own), whose errors know nothing of each other and
// so add up as their squares do; 8 of that, as in docs/fast-mode.md. A change that is 0, or another one's, is
// at a relative error of 1 and more.
double share_of_bound(const std::vector<Tensor>& got, const std::vector<Tensor>& exact, Math math,
                      std::int64_t products) {
  const auto norm = [](const Tensor& t) { return std::sqrt(sum(square(t)).item()); };
  const double relative =
      8 * verify::operand_roundoff(math, DType::f32) * std::sqrt(static_cast<double>(products));
  double largest = 0;
  for (std::size_t i = 0; i < exact.size(); ++i) {
    const double error = norm(got[i] - exact[i]), bound = relative * norm(exact[i]);
    const double share = error == 0 ? 0 : error / bound;
    if (!(share <= largest)) largest = share;
    if (std::isnan(share)) return std::numeric_limits<double>::infinity();
  }
  return largest;
}

// Products that a change has come through in `steps` steps.
std::int64_t products_of(const nn::Sequential& net, const Shape& image, int steps) {
  std::int64_t layers = 0;
  for (const nn::SummaryRow& row : net.summarize(image).rows) layers += row.multiply_adds > 0;
  return steps * (2 * layers + 1);
}

std::string rate_line(const std::string& name, const Spread& seconds, double batch, double flops,
                      double peak) {
  std::string line =
      fmt::format("  {:<24} {:9.3f} ms a step ({:.3f} to {:.3f})  {:8.0f} samples/s", name,
                  seconds.median * 1e3, seconds.low * 1e3, seconds.high * 1e3, batch / seconds.median);
  if (peak > 0) {
    const double gflops = flops / seconds.median * 1e-9;
    line += fmt::format("  {:6.1f} GFLOP/s  {:5.1f} % of peak", gflops, 100 * gflops / peak);
  }
  return line;
}

nlohmann::ordered_json peer_json(const PeerRow& peer, double batch) {
  nlohmann::ordered_json j{{"peer", peer.label}, {"name", peer.name}};
  if (!peer.why.empty()) {
    j["why"] = peer.why;
    return j;
  }
  j["variant"] = peer.variant;
  j["milliseconds"] = peer.seconds.median * 1e3;
  j["samples_per_second"] = batch / peer.seconds.median;
  j["ratio"] = peer.ratio;
  j["error"] = peer.error;
  return j;
}

}  // namespace

int run_train(const RunOptions& options, const std::string& model, std::int64_t batch) {
  const Settings& settings = options.settings;
  const Device device = settings.device;
  if (report_not_measured("train", options)) return 0;
  set_threads(settings.threads);
  const Shape image = model == "lenet" ? Shape{28, 28, 1} : Shape{32, 32, 3};
  const std::vector<Batch> batches = make_batches(image, batch);
  Training training(model, image, batches, device), untouched(model, image, batches, Device::cpu());
  const auto peers = start_peers(options.peers, settings);
  Machine machine;
  machine.measure(settings, 12, 0);

  std::string digest;
  double cpu_seconds = 0;
  Problem p;
  p.name = model;
  p.direction = "step";
  p.batch = batch;
  p.flops = flops_of(training.net(), image, batch);
  p.call = [&] { return training.step(); };
  const auto compared = static_cast<std::int64_t>(training.net().parameters().size());
  p.verify = [&](const Tensor&) {
    if (settings.math != Math::exact) {
      // One device's bits are the same in every run; another one's are within the bound.
      const auto changes = [&](Device where) {
        return Training(model, image, batches, where).changes_after(kVerifiedSteps);
      };
      const auto after = [&] { return Training(model, image, batches, device).digest_after(kVerifiedSteps); };
      digest = after();
      const bool repeats = after() == digest;
      const std::vector<Tensor> got = changes(device);
      const MathScope exact(Math::exact);
      const double start = wall_seconds();
      const std::vector<Tensor> expected = changes(Device::cpu());
      cpu_seconds = (wall_seconds() - start) / kVerifiedSteps;
      const double share =
          share_of_bound(got, expected, settings.math, products_of(training.net(), image, kVerifiedSteps));
      return Verdict{repeats && share <= 1, compared, share};
    }
    const auto after = [&](Device where) {
      return Training(model, image, batches, where).digest_after(kVerifiedSteps);
    };
    digest = after(device);
    bool equal = true;
    if (!(device == Device::cpu())) {
      const double start = wall_seconds();
      equal = after(Device::cpu()) == digest;
      cpu_seconds = (wall_seconds() - start) / kVerifiedSteps;
    }
    set_threads(settings.threads == 1 ? 2 : 1);
    equal = equal && after(Device::cpu()) == digest;
    set_threads(settings.threads);
    return Verdict{equal, compared};
  };
  p.expected = [&] { return Training(model, image, batches, device).losses(kLosses); };
  std::vector<Tensor> images, labels;
  for (const Batch& one : batches) {
    images.push_back(one.images);
    labels.push_back(one.labels);
  }
  p.inputs = {std::make_shared<Operand>(stack(images)), std::make_shared<Operand>(stack(labels))};
  for (const Tensor& parameter : untouched.net().parameters())
    p.inputs.push_back(std::make_shared<Operand>(parameter.detach()));
  p.question = {{"op", "train"}, {"model", model}, {"lr", kRate}, {"losses", kLosses}, {"grad", true}};
  const Row row = measure(p, settings, peers);

  const auto samples = static_cast<double>(batch);
  const PeerRow* best = row.best();
  const std::string unit = machine.unit_of(row.dtype, row.math);
  const double peak = machine.peak_of(unit);
  if (!options.json) {
    fmt::print("{} batch {} on {}, {} thread{}, {} time, {} turns, median (least to most)", model, batch,
               device, settings.threads, settings.threads == 1 ? "" : "s",
               !(device == Device::cpu())     ? "the device's"
               : settings.by_processor_time() ? "processor"
                                              : "wall",
               row.rounds);
    if (peak > 0) fmt::print("; peak {:.1f} GFLOP/s {}", peak, unit);
    if (machine.emulated) fmt::print("; emulated: no time here says anything of a GPU");
    fmt::print("\n{}\n", rate_line("isobit", row.seconds, samples, p.flops, peak));
    for (const PeerRow& peer : row.peers) {
      const std::string name = peer.name + " " + peer.variant;
      if (!peer.why.empty())
        fmt::print("  {:<24} {}\n", peer.name, peer.why);
      else
        fmt::print("{}  ratio {:.3f}\n", rate_line(name, peer.seconds, samples, p.flops, peak), peer.ratio);
    }
    if (cpu_seconds > 0) fmt::print("  on the CPU {:.3f} ms a step\n", cpu_seconds * 1e3);
    if (settings.math == Math::exact)
      fmt::print("digest after {} steps {}: {}\n", kVerifiedSteps, digest,
                 row.verdict.equal ? "the same for one thread and several, and on the CPU" : "NOT THE SAME");
    else
      fmt::print("{}; what {} steps change is {}, {:.1f} % of the bound; digest {}\n",
                 describe(settings.math), kVerifiedSteps,
                 row.verdict.equal ? "within its bound and the same in every run" : "BEYOND ITS BOUND",
                 100 * row.verdict.share, digest);
  } else {
    const auto or_null = [](double value) {
      return value > 0 ? nlohmann::ordered_json(value) : nlohmann::ordered_json();
    };
    nlohmann::ordered_json j{
        {"bench", "train"},
        {"model", model},
        {"batch", batch},
        {"device", device.name()},
        {"threads", settings.threads},
        {"emulated", machine.emulated},
        {"peak_gflops", or_null(machine.peak_gflops)},
        {"peaks", peaks_of(machine)},
        {"peak_unit", unit},
        {"milliseconds", row.seconds.median * 1e3},
        {"best", row.seconds.low * 1e3},
        {"worst", row.seconds.high * 1e3},
        {"rounds", row.rounds},
        {"first_milliseconds", row.first_seconds * 1e3},
        {"samples_per_second", samples / row.seconds.median},
        {"ours", samples / row.seconds.median},
        {"gflops", row.gflops()},
        {"percent_of_peak", or_null(row.percent_of_peak(machine))},
        {"peak_memory", row.peak_memory},
        {"cpu_milliseconds", or_null(cpu_seconds * 1e3)},
        {"digest", digest},
        {"math", name_of(settings.math)},
        {"share_of_bound",
         settings.math == Math::exact ? nlohmann::ordered_json() : nlohmann::ordered_json(row.verdict.share)},
        {"equal", row.verdict.equal}};
    j["peers"] = nlohmann::ordered_json::array();
    for (const PeerRow& peer : row.peers) j["peers"].push_back(peer_json(peer, samples));
    j["ratio"] = best == nullptr ? nlohmann::ordered_json() : nlohmann::ordered_json(best->ratio);
    fmt::print("{}\n", j.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
  }
  if (!row.verdict.equal)
    fmt::print(stderr, "isobit: {}: the times mean nothing\n",
               settings.math == Math::exact ? "the digests differ between threads or devices"
                                            : "the result is beyond its bound, or another one in each run");
  return row.verdict.equal ? 0 : 1;
}

}  // namespace isobit::bench
